"""What became of the traffic, by the simulator's ledger and the dead letters: lost, doubled, out of order."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.harness.traffic import Sent, Traffic

MAY_END: Final = frozenset({"outcome_unknown", "retries_exhausted"})
"""Reasons of dead letters of good records, where the requests of a test may meet anything."""

HARMLESS = "profiles"
"""Setting the same attributes again is not counted as twice."""


@dataclass
class TrafficCheck:
    """`lost`, `doubled`, `disorder` and `dead_letters` name what is wrong; nothing is when all are empty."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)
    dead_letters: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def wrong(self) -> dict[str, list[str]]:
        found = {
            "lost": self.lost,
            "doubled": self.doubled,
            "disorder": self.disorder,
            "dead_letters": self.dead_letters,
        }
        return {name: problems[:10] for name, problems in found.items() if problems}


def check_traffic(
    traffic: Traffic,
    ledger: Iterable[Mapping[str, Any]],
    dead_letters: Iterable[Mapping[str, Any]],
    *,
    by_customer: bool = True,
    may_end: Collection[str] = MAY_END,
) -> TrafficCheck:
    """`ledger` are the simulator's rows in the order of acting. `by_customer`: whether events and orders of a
    customer must have left in the order of time, which they must when none came later than the settling time.
    `may_end` are the reasons of dead letters that a good record may become."""
    check = TrafficCheck()
    records = {(record.kind, record.mark): record for record in traffic.records}
    rows = list(ledger)
    acted = [mark for row in rows for mark in marks_of(row)]
    counts = Counter(acted)
    dead = _check_dead_letters(traffic, list(dead_letters), may_end, check)
    for record in records.values():
        times = counts[record.kind, record.mark]
        check.counts[record.kind] += 1
        if times > 1 and record.kind != HARMLESS:
            check.doubled.append(f"{record.kind} {record.mark}: {times} times")
        if times and (record.kind, record.mark) in dead:
            check.doubled.append(f"{record.kind} {record.mark}: acted, and is a dead letter")
    known = [records[mark] for mark in acted if mark in records]
    _check_orders(records.values(), known, dead, check)
    _check_profile_changes(records.values(), rows, check)
    for record in records.values():
        gone = counts[record.kind, record.mark] or (record.kind, record.mark) in dead
        if record.poison is None and record.kind in ("returns", "events", "calls") and not gone:
            check.lost.append(f"{record.kind} {record.mark}")
    if by_customer:
        _check_customers(known, check)
    return check


