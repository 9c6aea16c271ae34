"""What became of the traffic, by the simulator's ledger and the dead letters: lost, doubled, out of order."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .traffic import Sent, Traffic

HARMLESS = "profiles"
"""Setting the same attributes again is not counted as twice."""


@dataclass
class Verdict:
    """`lost`, `doubled`, `disorder` and `letters` name what is wrong; nothing is when all are empty."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def wrong(self) -> dict[str, list[str]]:
        found = {"lost": self.lost, "doubled": self.doubled, "disorder": self.disorder, "letters": self.letters}
        return {name: problems[:10] for name, problems in found.items() if problems}


def judge(
    traffic: Traffic,
    ledger: Iterable[Mapping[str, Any]],
    letters: Iterable[Mapping[str, Any]],
    *,
    by_customer: bool = True,
) -> Verdict:
    """`ledger` are the simulator's rows in the order of acting. `by_customer`: whether events and orders of a
    customer must have left in the order of time, which they must when none came later than the settling time."""
    verdict = Verdict()
    records = {(record.kind, record.mark): record for record in traffic.records}
    rows = list(ledger)
    acted = [mark for row in rows for mark in marks_of(row)]
    counts = Counter(acted)
    dead = _judge_letters(traffic, list(letters), verdict)
    for record in records.values():
        times = counts[record.kind, record.mark]
        verdict.counts[record.kind] += 1
        if times > 1 and record.kind != HARMLESS:
            verdict.doubled.append(f"{record.kind} {record.mark}: {times} times")
        if times and (record.kind, record.mark) in dead:
            verdict.doubled.append(f"{record.kind} {record.mark}: acted, and is a dead letter")
    known = [records[mark] for mark in acted if mark in records]
    _judge_orders(records.values(), known, dead, verdict)
    _judge_changes(records.values(), rows, verdict)
    for record in records.values():
        gone = counts[record.kind, record.mark] or (record.kind, record.mark) in dead
        if record.poison is None and record.kind in ("returns", "events", "calls") and not gone:
            verdict.lost.append(f"{record.kind} {record.mark}")
    if by_customer:
        _judge_customers(known, verdict)
    return verdict


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


def _judge_letters(
    traffic: Traffic, letters: list[Mapping[str, Any]], verdict: Verdict
) -> dict[tuple[str, str], str]:
    """The dead letters of good records, which need a reason of their own; those of poison are held against it."""
    wanted = Counter((record.kind, record.poison) for record in traffic.records if record.poison is not None)
    of_good: dict[tuple[str, str], str] = {}
    ids = Counter((letter["source"]["subscription"], letter["source"]["message_id"]) for letter in letters)
    verdict.letters += [f"{message} has {times} letters" for message, times in ids.items() if times > 1]
    for letter in letters:
        sort = (letter["kind"], letter["reason"])
        verdict.counts[f"letters: {letter['reason']}"] += 1
        if wanted[sort] > 0:
            wanted[sort] -= 1
        elif letter["reason"] in ("outcome_unknown", "retries_exhausted"):
            of_good[letter["kind"], _mark_of(letter)] = str(letter["reason"])
        else:
            verdict.letters.append(f"{letter['kind']} {letter['id']}: {letter['reason']} ({letter['detail']})")
    verdict.lost += [
        f"{kind}: {count} letters {reason} are missing" for (kind, reason), count in wanted.items() if count
    ]
    return of_good


def _mark_of(letter: Mapping[str, Any]) -> str:
    record = letter["record"]
    if letter["kind"] == "orders":
        return str(record["items"][0]["sku"])
    if letter["kind"] == "profiles":
        return str(next(iter(record["attributes"].values())))
    return str(letter["id"])


def _judge_orders(
    records: Iterable[Sent], acted: list[Sent], dead: Mapping[tuple[str, str], str], verdict: Verdict
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
                verdict.disorder.append(f"order {record.mark} after {before.mark}")
            last[record.session] = record
    verdict.lost += [f"orders {record.mark}" for record in newest.values() if last.get(record.session) != record]
    returned = {record.session for record in acted if record.kind == "returns"}
    verdict.disorder += [f"return of {session}, which is not there" for session in returned - last.keys()]


def _judge_changes(records: Iterable[Sent], rows: Iterable[Mapping[str, Any]], verdict: Verdict) -> None:
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
                    verdict.disorder.append(f"profile {where}: {mark} after {set_last[where]}")
                set_last[where] = mark
    for (customer, name), mark in newest.items():
        if set_last.get((customer, name)) != mark:
            verdict.lost.append(f"profile {customer}: {name} of {mark}, found {set_last.get((customer, name))}")


def _judge_customers(acted: list[Sent], verdict: Verdict) -> None:
    last: dict[str, Sent] = {}
    for record in acted:
        if record.kind in ("orders", "events") and record.poison is None:
            before = last.get(record.customer)
            if before is not None and before.at > record.at:
                verdict.disorder.append(f"customer {record.customer}: {record.mark} after {before.mark}")
            last[record.customer] = record
