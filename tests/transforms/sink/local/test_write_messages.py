"""WriteToTalonOne for messages of this process: its graph, and its step called as a runner calls it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import TaggedOutput
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.utils.windowed_value import WindowedValue
from e2e.harness import KEY, SESSION, Simulator, event, order, wait_until

from beam_talonone import ConfigurationError, ReadFromPubSubAtLeastOnce, WriteToTalonOne
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import KeyRefused, StopRun
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.streaming.open_processor import Waits
from beam_talonone.transforms.pubsub.holding import HOLDERS
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.engines import EngineConfig
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sink.local.local_stream import LOCAL_STREAMS, LocalSettings
from beam_talonone.transforms.sink.local.write_messages import ApplyMessages
from beam_talonone.transforms.sink.step import Step

URL = "https://yourcompany.europe-west1.talon.one"
SUBSCRIPTION = "projects/p/subscriptions/s"


class Holder:
    """Stands for the source: what was acknowledged and given back, in order."""

    lease_length = 0.4

    def __init__(self) -> None:
        self.done: list[str] = []
        self.back: list[str] = []
        self.exempted = 0

    def release(self, ack_id: str, *, done: bool) -> None:
        (self.done if done else self.back).append(ack_id)

    def exempt(self, count: int) -> None:
        self.exempted = count


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Holder]:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    with PROCESS.scope() as scope:
        source = Holder()
        scope.enter(HOLDERS, SUBSCRIPTION, source)
        yield source


def settings_of(api: Simulator, folder: Path, **more: Any) -> LocalSettings:
    config = EngineConfig(EngineSettings(api.url, 2000.0, 64, None), in_code=True)
    given: dict[str, Any] = {"dead_letters": None, "waits": Waits(settle=0.05), "job": "the-job", **more}
    return LocalSettings(config, SendOptions(look_first=True), state=str(folder / "state"), **given)


class Steps:
    """Copies of one step in this process, and the lines that they have emitted: (output, line)."""

    def __init__(self, settings: LocalSettings, label: str = "Write", kind: str = "orders") -> None:
        step = Step(
            label, "the-job", kind, None, BuildOptions(in_code=True), AS_USUAL, settings.config, settings.options
        )
        self.dofn = ApplyMessages(step, settings)
        self.dofn.setup()
        self.lines: list[tuple[str, Any]] = []

    def process(self, name: str, record: Any) -> None:
        data = record if isinstance(record, bytes) else json.dumps(record).encode()
        self._note(self.dofn.process(Received(SUBSCRIPTION, name, data, {}, "", time.time(), f"ack-{name}")))

    def finish(self) -> None:
        self._note(self.dofn.finish_bundle())

    def _note(self, outputs: Iterator[Any]) -> None:
        for output in outputs:
            tag = output.tag if isinstance(output, TaggedOutput) else "applied"
            line = output.value if isinstance(output, TaggedOutput) else output
            self.lines.append((tag, line.value if isinstance(line, WindowedValue) else line))

    def wait_for(self, count: int) -> list[tuple[str, str]]:
        """(output, id with outcome or reason), once there are `count` lines."""

        def enough() -> bool:
            self.finish()
            return len(self.lines) >= count

        wait_until(enough, f"{count} lines")
        return sorted((tag, f"{line['id']} {line.get('outcome') or line['reason']}") for tag, line in self.lines)


@contextmanager
def closed(settings: LocalSettings) -> Iterator[None]:
    try:
        yield
    finally:
        PROCESS.close(LOCAL_STREAMS, settings)


def dead_letters(folder: Path) -> list[Any]:
    return [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def test_each_message_is_acknowledged_on_its_outcome_and_has_a_line_in_one_output(
    api: Simulator, holder: Holder, tmp_path: Path
) -> None:
    settings = settings_of(api, tmp_path)
    with closed(settings):
        step = Steps(settings)
        later = order("o1", "c1", "completed", 2)
        for name, record in {
            "1": later, "2": order("o1", "c1", "open", 1), "3": order("o2", "c2", "open", 1, attributes={"bad": 1}),
            "4": b"no json", "5": [order("o3", "c3"), order("o4", "c4")],
        }.items():  # fmt: skip
            step.process(name, record)
        assert step.wait_for(6) == [
            ("applied", "o1 applied"), ("applied", "o1 applied"),
            ("applied", "o3 applied"), ("applied", "o4 applied"),
            ("dead_letters", "None not_json"), ("dead_letters", "o2 unknown_attribute"),
        ]  # fmt: skip
        assert sorted(holder.done) == [f"ack-{number}" for number in range(1, 6)]
        step.process("6", later)
        step.process("7", order("o1", "c1", "open", 0))
        assert step.wait_for(8)[-2:] == [("others", "o1 duplicate"), ("others", "o1 superseded")]
        assert len(holder.done) == 7
        assert {line["reason"] for line in dead_letters(tmp_path / "state" / "dead-letters")} == {
            "not_json", "unknown_attribute",
        }  # fmt: skip
    sent = [row["body"]["customerSession"]["state"] for row in api.acted(SESSION) if row["session"] == "o1"]
    assert sent == ["open", "closed"]
    assert holder.back == []


def test_steps_with_the_same_state_share_a_stream_and_each_emits_its_own_lines(
    api: Simulator, holder: Holder, tmp_path: Path
) -> None:
    settings = settings_of(api, tmp_path)
    with closed(settings):
        orders, events = Steps(settings), Steps(settings, "Events", "events")
        orders.process("1", order("o1", "c1"))
        events.process("2", event("e1", "c1"))
        assert orders.wait_for(1) == [("applied", "o1 applied")]
        assert events.wait_for(1) == [("applied", "e1 applied")]


def test_a_folder_of_another_stream_is_refused(api: Simulator, holder: Holder, tmp_path: Path) -> None:
    settings = settings_of(api, tmp_path)
    with closed(settings):
        Steps(settings)
        other = settings_of(api, tmp_path, waits=Waits(settle=1.0))
        with pytest.raises(ConfigurationError, match=r"^state .*: another stream uses this folder"):
            Steps(other)


@pytest.mark.slow
def test_after_a_kill_nothing_is_sent_before_the_leases_of_that_process_end(
    api: Simulator, holder: Holder, tmp_path: Path
) -> None:
    settings = settings_of(api, tmp_path, waits=Waits(settle=0.0))
    with closed(settings):
        Steps(settings).process("1", order("o1", "c1"))
    assert (tmp_path / "state" / "running").exists(), "the next process knows that messages were held"
    api.reset()
    began = time.time()
    with closed(settings):
        step = Steps(settings)
        step.process("2", order("o2", "c2"))
        step.wait_for(1)
        assert time.time() >= began + holder.lease_length + 1.0


@pytest.mark.slow
def test_a_refused_key_fails_the_bundle_and_gives_the_messages_back(
    api: Simulator, holder: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", "another-key")
    settings = settings_of(api, tmp_path)
    with closed(settings):
        step = Steps(settings)
        step.process("1", order("o1", "c1"))
        with pytest.raises(KeyRefused):
            step.wait_for(1)
        assert (holder.done, holder.back) == ([], ["ack-1"])
        monkeypatch.setenv("TALONONE_API_KEY", KEY)
        step.process("2", order("o2", "c2"))  # the next try starts again
        assert step.wait_for(1) == [("applied", "o2 applied")]
    assert dead_letters(tmp_path / "state" / "dead-letters") == []


def test_a_dead_letter_that_cannot_be_written_is_not_acknowledged(
    api: Simulator, holder: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(api, tmp_path)
    with closed(settings):
        step = Steps(settings)
        stream = PROCESS.get(LOCAL_STREAMS, settings)

        def full(*line: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(stream._sink, "write", full)
        step.process("1", b"no json")
        with pytest.raises((OSError, StopRun)):
            step.wait_for(1)
        assert holder.done == []


def prism(*words: str) -> beam.Pipeline:
    return beam.Pipeline(runner=PrismRunner(), options=PipelineOptions(["--streaming", *words]))


def test_the_graph_is_one_stage_with_three_outputs(tmp_path: Path) -> None:
    pipeline = prism()
    source = pipeline | ReadFromPubSubAtLeastOnce([SUBSCRIPTION])
    written = source | WriteToTalonOne("orders", base_url=URL, state=tmp_path / "s")
    assert {str(output.element_type) for output in written} == {"Dict[<class 'str'>, Any]"}
    steps = {step.unique_name for step in pipeline.to_runner_api().components.transforms.values()}
    inside = {name.partition("/")[2] for name in steps if name.startswith("WriteToTalonOne(orders)/")}
    assert inside == {"One window", "Apply", "Apply/ParDo(ApplyMessages)", "Outcomes"}
    assert not (tmp_path / "s").exists(), "nothing is opened while the pipeline is built"


def test_messages_need_a_state_folder() -> None:
    with pytest.raises(ConfigurationError, match=r"WriteToTalonOne\(orders\) needs state: name a folder"):
        _ = prism() | ReadFromPubSubAtLeastOnce([SUBSCRIPTION]) | WriteToTalonOne("orders", base_url=URL)


@pytest.mark.parametrize("setting", ["state", "dead_letters"])
def test_folders_are_refused_for_other_elements(setting: str, tmp_path: Path) -> None:
    created = beam.Pipeline() | beam.Create([{}])
    with pytest.raises(ConfigurationError, match=f"{setting} is for the elements of ReadFromPubSubAtLeastOnce: here"):
        _ = created | WriteToTalonOne("orders", base_url=URL, **{setting: str(tmp_path)})


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("projects/p/subscriptions/sub", "is a subscription: name its topic"),
        ("gs://bucket/letters", "is neither a topic nor a folder of this machine"),
        (" ", "dead_letters is the name of a file"),
    ],
)
def test_a_wrong_place_for_dead_letters_is_refused(where: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match="dead_letters") as raised:
        WriteToTalonOne("orders", base_url=URL, dead_letters=where)
    assert says in str(raised.value)
