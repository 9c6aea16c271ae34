"""WriteToTalonOne on Beam's in-process runner, against the simulator: each record ends in exactly one output."""

import re
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to, is_empty
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from e2e.harness import KEY, SESSION, call, event, order, profile, returned

from beam_talonone import ConfigurationError, WriteToTalonOne

URL = "https://yourcompany.europe-west1.talon.one"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.delenv("TALONONE_BASE_URL", raising=False)


def pipeline():
    # Named, because DirectRunner first looks for Prism
    return test_pipeline.TestPipeline(runner="FnApiRunner")


def write(created, kind, api, **settings):
    return created | WriteToTalonOne(kind, base_url=api.url, rate=2000, **settings)


def without(record, name):
    return {field: value for field, value in record.items() if field != name}


def ends(lines, name):
    """(id, outcome or reason) of each line of an output."""
    return lines | f"ends of {name}" >> beam.Map(lambda line: (line["id"], line.get("outcome") or line["reason"]))


def test_each_record_is_in_exactly_one_output(api):
    first = order("o1", "c1", "completed", 1)
    records = [
        first,
        first,
        order("o2", "c1", "open", 1),
        order("o2", "c1", "completed", 2),
        order("o3", "c2", "cancelled", 1),
        order("o4", "c2", "completed", 1, attributes={"bad": 1}),
        {"order_id": "o5", "status": "open"},
    ]
    with pipeline() as started:
        applied, dead_letters, others = write(started | beam.Create(records), "orders", api)
        assert_that(
            ends(applied, "applied"), equal_to([("o1", "applied"), ("o2", "applied"), ("o2", "applied")]), "applied"
        )
        assert_that(
            ends(dead_letters, "dead letters"),
            equal_to([("o4", "unknown_attribute"), ("o5", "missing_field")]),
            "dead",
        )
        assert_that(ends(others, "others"), equal_to([("o1", "duplicate"), ("o3", "skipped")]), "others")
    assert {id: session["state"] for id, session in api.sessions().items()} == {"o1": "closed", "o2": "closed"}


@pytest.mark.parametrize(
    ("kind", "record", "operation"),
    [
        ("orders", order("o", "c"), "update_customer_session_v2"),
        ("returns", returned("r", "sold"), "return_cart_items"),
        ("profiles", profile("c", 1, {"city": "Kiel"}), "update_customer_profiles_v2"),
        ("events", event("e", "c"), "track_event_v2"),
        ("calls", call("k", "delete_audience_v2", path={"audienceId": 7}), "delete_audience_v2"),
    ],
)
def test_each_kind_is_applied_by_its_operation(api, kind, record, operation):
    api.put_session("sold", state="closed", cartItems=[{"sku": "shirt", "quantity": 2}])
    before = len(api.rows("ledger"))
    with pipeline() as started:
        written = write(started | beam.Create([record]), kind, api)
        line = written.applied | beam.Map(lambda line: (line["kind"], line["operation"], line["outcome"]))
        assert_that(line, equal_to([(kind, operation, "applied")]), "applied")
        assert_that(written.dead_letters, is_empty(), "no dead letters")
        assert_that(written.others, is_empty(), "no others")
    assert [row["operation"] for row in api.rows("ledger")[before:]] == [operation]


@pytest.mark.parametrize(
    ("record", "stage", "reason", "pointer", "status"),
    [
        ({"event_id": "e"}, "validate", "missing_field", "/event_time", None),
        (event("e", "c", type=1), "validate", "invalid_field", "/type", None),
        (without(event("e", "c", custmer_id="c"), "customer_id"), "validate", "misnamed_field", "/custmer_id", None),
        (event("e", "c", attributes={"bad": 1}), "send", "unknown_attribute", "/attributes/bad", 400),
    ],
)
def test_a_dead_letter_has_the_record_and_the_reason(api, record, stage, reason, pointer, status):
    names = ("kind", "id", "stage", "reason", "pointer", "status", "source", "record")
    expected = ("events", "e", stage, reason, pointer, status, {"step": "My events"}, record)
    with pipeline() as started:
        step = WriteToTalonOne("events", base_url=api.url)
        written = started | beam.Create([record]) | "My events" >> step
        assert_that(
            written.dead_letters | beam.Map(lambda line: tuple(line[name] for name in names)), equal_to([expected])
        )
        assert_that(written.applied, is_empty(), "none applied")
    assert api.rows("ledger") == []


def test_dead_letters_continue_as_elements_and_fail_nothing(api):
    """The whole input is bad, and the pipeline still ends well, with the dead letters in a step of the user's."""
    with pipeline() as started:
        written = write(started | beam.Create([{"order_id": str(number)} for number in range(30)]), "orders", api)
        count = written.dead_letters | beam.Map(lambda line: line["reason"]) | beam.combiners.Count.PerElement()
        assert_that(count, equal_to([("missing_field", 30)]))
    assert api.rows("requests") == []


