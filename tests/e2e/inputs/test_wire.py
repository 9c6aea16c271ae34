"""What reaches the API is what stood in the file: odd ids, exact amounts, and the same from every format."""

import csv
import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_talonone.schemas.avro import avro_schema
from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    SESSION,
    Json,
    assert_balanced,
    backfill,
    call,
    cli,
    dead_letters,
    event,
    order,
    profile,
    returned,
    simulator,
    start,
    write,
    write_kinds,
)

IDS = (
    "a/b", "a//b/", "/", "%", "%2F", "100%25", "a?b=c&d", "#", "a#b", " ", " a  b ", '"', "'\"`", "\\", "a\tb",
    "a\nb", "🛒", "𝓞rder-ß-é", "e\u0301", "\u00e9", "漢字", "+", "a+b", ";,:@&=$!*()[]{}|^~<>", ".", "..", "...",
    "./..", "-", "0", "null", "x" * 1000, "é" * 1000, "🛒" * 1000,
)  # fmt: skip

AMOUNTS = (
    "19.99", "0.1", "0.2", "0.3", "0.30", "100", "100.00", "0", "0.000000001", "1E+2", "2.5e-3", "-4.90",
    "12345678901234567890.123456789", "4.35", "1.005", "9999999999999.99",
)  # fmt: skip

