"""An auditor of a run: input, output folder and the simulator's ledger against the contract, sharing no code with the
sender.

    found = audit({"orders": [path], ...}, output, fetch(url), Options(rate=200))
    found.assert_clean()

The place in the input is that of sorted file names, then lines. A record that says the same in other digits (19.9,
19.90) counts as the same record.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files import read_inputs
from .final import Found, check_profiles, check_sent, check_sessions
from .ledger import (
    ARRIVES_BEFORE_ANSWER_IS_NOTED,
    JITTER,
    Acted,
    Ledger,
    Rate,
    Received,
    fetch,
    over_rate,
    rate_of,
    received,
    rows,
    sessions_reopened,
    with_repetitions,
)
from .match import Matching, Move, Record
from .records import ID_FIELD, Line, instant
from .report import attach_letters, check_report, check_results

__all__ = ["Audit", "Ledger", "Options", "audit", "fetch"]

UPDATED = frozenset({"orders", "profiles"})


@dataclass(frozen=True)
class Options:
    """The options of the run that change what is right, and what to hold the rate against.

    `rate` is in requests a second, and arrivals may be `jitter` seconds late; `most_100ms` the most requests in any
    100 ms, not checked if None. With `keys_forgotten` the simulator forgot its idempotency keys in between.
    """

    since: str | None = None
    until: str | None = None
    edit_closed: bool = False
    profiles_first: bool = False
    dry: bool = False
    results: bool = False
    rate: float | None = None
    jitter: float = JITTER
    most_100ms: int | None = None
    keys_forgotten: bool = False


@dataclass
class Audit:
    """The result of an audit.

    `violations` has a list of messages by sort, `outcomes` counts records by kind and outcome, and `reasons` counts
    dead letters by kind and reason.
    """

    violations: dict[str, list[str]] = field(default_factory=dict)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    rate: Rate | None = None

    def found(self, sort: str, message: str) -> None:
        self.violations.setdefault(sort, []).append(message)

    def assert_clean(self) -> None:
        if self.violations:
            shown = [
                f"{sort} ({len(messages)}):\n" + "\n".join(f"  {message}" for message in messages[:5])
                for sort, messages in sorted(self.violations.items())
            ]
            raise AssertionError("the audit found violations\n" + "\n".join(shown))


def audit(
    inputs: Mapping[str, Sequence[Path]],
    output: Path,
    ledger: Ledger,
    options: Options = Options(),
) -> Audit:
    """Hold a finished run against the contract. `inputs` maps kind to files, `output` is the run's folder."""
    result = Audit()
    lines = read_inputs(inputs)
    dead_letters, of_files = attach_letters(output, lines, result.found)
    result.outcomes = {kind: Counter() for kind in ID_FIELD}
    for line in lines:
        if id(line) in dead_letters:
            result.reasons[line.kind, str(dead_letters[id(line)]["reason"])] += 1
    records = records_in_order(lines, dead_letters, options, result)
    requests = received(ledger.requests)
    if options.dry:
        _check_dry(ledger, requests, result)
    else:
        _check_sending(records, ledger, requests, options, result)
        for record in records:
            result.outcomes[record.line.kind][record.outcome] += 1
    _check_rate(requests, options, result)
    check_report(output, Counter(line.kind for line in lines), result.outcomes, of_files, result.found, options.dry)
    if options.results and not options.dry:
        check_results(output, records, result.found)
    return result


def records_in_order(
    lines: Iterable[Line], dead_letters: Mapping[int, Mapping[str, Any]], options: Options, result: Audit
) -> list[Record]:
    """The valid records in their order, with copies merged. Invalid and filtered ones are counted and left out."""
    since = None if options.since is None else instant(options.since)
    until = None if options.until is None else instant(options.until)
    groups: dict[tuple[Any, ...], list[Line]] = {}
    contents: dict[tuple[str, str], set[int]] = {}
    for line in lines:
        if line.problem is not None:
            if id(line) not in dead_letters:
                result.found("lost", f"{line} is invalid ({line.problem}), and has no dead letter")
            result.outcomes[line.kind]["dead_lettered"] += 1
        elif (since is not None and line.micros < since) or (until is not None and line.micros >= until):
            result.outcomes[line.kind]["filtered"] += 1
        else:
            version = (line.micros, line.key[2]) if line.kind in UPDATED else ()
            groups.setdefault((line.kind, line.id, version, line.content), []).append(line)
            if line.kind not in UPDATED:
                contents.setdefault((line.kind, line.id), set()).add(line.content)
    kept: list[tuple[Line, Mapping[str, Any] | None]] = []
    living: Counter[tuple[str, str]] = Counter()
    for copies in groups.values():
        line = copies[0]
        dead = [dead_letters[id(copy)] for copy in copies if id(copy) in dead_letters]
        reused = [dead_letter for dead_letter in dead if dead_letter["reason"] == "id_reused"]
        is_reused = len(contents.get((line.kind, line.id), ())) > 1
        if (reused and not is_reused) or len(dead) > max(1, len(reused)):
            result.found("dead_letter", f"{line} came {len(copies)} times, and {len(dead)} of them are dead letters")
        if is_reused and not reused:
            living[line.kind, line.id] += 1
        result.outcomes[line.kind]["duplicate"] += len(copies) - max(1, len(dead))
        result.outcomes[line.kind]["dead_lettered"] += max(0, len(dead) - 1)
        kept.append((line, dead[0] if dead else None))
    for (kind, id_), contents_of in contents.items():
        if len(contents_of) > 1 and living[kind, id_] != 1:
            result.found(
                "dead_letter", f"{kind} {id_!r} has {len(contents_of)} contents, {living[kind, id_]} were taken"
            )
    first = {"profiles"} if options.profiles_first else set()
    kept.sort(key=lambda one: (one[0].kind not in first or "erase" in one[0].sends, *one[0].key))
    return [Record(line, rank, dead_letter) for rank, (line, dead_letter) in enumerate(kept)]


