"""The verdict on a run of a campaign, in six columns: the audit of a backfill, or the check of a stream's traffic."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from streams.harness.traffic import Traffic

from .auditor import Ledger, Options, audit
from .ledger import rows
from .report import read_jsonl
from .stream_check import out_of_publishing_order, stream_violations
from .traffic_check import check_traffic

LOST, DOUBLED, DISORDER, WRONG, OVER_RATE, UNACCOUNTED = COLUMNS = (
    "lost",
    "doubled",
    "out of order",
    "wrong",
    "over the rate",
    "unaccounted",
)

Verdict = dict[str, list[str]]
"""Column -> what is wrong, a message for each fault. Every column is there; a right run has empty lists."""

SORTS: Final[Mapping[str, str]] = {
    "lost": LOST,
    "doubled": DOUBLED,
    "both": DOUBLED,
    "key": DOUBLED,
    "order": DISORDER,
    "overlap": DISORDER,
    "rate": OVER_RATE,
    "unaccounted": UNACCOUNTED,
}
"""The sorts of violations of the auditor that have a column of their own; all others are `wrong`."""


def clean() -> Verdict:
    """A verdict without a fault."""
    return {column: [] for column in COLUMNS}


def judge_backfill(
    inputs: Mapping[str, Sequence[Path]], output: Path, ledger: Ledger, options: Options, reasons: Collection[str]
) -> Verdict:
    """The verdict on a finished backfill. A dead letter with a reason that is not in `reasons` is wrong."""
    result = clean()
    for sort, messages in audit(inputs, output, ledger, options).violations.items():
        result[SORTS.get(sort, WRONG)] += messages
    result[WRONG] += unexpected_reasons(read_jsonl(output / "dead-letters"), reasons)
    return result


def unexpected_reasons(dead_letters: Iterable[Mapping[str, Any]], reasons: Collection[str]) -> list[str]:
    """A line for each dead letter whose reason is none of `reasons`."""
    return [
        f"{dead_letter['kind']} {dead_letter.get('id')} is a dead letter {dead_letter['reason']}:"
        f" {str(dead_letter.get('detail'))[:300]}"
        for dead_letter in dead_letters
        if dead_letter["reason"] not in reasons
    ]


def judge_stream(
    traffic: Traffic,
    ledger: Ledger,
    dead_letters: Sequence[Mapping[str, Any]],
    left: Sequence[str] = (),
    too_fast: Sequence[str] = (),
    reasons: Collection[str] = (),
    starts: Sequence[int] = (),
    *,
    ordering_keys: bool = False,
) -> Verdict:
    """The verdict on a stream that has ended. `left` are the messages that nobody acknowledged: they are unaccounted.
    `too_fast` says where the requests were over the rate. A dead letter of a good record is wrong, unless its reason
    is in `reasons`. `starts` are the numbers of requests that had arrived when a process was started.

    Order is checked by session and by attribute: messages that come later than --settle may pass each other. With
    `ordering_keys` they come in the order of publishing, so it is checked by customer and kind, too.
    """
    acted = list(rows(ledger.ledger))
    check = check_traffic(traffic, acted, dead_letters, by_customer=False, may_end=reasons)
    result = clean() | {
        LOST: check.lost,
        DOUBLED: check.doubled,
        DISORDER: check.disorder,
        WRONG: check.dead_letters,
        OVER_RATE: list(too_fast),
        UNACCOUNTED: list(left),
    }
    if ordering_keys:
        result[DISORDER] += out_of_publishing_order(traffic, acted)
    for sort, message in stream_violations(traffic, ledger, dead_letters, starts):
        result[SORTS.get(sort, WRONG)].append(message)
    return result