TYPED: dict[str, list[Json]] = {
    "orders": [
        *(
            order(id_, f"customer {id_}"[:1000], "completed", index)
            for index, id_ in enumerate(IDS)
        ),
        *(
            order(
                f"amount-{index}", f"payer-{index}", "completed", 1,
                items=[{"sku": "shirt", "quantity": 3, "unit_price": text, "weight": text}],
                additional_costs={"shipping": text},
            )
            for index, text in enumerate(AMOUNTS)
        ),
        order("guest", None, "open", 2, coupon_codes=[], store_id="s1", loyalty_card="card", referral_code="R"),
        order(
            "full", "fay", "completed", 3, version=7, identifiers=["i1", "i2"], coupon_codes=["A", "B"],
            attributes={"channel": "web", "gift": True, "weight": 0.1, "boxes": 3, "tags": ["a", "b"]},
            items=[
                {"sku": "shirt", "quantity": 1, "unit_price": "19.99", "name": "Shirt", "category": "Tops",
                 "product": {"name": "Shirt"}, "attributes": {"size": "M"}, "additional_costs": {"wrap": "0.1"}},
            ],
        ),
    ],
    "returns": [returned(f"r {id_}"[:1000], id_, 100, customer_id=None) for id_ in IDS]
    + [{"return_id": "by-place", "order_id": "full", "event_time": "2026-05-03T00:00:00Z",
        "items": [{"position": 0, "quantity": 1}]}],
    "profiles": [
        *(profile(id_, 200, {"tier": id_}) for id_ in IDS),
        profile("fay", 201, {"tier": "gold", "city": "Wien"}, version=3),
        profile("fay", 202, None, audiences={"add": [1, 2], "remove": [3]}),
        profile("gone", 203, None, erase=True),
    ],
    "events": [event(id_, id_, 300, attributes={"text": id_}) for id_ in IDS],
    "calls": [
        call(f"c {id_}"[:1000], "update_customer_profile_v2", 400, path={"integrationId": id_},
             query={"runRuleEngine": "true"}, body={"attributes": {"weight": 1}})
        for id_ in IDS
    ],
}  # fmt: skip
"""Records that every format can carry."""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _amounts(value: Any) -> Any:
    """Amounts as decimals and times as datetimes, as typed files have them."""
    if isinstance(value, list):
        return [_amounts(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, entry in value.items():
        if name in ("unit_price", "weight") and isinstance(entry, str):
            made[name] = Decimal(entry)
        elif name == "additional_costs":
            made[name] = {cost: Decimal(amount) for cost, amount in entry.items()}
        elif name == "event_time":
            made[name] = _moment(entry)
        else:
            made[name] = _amounts(entry)
    return made


def _jsonl(kind: str, folder: Path) -> Path:
    return write(folder / f"{kind}.jsonl", TYPED[kind])


def _gz(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(json.dumps(record).encode() + b"\n" for record in TYPED[kind])))
    return path


def _text_body(record: Json) -> Json:
    return record | {"body": json.dumps(record["body"])} if "body" in record else record


def _avro(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.avro"
    with path.open("wb") as file:
        fastavro.writer(file, avro_schema(kind), [_text_body(_amounts(record)) for record in TYPED[kind]])
    return path


def _parquet(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.parquet"
    columns = dict.fromkeys(name for record in TYPED[kind] for name in record)
    rows = [dict.fromkeys(columns) | _text_body(_amounts(record)) for record in TYPED[kind]]
    schema = None
    if kind == "orders":
        amount = pa.decimal128(38, 9)
        costs = pa.map_(pa.string(), amount)
        item = pa.struct(
            [
                ("sku", pa.string()), ("quantity", pa.int64()), ("unit_price", amount), ("weight", amount),
                ("name", pa.string()), ("category", pa.string()), ("product", pa.struct([("name", pa.string())])),
                ("attributes", pa.map_(pa.string(), pa.string())), ("additional_costs", costs),
            ]
        )  # fmt: skip
        attributes = [
            ("channel", pa.string()), ("gift", pa.bool_()), ("weight", pa.float64()), ("boxes", pa.int64()),
            ("tags", pa.list_(pa.string())),
        ]  # fmt: skip
        schema = pa.schema(
            [
                ("order_id", pa.string()), ("customer_id", pa.string()), ("status", pa.string()),
                ("event_time", pa.timestamp("us", tz="Europe/Vienna")), ("version", pa.int32()),
                ("items", pa.list_(item)), ("coupon_codes", pa.list_(pa.string())), ("store_id", pa.string()),
                ("loyalty_card", pa.string()), ("referral_code", pa.string()),
                ("identifiers", pa.list_(pa.string())), ("additional_costs", costs),
                ("attributes", pa.struct(attributes)),
            ]
        )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def _csv(kind: str, folder: Path) -> Path:
    if kind not in ("profiles", "events"):
        return _jsonl(kind, folder)
    flat = []
    for record in TYPED[kind]:
        cells = {}
        for name, value in record.items():
            if isinstance(value, dict):
                for inner, cell in value.items():
                    cells[f"{name}.{inner}"] = cell if isinstance(cell, str) else json.dumps(cell)
            else:
                cells[name] = value if isinstance(value, str) else json.dumps(value)
        flat.append(cells)
    path = folder / f"{kind}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for cells in flat for name in cells)))
        writer.writeheader()
        writer.writerows(flat)
    return path


FORMATS = {"jsonl": _jsonl, "gz": _gz, "avro": _avro, "parquet": _parquet, "csv": _csv}


@dataclass
class Sent:
    code: int
    err: str
    output: Path
    ledger: list[Json]
    text: str
    sessions: dict[str, Json]
    profiles: dict[str, Json]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sent]]:
    """All records in each format, each to a simulator of its own, all at once: it is starting that takes long."""
    with ExitStack() as stack:
        under_way = {}
        for name, writer in FORMATS.items():
            folder = tmp_path_factory.mktemp(name)
            inputs = {kind: writer(kind, folder) for kind in TYPED}
            sim = stack.enter_context(simulator())
            under_way[name] = (sim, folder / "out", start(*backfill(sim.url, inputs, folder / "out")))
        found = {}
        for name, (sim, output, process) in under_way.items():
            ended = process.end()
            found[name] = Sent(
                ended.code, ended.err, output, sim.rows("ledger"), sim.text("ledger"), sim.sessions(), sim.profiles()
            )
        yield found


@pytest.mark.parametrize("name", FORMATS)
def test_all_is_applied(sent: dict[str, Sent], name: str) -> None:
    assert dead_letters(sent[name].output) == []
    assert sent[name].code == FINISHED, sent[name].err
    report = assert_balanced(sent[name].output)
    assert {kind: counts["applied"] for kind, counts in report["kinds"].items()} == {
        kind: len(records) for kind, records in TYPED.items()
    }


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "jsonl"])
def test_every_format_gives_the_same_ledger(sent: dict[str, Sent], name: str) -> None:
    def requests_of(one: Sent) -> list[str]:
        wanted = ("operation", "session", "profiles", "key", "path", "query", "body")
        # decimals by value: equal ones have equal hashes, but not equal texts
        return sorted(
            json.dumps({field: row[field] for field in wanted}, sort_keys=True, default=lambda d: str(d.normalize()))
            for row in one.ledger
        )

    assert requests_of(sent[name]) == requests_of(sent["jsonl"])


@pytest.mark.parametrize("id_", IDS, ids=lambda id_: ascii(id_[:12]))
def test_odd_ids_arrive_whole(sent: dict[str, Sent], id_: str) -> None:
    one = sent["jsonl"]
    assert one.sessions[id_]["profileId"] == f"customer {id_}"[:1000]
    assert one.sessions[id_]["returns"] == 1
    assert one.profiles[id_]["attributes"] == {"tier": id_, "weight": 1}
    assert one.profiles[id_]["events"] == 1


def test_no_other_ids_arrive(sent: dict[str, Sent]) -> None:
    assert set(sent["jsonl"].sessions) == {record["order_id"] for record in TYPED["orders"]}


@pytest.mark.parametrize(("index", "text"), list(enumerate(AMOUNTS)))
def test_amounts_are_exact(sent: dict[str, Sent], index: int, text: str) -> None:
    (row,) = (row for row in sent["jsonl"].ledger if row["session"] == f"amount-{index}")
    session = row["body"]["customerSession"]
    assert session["cartItems"][0]["price"] == Decimal(text)
    assert session["cartItems"][0]["weight"] == Decimal(text)
    assert session["additionalCosts"] == {"shipping": {"price": Decimal(text)}}


