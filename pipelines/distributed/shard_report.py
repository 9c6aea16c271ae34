"""The report of a job out of those of its shards."""

from collections import Counter
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill.report import NAMES_SHOWN, add_stats
from beam_talonone.talonone.requests.output_lines import rfc3339
from beam_talonone.talonone.telemetry.stats import Stats

Counts = dict[str, dict[str, int]]


class ShardReport(msgspec.Struct, frozen=True):
    """The counts of one shard's report, and its statistics in a form that can be added up."""

    kinds: Counts
    reasons: Counts
    unknown_names: Counts
    unaccounted: int
    requests_per_second: float
    stats: bytes
    unknown_api_fields: Counts = {}
    filtered_by: Counts = {}
    warnings: list[str] = []

    @classmethod
    def of(cls, report: dict[str, Any], stats: Stats) -> "ShardReport":
        """Of the report of a shard, and of the statistics it was made from."""
        return cls(
            report["kinds"], report["reasons"], report["unknown_names"], report["unaccounted"],
            report["requests_per_second"], msgspec.json.encode(stats), report["unknown_api_fields"],
            report.get("filtered_by", {}), report.get("warnings", []),
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """As the steps of the pipeline pass it on."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "ShardReport":
        """What `to_bytes` has made. Raises msgspec.DecodeError for other bytes."""
        return msgspec.msgpack.decode(data, type=ShardReport)


def merged(
    parts: list[ShardReport],
    kinds: list[str],
    job: str,
    rate: float,
    started: float,
    ended: float,
    rate_service: str | None = None,
) -> dict[str, Any]:
    """report.json as a value, as pipelines.backfill.report makes it; `kinds` are those that were given."""
    stats, longest = Stats(), 0.0
    for part in parts:
        sent = msgspec.json.decode(part.stats, type=Stats, strict=False)
        if part.requests_per_second:
            longest = max(longest, sent.requests / part.requests_per_second)
        add_stats(stats, sent)
    names = _added(part.unknown_names for part in parts)
    api_names = _added(part.unknown_api_fields for part in parts)
    rules = _added(part.filtered_by for part in parts)
    warnings = list(dict.fromkeys(warning for part in parts for warning in part.warnings))
    return {
        "job": job,
        "kinds": {**{kind: dict(NOTHING) for kind in kinds}, **_added(part.kinds for part in parts)},
        "operations": stats.report(),
        "rate": rate,
        **({} if rate_service is None else {"rate_service": rate_service}),
        # where the rate is shared out as it is used, a shard goes faster when others have ended: no sum of averages
        "requests_per_second": round(stats.requests / longest, 2) if longest else 0.0,
        "started": rfc3339(started),
        "ended": rfc3339(ended),
        "reasons": _added(part.reasons for part in parts),
        **({"filtered_by": rules} if rules else {}),
        "unknown_names": _commonest(names),
        "unknown_api_fields": _commonest(api_names),
        **({"warnings": warnings} if warnings else {}),
        "remaining": 0,
        "unaccounted": sum(part.unaccounted for part in parts),
    }


NOTHING = dict.fromkeys(
    ("read", "invalid", "filtered", "mapped", "applied", "superseded", "duplicate", "skipped", "dead_lettered",
     "unknown_fields"), 0,
)  # fmt: skip


def _commonest(names: Counts) -> Counts:
    return {kind: dict(Counter(kind_counts).most_common(NAMES_SHOWN)) for kind, kind_counts in names.items()}


def _added(all_counts: Any) -> Counts:
    total: dict[str, Counter[str]] = {}
    for counts in all_counts:
        for kind, kind_counts in counts.items():
            total.setdefault(kind, Counter()).update(kind_counts)
    return {kind: dict(kind_counts) for kind, kind_counts in total.items()}
