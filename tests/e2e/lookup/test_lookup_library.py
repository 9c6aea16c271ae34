"""LookupTalonOne in a pipeline of somebody's own, and calls that must not go twice when a bundle is tried again."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_talonone import ConfigurationError, LookupTalonOne, TalonOneError, WriteToTalonOne
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.transforms.runtime.engines import EngineConfig, close_engine, engine_config
from beam_talonone.transforms.sink.write_steps import SendLanes, ValidateRecords
from e2e.harness import KEY, Json, Simulator, call, lines, simulator, wait_until

TRANSACTIONS, BALANCES = "get_loyalty_program_profile_transactions", "get_loyalty_balances"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.delenv("TALONONE_BASE_URL", raising=False)


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator(latency_ms=2) as sim:
        yield sim


class Tell(beam.DoFn):  # type: ignore[misc]
    """Appends what comes to a file, with its window and timestamp."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def process(
        self, one: Any, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> None:
        place = {"timestamp": float(timestamp), "window": [float(window.start), float(window.end)]}
        with open(self._path, "a") as file:
            file.write(json.dumps({"one": one, **place}) + "\n")


def run(sim: Simulator, folder: Path, elements: list[Any], operation: str, *more: Any, **settings: Any) -> None:
    """Look up `elements`, each of which is (value, timestamp), in windows of a minute."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        looked = (
            pipeline
            | beam.Create(elements)
            | beam.Map(lambda element: TimestampedValue(element[0], element[1]))
            | beam.WindowInto(FixedWindows(60))
            | LookupTalonOne(operation, *more, base_url=sim.url, rate=2000, **settings)
        )
        _ = looked.found | "Tell found" >> beam.ParDo(Tell(folder / "found"))
        _ = looked.dead_letters | "Tell dead" >> beam.ParDo(Tell(folder / "dead"))


def test_enrichment(sim: Simulator, tmp_path: Path) -> None:
    """An element of any type comes back with its lookup result, in its own window and with its own timestamp."""
    for customer, rows in (("p", 2347), ("q", 3)):
        sim.put_rows(rows, profile=customer)
    elements: list[Any] = [
        ({"id": "p", "cart": [1.5, None]}, 10.0),
        ({"id": "q", "cart": []}, 70.5),
        ({"id": "nobody", "cart": []}, 130.0),
        ({"id": "", "cart": []}, 190.0),
        ({"id": None, "cart": []}, 250.0),
        ({"id": "q", "cart": ["again"]}, 310.0),
    ]
    elements += [({"id": "q", "cart": [number]}, 1000.0 + number) for number in range(200)]

    def asks(order: Json) -> Any:
        path = {"loyaltyProgramId": 1, "integrationId": order["id"]}
        return {"path": path, "lookup_id": "x"} if order["id"] is not None else 3

    run(sim, tmp_path, elements, TRANSACTIONS, asks)
    found, dead = lines(tmp_path, "found"), lines(tmp_path, "dead")
    by_time = {line["timestamp"]: line for line in found + dead}
    assert len(by_time) == len(found) + len(dead) == len(elements)
    for element, at in elements:
        assert by_time[at]["window"] == [at // 60 * 60, at // 60 * 60 + 60]
        one = by_time[at]["one"]
        assert one.get("element", one.get("record")) == element
    counted = {
        line["timestamp"]: (line["one"]["status"], line["one"]["pages"], len(line["one"]["response"].get("data", [])))
        for line in found
    }
    assert [counted[at] for at in (10.0, 70.5, 130.0, 310.0)] == [
        (200, 3, 2347),
        (200, 1, 3),
        (404, 1, 0),
        (200, 1, 3),
    ]
    assert set(found[0]["one"]) == {
        "lookup_id", "operation", "path", "query", "status", "pages", "response", "element",
    }  # fmt: skip
    reasons = {line["timestamp"]: (line["one"]["reason"], line["one"]["pointer"]) for line in dead}
    assert set(reasons) == {190.0, 250.0}
    assert reasons[190.0] == ("invalid_field", "/path/integrationId")
    assert reasons[250.0][0] in ("bad_row", "not_an_object")
    assert {line["one"]["kind"] for line in dead} == {"lookups"}
    assert len(sim.rows("requests")) == 3 + 1 + 1 + 1 + 200


def test_the_elements_are_the_lookups(sim: Simulator, tmp_path: Path) -> None:
    sim.put_rows(3, profile="p")
    path = {"loyaltyProgramId": 1, "integrationId": "p"}
    elements = [
        ({"path": path, "lookup_id": "a"}, 1.0),
        ({"path": {}}, 2.0),
        ({"path": path, "query": {"x": 1}}, 3.0),
    ]
    sim.faults("5xx:share=0.3", "cut-after:share=0.2")
    run(sim, tmp_path, elements, BALANCES)
    (found,) = lines(tmp_path, "found")
    assert "element" not in found["one"]
    assert found["one"]["response"]["balance"]["activePoints"] > 0
    assert [line["one"]["reason"] for line in lines(tmp_path, "dead")] == ["invalid_lookup"] * 2
    assert {line["one"]["source"]["step"] for line in lines(tmp_path, "dead")} == {f"LookupTalonOne({BALANCES})"}


def test_a_wrong_key_fails_the_pipeline(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "wrong-key-13bc")
    elements = [({"path": {"loyaltyProgramId": 1, "integrationId": "p"}}, 1.0)]
    with pytest.raises(Exception, match="401") as raised:
        run(sim, tmp_path, elements, BALANCES, api_key_env="OTHER_KEY")
    assert "wrong-key-13bc" not in str(raised.value)
    monkeypatch.delenv("OTHER_KEY")
    with pytest.raises(Exception, match="OTHER_KEY"):
        run(sim, tmp_path, elements, BALANCES, api_key_env="OTHER_KEY", concurrency=3)
    assert lines(tmp_path, "*") == []


def test_settings_are_checked_while_the_pipeline_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="TALONONE_BASE_URL"):
        LookupTalonOne(BALANCES)
    monkeypatch.setenv("TALONONE_BASE_URL", "http://127.0.0.1:9")
    LookupTalonOne(BALANCES)
    for settings, word in (
        ({"operation": "get_everything"}, "get_customer_session"),
        ({"operation": "create_referral"}, "writes"),
        ({"base_url": "ftp://x"}, "ftp"),
        ({"rate": 0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"concurrency": 0}, "concurrency"),
    ):
        with pytest.raises(ConfigurationError, match=word):
            LookupTalonOne(**{"operation": BALANCES, **settings})


class Bundles:
    """The steps of WriteToTalonOne("calls") in this process, a bundle at a time, as a worker runs them."""

    def __init__(self, sim: Simulator, **settings: Any) -> None:
        self.sim = sim
        values: Json = {"rate": 2000.0, "concurrency": 8, "give_up_after": 300.0, **settings}
        self.config: EngineConfig = engine_config(sim.url, "TALONONE_API_KEY", **values)

    def run(self, records: list[Json], until: int | None = None) -> list[Any]:
        """One bundle of all `records`; gives what came out. With `until` the bundle is lost after so many records:
        what they led to is never told, as when a worker's answer does not arrive."""
        send = SendLanes(self.config, SendOptions(), "step", "job")
        prepared = self._prepared(records)
        send.start_bundle()
        if until is not None:
            for _ in send.process(("calls", prepared[:until])):
                pass
            return []
        found = list(send.process(("calls", prepared)))
        return [self._value(one) for one in [*found, *send.finish_bundle()]]

    def _prepared(self, records: list[Json]) -> list[Any]:
        write: Any = WriteToTalonOne("calls", base_url=self.config.settings.base_url)
        validate = ValidateRecords("calls", write._build, AS_USUAL, "step", "job")
        validate.setup()
        return [packed for record in records for _, packed in validate.process(record)]

    @staticmethod
    def _value(one: Any) -> Json:
        value = getattr(one, "value", one)
        found: Json = getattr(value, "value", value)
        return found


