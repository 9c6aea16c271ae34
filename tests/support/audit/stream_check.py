"""What the ledger of a stream must show beside its marks: contents, final states, and one request at a time.

The records are compared as those of a backfill. A stream may leave out two things: a version of an order that a newer
one has replaced, and attributes of a profile change that a newer one has set.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streams.harness.traffic import Sent, Traffic

from .auditor import Audit, Options, check_keys, check_overlaps, records_in_order
from .final import Found, check_profiles, check_sessions
from .ledger import Acted, Ledger, Received, received, rows, with_repetitions
from .match import Matching, Record
from .records import ID_FIELD, Line, canon, loads, validate
from .traffic_check import marks_of

BULK = "update_customer_profiles_v2"


def stream_violations(
    traffic: Traffic, ledger: Ledger, dead_letters: Iterable[Mapping[str, Any]], starts: Sequence[int]
) -> list[tuple[str, str]]:
    """(sort, message) of each violation that marks do not show. `starts` are the numbers of requests that had arrived
    when a process was started."""
    result: list[tuple[str, str]] = []

    def found(sort: str, message: str) -> None:
        result.append((sort, message))

    records = _records(traffic, dead_letters, found)
    acted = sorted(
        (Acted(row, calls=True, reopened=set()) for row in rows(ledger.ledger)), key=lambda one: one.applied
    )
    check_keys(acted, found)
    matching = _matched(records, acted, found)
    erasures = check_profiles(records, ledger, matching, found)
    # a version without a request was replaced, or is lost: marks show which
    kept = [record for record in records if record.dead_letter is not None or not record.open]
    check_sessions(kept, ledger, False, erasures, found)
    _check_one_at_a_time(acted, received(ledger.requests), starts, found)
    return result


def _records(traffic: Traffic, dead_letters: Iterable[Mapping[str, Any]], found: Found) -> list[Record]:
    """The valid records in their order, each once, with their dead letters."""
    ends = {(str(one["kind"]), _text(one["record"])): one for one in dead_letters}
    lines: list[Line] = []
    attached: dict[int, Mapping[str, Any]] = {}
    for place, sent in enumerate(traffic.records):
        line = Line(sent.kind, "stream", place + 1, sent.payload, False)
        validate(line, place)
        if line.problem is not None:
            continue  # marks show whether it is a dead letter
        lines.append(line)
        dead_letter = ends.pop((line.kind, canon(line.data())), None)
        if dead_letter is not None:
            attached[id(line)] = dead_letter
    result = Audit(outcomes={kind: Counter() for kind in ID_FIELD})
    records = records_in_order(lines, attached, Options(), result)
    for sort, messages in result.violations.items():
        for message in messages:
            found(sort, message)
    return records


def _text(record: Any) -> str:
    return canon(loads(json.dumps(record)))


def _matched(records: list[Record], acted: Iterable[Acted], found: Found) -> Matching:
    """Match the requests with the records. Each must say what its record says."""
    matching = Matching(records, edit_closed=False)
    changes = [record for record in records if record.line.kind == "profiles" and record.dead_letter is None]
    asked = {
        (record.line.customer, name, value)
        for record in changes
        for name, value in record.line.sends["attributes"].items()
    }
    for record in changes:
        record.open.clear()  # marks show whether it was sent
    for request in acted:
        if request.operation != BULK:
            matching.take(request)
            continue
        for _, customer, content in request.carries:
            for name, value in content.items():
                if (customer, name, value) not in asked:
                    found("unexpected", f"{request}: no record sets {name} of {customer!r} to {value}")
    for sort, message in matching.problems:
        if sort == "unexpected":  # marks show the others
            found(sort, message)
    return matching


def _check_one_at_a_time(
    acted: Sequence[Acted], requests: Sequence[Received], starts: Sequence[int], found: Found
) -> None:
    """No two requests of one customer or session overlap, each with its repetitions by the same process."""
    for number in range(len(starts) + 1):
        with_repetitions(
            [one for one in acted if bisect_right(starts, one.n - 1) == number],
            [one for one in requests if bisect_right(starts, one.n - 1) == number],
        )
    of: dict[tuple[str, str], list[Acted]] = {}
    for request in acted:
        for customer in request.profiles:
            of.setdefault(("customer", customer), []).append(request)
        if request.session is not None:
            of.setdefault(("session", request.session), []).append(request)
    for (what, name), its in of.items():
        check_overlaps(f"{what} {name!r}", its, found)


def out_of_publishing_order(traffic: Traffic, acted: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where a record of a customer acted after a later one of the same kind that was published after it."""
    first: dict[tuple[str, str], int] = {}
    for place, row in enumerate(acted):
        for mark in marks_of(row):
            first.setdefault(mark, place)
    before: dict[tuple[str, str], list[Sent]] = {}
    wrong = []
    for record in dict.fromkeys(traffic.records):
        if (record.kind, record.mark) not in first or record.kind == "returns":  # a return waits for its order
            continue
        its = before.setdefault((record.kind, record.customer), [])
        wrong += [
            f"customer {record.customer}: {other.kind} {other.mark} after {record.mark}"
            for other in its
            if other.at < record.at and first[other.kind, other.mark] > first[record.kind, record.mark]
        ]
        its.append(record)
    return wrong