def test_versions_of_an_order_are_sent_in_the_order_of_their_times(api):
    records = [order("o", "c", "open", hour, attributes={"hour": hour}) for hour in (3, 1, 4, 2)]
    with pipeline() as started:
        written = write(started | beam.Create(records), "orders", api)
        assert_that(ends(written.applied, "applied"), equal_to([("o", "applied")] * 4))
    bodies = [row["body"]["customerSession"] for row in api.acted(SESSION, session="o")]
    assert [body["attributes"]["hour"] for body in bodies] == [1, 2, 3, 4]


def test_the_same_id_with_other_content_is_a_dead_letter(api):
    records = [event("e", "c", 1), event("e", "c", 1, type="other")]
    with pipeline() as started:
        written = write(started | beam.Create(records), "events", api)
        assert_that(ends(written.applied, "applied"), equal_to([("e", "applied")]), "applied")
        assert_that(ends(written.dead_letters, "dead letters"), equal_to([("e", "id_reused")]), "dead")
    assert len(api.rows("ledger")) == 1


@pytest.mark.parametrize(("results", "silent", "status"), [(True, "no", 200), (False, "yes", 204)])
def test_effects_are_requested_with_results(api, results, silent, status):
    with pipeline() as started:
        written = write(started | beam.Create([event("e", "c")]), "events", api, results=results)
        line = written.applied | beam.Map(lambda line: (line["status"], line["effects"]))
        assert_that(line, equal_to([(status, [])]))
    [row] = api.rows("ledger")
    assert row["query"]["silent"] == silent


def test_a_refused_key_fails_the_pipeline_and_makes_no_dead_letters(api, monkeypatch, tmp_path):
    monkeypatch.setenv("OTHER_KEY", "another-key-5d1e")
    started = pipeline()
    written = write(started | beam.Create([order("o", "c")]), "orders", api, api_key_env="OTHER_KEY")
    _ = written.dead_letters | beam.Map(str) | beam.io.WriteToText(str(tmp_path / "dead-letters"))
    with pytest.raises(Exception, match="401") as raised:
        started.run()
    assert "another-key-5d1e" not in str(raised.value)
    assert [path.read_text() for path in tmp_path.glob("dead-letters*") if path.is_file()] == []
    assert api.rows("ledger") == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "order"}, "kind is one of orders, returns, profiles, events, calls, not 'order'"),
        ({"base_url": None}, "no base URL: give base_url or set TALONONE_BASE_URL"),
        ({"base_url": "ftp://talon.one"}, "base_url: the base URL 'ftp://talon.one' must look like " + URL),
        ({"rate": 0}, "rate is a number above 0 and below 1,000,000, not 0"),
        ({"concurrency": True}, "concurrency is a whole number above 0 and below 1,000,000, not True"),
        ({"give_up_after": -1}, "give_up_after is a number above 0 and below 1,000,000, not -1"),
        ({"events_api": "v4"}, "events_api is one of v2, v3, not 'v4'"),
        ({"http_client": "curl"}, "http_client is one of auto, fast, httpx, not 'curl'"),
        ({"insecure": 1}, "insecure is True or False, not 1"),
    ],
)
def test_a_wrong_argument_is_refused_at_construction(settings, message):
    with pytest.raises(ConfigurationError) as raised:
        WriteToTalonOne(**{"kind": "orders", "base_url": URL, **settings})
    assert str(raised.value) == message


def test_an_unknown_argument_is_a_type_error():
    with pytest.raises(TypeError, match="colour"):
        WriteToTalonOne("orders", base_url=URL, colour="red")


def test_an_unbounded_input_is_refused_while_the_pipeline_is_built_where_it_could_be_lost():
    ticks = beam.Pipeline() | PeriodicImpulse(fire_interval=1)
    assert not ticks.is_bounded
    records = ticks | beam.Map(lambda tick: event(f"e{tick}", "c")).with_output_types(dict[str, Any])
    refusal = "WriteToTalonOne(events) cannot write an unbounded PCollection on DirectRunner: it keeps elements only"
    with pytest.raises(ConfigurationError, match=re.escape(refusal)):
        _ = records | WriteToTalonOne("events", base_url=URL)


def test_elements_that_cannot_be_records_are_refused_while_the_pipeline_is_built():
    numbers = beam.Pipeline() | beam.Create([1, 2])
    with pytest.raises(Exception, match=r"WriteToTalonOne\(orders\) takes records"):
        _ = numbers | WriteToTalonOne("orders", base_url=URL)