def referral(number: int, **more: Any) -> Json:
    body = {"campaignId": 1, "advocateProfileIntegrationId": f"a{number}", **more}
    return call(f"r{number}", "create_referral", number, body=body)


def outcomes_by_id(found: list[Json]) -> dict[str, str]:
    return {one["id"]: one.get("reason") or one["outcome"] for one in found}


def sent(sim: Simulator) -> Counter[str]:
    return Counter(row["body"]["advocateProfileIntegrationId"] for row in sim.acted("create_referral"))


@pytest.fixture
def bundles() -> Iterator[Bundles]:
    """On a simulator of their own: a process remembers for each address what must not go there twice."""
    with simulator(latency_ms=2) as sim:
        made = Bundles(sim)
        yield made
        close_engine(made.config)


def test_a_bundle_that_is_tried_again_sends_nothing_twice(bundles: Bundles) -> None:
    sim, records = bundles.sim, [referral(number) for number in range(40)]
    sim.faults("cut-after:share=0.2", "storm:share=0.1")
    first = outcomes_by_id(bundles.run(records))
    again = outcomes_by_id(bundles.run(records))
    assert set(sent(sim).values()) == {1}
    assert len(sent(sim)) == 40
    assert again == first
    assert set(first.values()) == {"applied", "outcome_unknown"}


