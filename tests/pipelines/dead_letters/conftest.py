"""Dead letters as jobs and streams write them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]


@pytest.fixture
def dead_letter() -> Callable[..., Json]:
    """A dead letter of an order, with some fields replaced."""

    def make(**fields: Any) -> Json:
        return {
            "kind": "orders", "id": "R-1", "record": {"order_id": "R-1", "total": 19.90},
            "source": {"file": "orders.jsonl", "position": 2}, "stage": "send", "reason": "unknown_attribute",
            "detail": "Unknown: attribute size", "pointer": "/customerSession/attributes/size",
            "operation": "update_customer_session_v2", "status": 400, "attempts": 1,
            "failed_at": "2026-05-02T09:15:00.120Z", "job": "3f9c0a7be214", **fields,
        }  # fmt: skip

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes lines, of bytes or of values, to a file below the test's folder."""

    def make(name: str, *lines: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        )
        return path

    return make