def test_the_digits_on_the_wire(sent: dict[str, Sent]) -> None:
    for digits in (
        '"price":19.99,',
        '"price":0.1,',
        '"price":0.2,',
        '"price":0.3,',
        '"price":12345678901234567890.123',
    ):
        assert digits in sent["jsonl"].text, digits
        assert digits in sent["parquet"].text, digits


def test_numbers_in_json_keep_their_digits(tmp_path: Path) -> None:
    digits = ("19.99", "0.1", "0.2", "0.30", "1e-7", "12345678901234567890.5", "1.7976931348623157e308", "3", "-0.0")
    records = [
        f'{{"customer_id": "p{index}", "event_time": "2026-05-01T00:00:00Z", "attributes": {{"n": {text}}}}}'
        for index, text in enumerate(digits)
    ]
    priced = [
        json.dumps(order(f"o{index}", "c", "completed", index)).replace('"19.99"', text)
        for index, text in enumerate(("19.99", "0.1", "0.2", "1e-7", "1999e-2"))
    ]
    with simulator() as sim:
        inputs = write_kinds(tmp_path, {"profiles": records, "orders": priced})
        assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == FINISHED
        values = [row["attributes"]["n"] for row in sim.rows("profiles") if row["id"].startswith("p")]
        assert values == [json.loads(text, parse_float=Decimal) for text in digits]
        prices = [row["body"]["customerSession"]["cartItems"][0]["price"] for row in sim.acted(SESSION)]
        assert prices == [Decimal(text) for text in ("19.99", "0.1", "0.2", "1e-7", "19.99")]
        assert '"n":0.30' in sim.text("ledger"), "attributes go as they are"


def test_files_that_break_off_cost_themselves_only(tmp_path: Path) -> None:
    orders = [order(f"o{index}", f"c{index}", "completed", index) for index in range(3000)]
    for record in orders:  # text that does not compress to nothing, so that the cut leaves some of it
        record["attributes"] = {"note": f"{hash(record['order_id']):x}{hash((record['order_id'], 1)):x}"}
    good = orders[:1000]
    write(tmp_path / "a.jsonl", good[:500])
    whole = gzip.compress(b"".join(json.dumps(record).encode() + b"\n" for record in orders[1000:2000]))
    (tmp_path / "b.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.jsonl.gz").write_bytes(b"\x1f\x8bthis is no gzip")
    start_ = datetime(2026, 5, 1, tzinfo=UTC)
    profiles = [
        {"customer_id": f"p{index}", "event_time": start_ + timedelta(seconds=index), "attributes": {"tier": "gold"}}
        for index in range(1000)
    ]
    for name, part in (("good-1", profiles[:300]), ("bad", profiles[300:700]), ("good-2", profiles[700:])):
        with (tmp_path / f"{name}.avro").open("wb") as file:
            fastavro.writer(file, avro_schema("profiles"), part, sync_interval=2000)
    damaged = bytearray((tmp_path / "bad.avro").read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    (tmp_path / "bad.avro").write_bytes(damaged)
    write(tmp_path / "d.jsonl", [*good[500:], b"{broken", b"\xff\xfe", b"[1]", b""])
    with simulator() as sim:
        inputs = {"orders": tmp_path / "*.jsonl*", "profiles": tmp_path / "*.avro"}
        ended = cli(*backfill(sim.url, inputs, tmp_path / "out"))
        assert ended.code == DEAD_LETTERS, ended.err
        report = assert_balanced(tmp_path / "out")
        dead = dead_letters(tmp_path / "out")
        sessions, customers = sim.sessions(), sim.profiles()
    by_file = {
        (dead_letter["reason"], Path(dead_letter["source"]["file"]).name): dead_letter["source"]["position"]
        for dead_letter in dead
    }
    broke_off = by_file.pop(("unreadable_file", "b.jsonl.gz"))
    damaged_at = by_file.pop(("unreadable_file", "bad.avro"))
    assert by_file.pop(("unreadable_file", "c.jsonl.gz")) == 1
    assert {dead_letter["record"] for dead_letter in dead if dead_letter["reason"] == "not_json"} == {
        "{broken",
        "\ufffd\ufffd",
    }
    assert {
        dead_letter["source"]["position"] for dead_letter in dead if dead_letter["reason"] == "not_an_object"
    } == {503}
    assert len(dead) == 6
    assert set(sessions) == {record["order_id"] for record in good + orders[1000 : 1000 + broke_off - 1]}
    assert broke_off > 100
    kept = {one["customer_id"] for one in profiles[:300] + profiles[300 : 300 + damaged_at - 1] + profiles[700:]}
    assert kept == set(customers) - {record["customer_id"] for record in orders}
    assert damaged_at > 50
    assert report["kinds"]["orders"]["applied"] == len(sessions)