def _check_sending(
    records: list[Record], ledger: Ledger, requests: list[Received], options: Options, result: Audit
) -> None:
    with_calls = any(record.line.kind == "calls" for record in records)
    reopened = sessions_reopened(ledger.ledger)
    acted = sorted((Acted(row, with_calls, reopened) for row in rows(ledger.ledger)), key=lambda one: one.applied)
    with_repetitions(acted, requests)
    if not options.keys_forgotten:
        check_keys(acted, result.found)
    matching = Matching(records, options.edit_closed)
    for request in acted:
        matching.take(request)
    for sort, message in matching.problems:
        result.found(sort, message)
    _lend_customers(records, matching)
    for (what, id_), moves in matching.moves.items():
        _check_order(f"{what} {id_!r}", moves, records, result)
    for record in records:
        if record.dead_letter is None and record.line.kind in ("events", "calls"):
            check_sent(record, result.found)
    erasures = check_profiles(records, ledger, matching, result.found)
    check_sessions(records, ledger, options.edit_closed, erasures, result.found)


def check_keys(acted: Iterable[Acted], found: Found) -> None:
    """No key acts twice."""
    seen: dict[str, Acted] = {}
    for request in acted:
        if request.key is None:
            continue
        before = seen.setdefault(request.key, request)
        if before is not request:
            found("key", f"{before} and {request} acted under the same key {request.key}")


def _lend_customers(records: Iterable[Record], matching: Matching) -> None:
    """A return without a customer is held beside its order's customer, where the input knows exactly one."""
    customers: dict[str | None, set[str | None]] = {}
    for record in records:
        if record.line.kind == "orders":
            customers.setdefault(record.line.session, set()).add(record.line.customer)
    for record in records:
        line = record.line
        if line.kind == "returns" and line.customer is None and len(known := customers.get(line.session, set())) == 1:
            (customer,) = known
            for move in matching.moves.get(("session", line.session or ""), ()):
                if move.low == record.rank:
                    matching.moves.setdefault(("customer", customer or ""), []).append(move)


def _check_order(what: str, moves: list[Move], records: Sequence[Record], result: Audit) -> None:
    """The requests of one customer or session acted in the order of records, and one at a time."""
    moves.sort(key=lambda move: move.request.applied)
    latest: Move | None = None
    for move in moves:
        if latest is not None and move.low < latest.high:
            result.found(
                "order",
                f"{what}: {records[move.low].line} was applied by {move.request} after {records[latest.high].line},"
                f" which is later and was applied by {latest.request}",
            )
        if latest is None or move.high > latest.high:
            latest = move
    check_overlaps(what, [move.request for move in moves], result.found)


def check_overlaps(what: str, requests: Iterable[Acted], found: Found) -> None:
    """No request of one customer or session arrives before the one that acted before it is answered."""
    ended = 0.0
    last: Acted | None = None
    for request in requests:
        if request is last:
            continue
        if last is not None and request.started < ended - ARRIVES_BEFORE_ANSWER_IS_NOTED:
            found(
                "overlap",
                f"{what}: {request} arrived at {request.started:.4f} s, before {last} was answered at {ended:.4f} s",
            )
        ended = max(ended, request.ended or request.applied)
        last = request


def _check_dry(ledger: Ledger, requests: Iterable[Received], result: Audit) -> None:
    for row in rows(ledger.ledger):
        result.found("dry", f"request {row['n']} ({row['operation']}) acted in a dry run")
    for request in requests:
        if not request.dry and not request.operation.startswith("get_"):
            result.found("dry", f"request {request.n} ({request.operation}) is not dry")


def _check_rate(requests: Iterable[Received], options: Options, result: Audit) -> None:
    result.rate = rate = rate_of(request.arrived for request in requests)
    for message in [] if options.rate is None else over_rate(rate, options.rate, options.jitter):
        result.found("rate", message)
    if options.most_100ms is not None and rate.most_100ms > options.most_100ms:
        result.found("rate", f"{rate.most_100ms} requests within 100 ms, at most {options.most_100ms}")
