"""The graph for Dataflow, as it is built: what it reads and writes, and what it refuses."""

import json
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.timestamp import Timestamp

from beam_talonone.pipelines.backfill.options import parse_max_dead_letters
from beam_talonone.pipelines.streaming.dataflow import Receive, as_message, dataflow_graph
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.outputs.topic import MOST_BYTES

PROJECT = "projects/some-project"
LETTERS, RESULTS = f"{PROJECT}/topics/dead-letters", f"{PROJECT}/topics/results"


def options(**more: Any) -> StreamOptions:
    given: dict[str, Any] = {"dead_letters": LETTERS, "results": RESULTS, **more}
    subscriptions = given.pop("subscriptions", {"orders": (f"{PROJECT}/subscriptions/orders",)})
    return StreamOptions(subscriptions, "https://api.example", "the-job", **given)


def steps(stream: StreamOptions) -> set[str]:
    """The names of the steps at the top of the graph."""
    pipeline = beam.Pipeline(options=PipelineOptions(["--streaming"]))
    dataflow_graph(pipeline, stream)
    return {step.full_label for step in pipeline._root_transform().parts}


ALWAYS = {"All messages", "Prepare", "Send in order", "Dead letters as messages", "Write dead letters"}
RESULT_STEPS = {"Results as messages", "Write results"}


def test_the_steps_of_a_stream() -> None:
    """A job that runs is updated by these names: changing one loses what its state holds."""
    assert steps(options()) == ALWAYS | RESULT_STEPS | {"Read orders", "Receive orders"}


def test_no_results_are_written_where_none_are_requested() -> None:
    assert steps(options(results=None)) == ALWAYS | {"Read orders", "Receive orders"}


def test_a_further_subscription_is_named_by_itself() -> None:
    first, other = f"{PROJECT}/subscriptions/orders", "projects/another/subscriptions/more"
    found = steps(options(subscriptions={"orders": (first, other), "events": (f"{PROJECT}/subscriptions/events",)}))
    assert {name for name in found if name.startswith(("Read", "Receive"))} == {
        "Read orders", "Receive orders", "Read orders from more in another", "Receive orders from more in another",
        "Read events", "Receive events",
    }  # fmt: skip


def test_a_subscription_of_several_kinds_has_steps_of_its_own() -> None:
    all_kinds, more = f"{PROJECT}/subscriptions/all", f"{PROJECT}/subscriptions/more"
    found = steps(
        options(subscriptions={"orders": (f"{PROJECT}/subscriptions/orders",), "records": (all_kinds, more)})
    )
    assert found == ALWAYS | RESULT_STEPS | {
        "Read orders", "Receive orders", "Read records", "Receive records",
        "Read records from more in some-project", "Receive records from more in some-project",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dead_letters": "letters"}, "--dead-letters letters: on Dataflow it must be a topic"),
        ({"dead_letters": f"{PROJECT}/subscriptions/s"}, "must be a topic"),
        ({"dead_letters": None}, "--dead-letters projects/P/topics/T is required on Dataflow"),
        (
            {"max_dead_letters": parse_max_dead_letters("50%")},
            "--max-dead-letters stops only streams on this machine",
        ),
        ({"results": "gs://bucket/results"}, "--results gs://bucket/results: on Dataflow it must be a topic"),
        ({"results": "projects/p/topics/results"}, "--results projects/p/topics/results: Invalid PubSub"),
        (
            {"subscriptions": {"orders": ("projects/p/subscriptions/orders",)}},
            "--orders projects/p/subscriptions/orders: Invalid PubSub project name",
        ),
        (
            {"subscriptions": {"files": (f"{PROJECT}/subscriptions/files",)}},
            "--files reads files only in a stream on this machine. On Dataflow, start a job of the backfill template",
        ),
    ],
    ids=[
        "folder", "subscription", "missing", "a limit", "bucket", "results in a short project",
        "orders of a short project", "files",
    ],
)  # fmt: skip
def test_what_dataflow_cannot_do_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        steps(options(**given))
    assert says in str(raised.value)


def test_a_line_becomes_a_message() -> None:
    dead_letter = {"kind": "orders", "id": "o", "reason": "refused", "record": {"order_id": "o"}, "detail": None}
    message = as_message(dead_letter, "the-job")
    assert json.loads(message.data) == dead_letter
    assert message.attributes == {"kind": "orders", "reason": "refused", "job": "the-job"}
    assert as_message({"kind": "orders", "outcome": "applied"}, "j").attributes == {"kind": "orders", "job": "j"}


def test_a_line_that_is_too_long_for_a_message_is_cut() -> None:
    dead_letter = {"kind": "orders", "reason": "refused", "record": "\x01" * 5_000_000, "detail": "no"}
    data = as_message(dead_letter, "the-job").data
    assert len(data) <= MOST_BYTES
    assert "is cut" in json.loads(data)["detail"]


def test_a_message_of_beams_becomes_one_of_ours() -> None:
    (message,) = Receive("sub").process(PubsubMessage(b"{}", {"a": "b"}, "m1", None, "key"), Timestamp(1.5))
    assert (message.subscription, message.message_id, message.data) == ("sub", "m1", b"{}")
    assert (message.attributes, message.ordering_key, message.publish_time) == ({"a": "b"}, "key", 1.5)
    assert message.ack_id == "", "Dataflow acknowledges it"
    (empty,) = Receive("sub").process(PubsubMessage(None, {"a": "b"}), Timestamp(1.5))
    assert (empty.data, empty.message_id) == (b"", "")