def test_a_bundle_that_is_lost_after_it_was_sent(bundles: Bundles) -> None:
    """All had left when the bundle was lost: what was answered keeps its outcome, the rest is unknown."""
    sim, records = bundles.sim, [referral(number) for number in range(40)]
    sim.faults("latency:ms=40")
    bundles.run(records, until=8)
    wait_until(lambda: sim.summary()["requests"] >= 8, "all have left")
    found = outcomes_by_id(bundles.run(records))
    assert set(sent(sim).values()) == {1}
    assert len(sent(sim)) == 40
    assert set(found) == {f"r{number}" for number in range(40)}
    assert set(found.values()) <= {"applied", "outcome_unknown"}
    assert {name for name, what in found.items() if what == "outcome_unknown"} <= {
        f"r{number}" for number in range(8)
    }


def test_a_bundle_that_is_lost_while_records_wait(bundles: Bundles) -> None:
    """A step behind raised, so the bundle is tried again; what it had handed over goes on by itself meanwhile."""
    sim, records = bundles.sim, [referral(number) for number in range(40)]
    sim.faults("latency:ms=150")
    bundles.run(records, until=25)
    wait_until(lambda: sim.summary()["acted"] >= 8, "some were sent")
    found = outcomes_by_id(bundles.run(records))
    assert {name for name, number in sent(sim).items() if number > 1} == set(), "sent twice"
    assert set(found) == {f"r{number}" for number in range(40)}


def test_the_same_with_what_holds_nothing(bundles: Bundles) -> None:
    """A card without identifier and customers, an audience without a name from outside: no key orders them."""
    sim, records = (
        bundles.sim,
        [
            call(
                f"k{number}", "generate_loyalty_card", number, path={"loyaltyProgramId": 1}, body={"status": "active"}
            )
            for number in range(40)
        ],
    )
    sim.faults("latency:ms=150")
    bundles.run(records, until=25)
    wait_until(lambda: sim.summary()["acted"] >= 8, "some were sent")
    bundles.run(records)
    assert len(sim.rows("cards")) == 40


def test_a_refused_call_may_go_later(bundles: Bundles) -> None:
    """A definite refusal is no danger: in a later pipeline of the same process it is sent again."""
    card = call("k", "generate_loyalty_card", path={"loyaltyProgramId": 1}, body={"customerProfileIds": ["c"]})
    wrong = referral(1) | {"body": referral(1)["body"] | {"campaignId": 99}}
    assert outcomes_by_id(bundles.run([wrong, card])) == {"r1": "refused", "k": "applied"}
    assert outcomes_by_id(bundles.run([wrong])) == {"r1": "refused"}
    assert sum(row["operation"] == "create_referral" for row in bundles.sim.rows("requests")) == 2


def test_a_bundle_that_failed_with_its_engine(sim: Simulator) -> None:
    """The API was gone for too long, the bundle failed and is tried again in the same process, by a new engine."""
    bundles = Bundles(sim, give_up_after=1.0)
    records: list[Json] = [referral(number) for number in range(40)]
    sim.faults("outage:from-request=21")  # later ones are refused before they act
    with pytest.raises(TalonOneError):
        bundles.run(records)
    done = set(sent(sim))
    assert len(done) >= 20
    sim.faults()
    found = outcomes_by_id(bundles.run(records))
    close_engine(bundles.config)
    assert {name for name, number in sent(sim).items() if number > 1} == set(), "sent twice"
    assert set(found.values()) <= {"applied", "outcome_unknown"}


def test_a_reused_id_in_a_later_bundle(bundles: Bundles) -> None:
    """The same id with other content is reported, and does not count as applied, because nothing was sent."""
    assert outcomes_by_id(bundles.run([referral(1)])) == {"r1": "applied"}
    assert outcomes_by_id(bundles.run([referral(1, usageLimit=5)])) == {"r1": "id_reused"}