def marks_of(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(kind, mark) of the records that a request carried."""
    body = row["body"] or {}
    match row["operation"]:
        case "update_customer_session_v2":
            items = body["customerSession"].get("cartItems") or [{}]
            return [("orders", str(items[0].get("sku")))]
        case "return_cart_items":
            return [("returns", "r" + str(row["session"])[1:])]
        case "track_event_v2":
            mark = str(body["attributes"]["page"])
            return [("calls" if mark.startswith("k") else "events", mark)]
        case "update_customer_profiles_v2":
            values = [value for one in body["customerProfiles"] for value in one.get("attributes", {}).values()]
            return [("profiles", str(mark)) for mark in sorted(set(values))]
    return []


def _check_dead_letters(
    traffic: Traffic, dead_letters: list[Mapping[str, Any]], may_end: Collection[str], check: TrafficCheck
) -> dict[tuple[str, str], str]:
    """The dead letters of good records, which need a reason of their own; those of poison are held against it.

    Where an answer without a body has refused poison, no more than its status is known.
    """
    poison = {(record.kind, record.mark): record.poison for record in traffic.records if record.poison is not None}
    expected = Counter((record.kind, record.poison) for record in traffic.records if record.poison is not None)
    of_good: dict[tuple[str, str], str] = {}
    ids = Counter(
        (dead_letter["source"]["subscription"], dead_letter["source"]["message_id"]) for dead_letter in dead_letters
    )
    check.dead_letters += [f"{message} has {times} dead letters" for message, times in ids.items() if times > 1]
    for dead_letter in dead_letters:
        sort = (dead_letter["kind"], dead_letter["reason"])
        check.counts[f"dead letters: {dead_letter['reason']}"] += 1
        if expected[sort] > 0:
            expected[sort] -= 1
        elif _is_unexplained(dead_letter) and expected[its_own := _poison_of(dead_letter, poison)] > 0:
            expected[its_own] -= 1
        elif dead_letter["reason"] in may_end:
            of_good[dead_letter["kind"], _mark_of(dead_letter)] = str(dead_letter["reason"])
        else:
            check.dead_letters.append(
                f"{dead_letter['kind']} {dead_letter['id']}: {dead_letter['reason']} ({dead_letter['detail']})"
            )
    check.lost += [
        f"{kind}: {count} dead letters {reason} are missing" for (kind, reason), count in expected.items() if count
    ]
    return of_good


def _is_unexplained(dead_letter: Mapping[str, Any]) -> bool:
    return dead_letter["reason"] == "refused" and dead_letter["detail"] == f"status {dead_letter['status']}"


def _poison_of(
    dead_letter: Mapping[str, Any], poison: Mapping[tuple[str, str], str | None]
) -> tuple[str, str | None]:
    kind = str(dead_letter["kind"])
    return kind, poison.get((kind, _mark_of(dead_letter)))


def _mark_of(dead_letter: Mapping[str, Any]) -> str:
    record = dead_letter["record"]
    if dead_letter["kind"] == "orders":
        return str(record["items"][0]["sku"])
    if dead_letter["kind"] == "profiles":
        return str(next(iter(record["attributes"].values())))
    return str(dead_letter["id"])


def _check_orders(
    records: Iterable[Sent], acted: list[Sent], dead: Mapping[tuple[str, str], str], check: TrafficCheck
) -> None:
    """Of each order the newest version must have acted, and none after a newer one."""
    newest: dict[str, Sent] = {}
    for record in records:
        if record.kind == "orders" and record.poison is None and (record.kind, record.mark) not in dead:
            newest[record.session] = max(newest.get(record.session, record), record, key=lambda one: one.at)
    last: dict[str, Sent] = {}
    for record in acted:
        if record.kind == "orders":
            before = last.get(record.session)
            if before is not None and before.at > record.at:
                check.disorder.append(f"order {record.mark} after {before.mark}")
            last[record.session] = record
    check.lost += [f"orders {record.mark}" for record in newest.values() if last.get(record.session) != record]
    returned = {record.session for record in acted if record.kind == "returns"}
    check.disorder += [f"return of {session}, which is not there" for session in returned - last.keys()]


def _check_profile_changes(records: Iterable[Sent], rows: Iterable[Mapping[str, Any]], check: TrafficCheck) -> None:
    """Of each attribute the newest value must have been set last. What a change had left of it is in the request: the
    names that newer ones had set are not. Marks of changes are numbers of eight digits, in the order of time."""
    newest: dict[tuple[str, str], str] = {}
    for record in records:
        for name in record.sets:
            newest[record.customer, name] = max(newest.get((record.customer, name), ""), record.mark)
    set_last: dict[tuple[str, str], str] = {}
    for row in rows:
        entries = row["body"]["customerProfiles"] if row["operation"] == "update_customer_profiles_v2" else ()
        for entry in entries:
            for name, mark in (entry.get("attributes") or {}).items():
                where = entry["integrationId"], name
                if set_last.get(where, "") > mark:
                    check.disorder.append(f"profile {where}: {mark} after {set_last[where]}")
                set_last[where] = mark
    for (customer, name), mark in newest.items():
        if set_last.get((customer, name)) != mark:
            check.lost.append(f"profile {customer}: {name} of {mark}, found {set_last.get((customer, name))}")


def _check_customers(acted: list[Sent], check: TrafficCheck) -> None:
    last: dict[str, Sent] = {}
    for record in acted:
        if record.kind in ("orders", "events") and record.poison is None:
            before = last.get(record.customer)
            if before is not None and before.at > record.at:
                check.disorder.append(f"customer {record.customer}: {record.mark} after {before.mark}")
            last[record.customer] = record
