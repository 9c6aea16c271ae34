"""Values of options, and the files that options name, damaged: a command ends with a code and one clear line."""

import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from unittest import mock

from fuzz.corpus import RECORDS
from fuzz.damage import ODD_TEXTS, changed, damaged, json_text, odd_values
from fuzz.endings import check_line
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st

from beam_talonone.pipelines.cli.attributes_file import read_attributes
from beam_talonone.pipelines.cli.main import run
from beam_talonone.pipelines.runners.runner_config import read_runner_config
from beam_talonone.talonone.errors import ConfigurationError

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
FOLDER = Path(_FOLDER.name)
INPUT, FILE = FOLDER / "orders.jsonl", FOLDER / "file"
INPUT.write_bytes(json_text(RECORDS["orders"]) + b"\n")

RUNNER = [
    b"runner: DirectRunner\noptions: {}\n",
    b"runner: DataflowRunner\noptions:\n  project: p\n  region: europe-west1\n  labels: [a=b, c=d]\n"
    b"  temp_location: gs://b/tmp\n  num_workers: 3\n  streaming: true\n  experiments: [x]\n",
]
ATTRIBUTES = {"data": [{"entity": "CartItem", "name": "color"}, {"entity": "CustomerProfile", "name": "Name"}]}
LISTS = [
    json.dumps(ATTRIBUTES).encode(),
    json.dumps(ATTRIBUTES["data"]).encode(),
    b"CartItem.color\n# all\nEvent.page\n",
]

_READING = (
    "--assume-timezone", "--ambiguous-time", "--max-future", "--unknown-fields", "--mapping", "--attributes",
    "--unknown-attributes", "--rate", "--profile-mode", "--events-api", "--runner-config",
)  # fmt: skip
_SELECTING = ("--since", "--until", "--format", "--join", "--orders", "--profiles", "--events")
_SENDING = (
    "--base-url", "--api-key-secret", "--rate-service", "--concurrency", "--http-client", "--client-cert",
    "--ca-bundle",    "--give-up-after", "--max-dead-letters", "--progress", "--edit-closed", "--limit", "--shards",
)  # fmt: skip
_STREAMING = (
    "--dead-letters", "--results", "--state", "--settle", "--wait-for-order", "--bulk-age", "--remember",
    "--avro-schema",    "--health-port", "--health-host", "--max-dead-letters", "--prism-location",
    "--records", "--files",
)  # fmt: skip
COMMANDS = {
    "check": (["--orders", str(INPUT)], (*_READING, *_SELECTING, "--show")),
    "backfill": (["--orders", str(INPUT), "--output", str(FOLDER / "out")], (*_READING, *_SELECTING, *_SENDING)),
    "replay": (
        [str(FOLDER / "none*.jsonl"), "--output", str(FOLDER / "out")],
        (*_SENDING, "--only", "--kind", "--set"),
    ),
    "lookup": (["get_customer_inventory", "--output", str(FOLDER / "out")], ("--input", "--format", *_SENDING)),
    "stream": (["--orders", "projects/p/subscriptions/s"], (*_STREAMING, *_SENDING)),
    "dead-letters": ([str(FOLDER)], ("--show", "--export", "--output", "--reason", "--kind")),
}
_WORDS = [text for text in ODD_TEXTS if text.encode(errors="ignore").decode() == text and "\0" not in text]
values = st.sampled_from(
    [*_WORDS, "1e9", "-1", "0", "inf", "nan", "10%", "101%", "5m", "6000/min", "1/0", "Mars/Olympus",
     "../../etc/passwd", "gs://", "gs:///x", "projects//subscriptions/", "http://[::1",
     "https://a@b:99999", "ftp://x", "a=b=c",
     "/dev/null", "/", "~", "*", "[", "{a,b", "0.0000001", "99999999999999999999", "1d", "9999999d",
     "UTC+25", "-", "--"]
) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)  # fmt: skip


def ended(words: list[str]) -> tuple[int, str]:
    """The exit code of a command line, and what it prints on stderr. Nothing is sent: there is no API key."""
    errors = io.StringIO()
    environment = {"HOME": str(FOLDER), "PATH": os.environ["PATH"]}
    with (
        contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())),
        mock.patch.dict(os.environ, environment, clear=True),
    ):  # fmt: skip
        return run(words), errors.getvalue()


@fuzzed(examples=15, data=st.data(), command=st.sampled_from(sorted(COMMANDS)), value=values)
def test_odd_values_of_options(data: st.DataObject, command: str, value: str) -> None:
    words, options = COMMANDS[command]
    option = data.draw(st.sampled_from(options))
    code, errors = ended([command, *words, f"{option}={value}"])
    assert code in (0, 1, 2, 3)
    assert "Traceback" not in errors
    assert "--debug shows more" not in errors, errors
    if code in (1, 2):
        assert errors.strip()
        assert len(errors) < 6_000, errors


def _written(data: bytes) -> Path:
    FILE.write_bytes(data)
    return FILE


_ODD_YAML = st.sampled_from(
    [b"[" * 2_000, b"{" * 2_000, b"a: &a [*a]", b"runner: 2026-99-99", b"runner: x\noptions: {a: 2026-99-99}",
     b"runner: !!python/object/apply:os.system [ls]", b"runner: x\noptions: {1: {2: 3}}", b"\xff\xfe",
     b"a: 1_0:99e99",
     b"runner: R\noptions: {x: &x [a,a], y: &y [*x,*x], z: [*y]}", b"? [a]\n: b",
     b"runner: R\noptions: {a: 0x" + b"f" * 5_000]
)  # fmt: skip


@fuzzed(examples=20, data=damaged(RUNNER) | _ODD_YAML)
def test_damaged_runner_configs(data: bytes) -> None:
    try:
        words = read_runner_config(_written(data))
    except ConfigurationError as error:
        check_line(error, FILE)
    else:
        assert all(isinstance(word, str) for word in words)


@fuzzed(
    examples=30, data=damaged(LISTS) | changed(ATTRIBUTES).map(json_text) | odd_values.map(json_text),
    drop=st.booleans()
)  # fmt: skip
def test_damaged_lists_of_attributes(data: bytes, drop: bool) -> None:
    try:
        read_attributes(str(_written(data)), drop=drop)
    except ConfigurationError as error:
        check_line(error, FILE)
