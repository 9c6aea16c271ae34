"""One stream under a plan: its messages by the seed, emulator and simulator, the process, and the verdict."""

import json
import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from e2e.harness import Json, Simulator, simulator_at
from streams.harness.emulator import running_emulator
from streams.harness.pubsub import PubSub
from streams.harness.stream_command import AFTER_KILL, StreamCommand, halves
from streams.harness.tools import Missing, find_emulator, find_prism
from streams.harness.traffic import Sent, Traffic, make_traffic
from support.audit.ledger import JITTER, fetch, over_rate, rate_of
from support.audit.verdict import WRONG, Verdict, judge_stream
from support.servers.ports import free_port

from campaign.plan import StreamPlan
from campaign.stalls import Stalls

WITHIN = 90.0
"""Seconds within which a moment comes on a busy machine, such as the first request of a stream that was started."""


@dataclass
class StreamScene:
    """What a plan's `play` works with. `portions` are the parts of the traffic that are not published yet.

    `play` may exchange `stream` for another that took its place. `checks` are called after the end of the stream.
    """

    sim: Simulator
    rng: random.Random
    folder: Path
    stream: StreamCommand
    traffic: Traffic
    portions: list[list[Sent]]
    faults: Sequence[str]
    stack: ExitStack
    left_out: set[str] = field(default_factory=set)
    """Customers whose records the verdict leaves out: `checks` look at them."""
    checks: list[Callable[[], None]] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def publish(self) -> int:
        """Publish the next portion; returns its number of messages."""
        portion = self.portions.pop(0)
        self.stream.publish(portion)
        return len(portion)

    def publish_more(self, records: Sequence[Sent]) -> None:
        """Publish records that are not in the portions, and let the verdict count them."""
        self.traffic.records += records
        self.stream.publish(list(records))

    def records_left_out(self) -> list[Json]:
        """The records of the customers that are left out."""
        return [json.loads(one.payload) for one in self.traffic.records if one.customer in self.left_out]

    def another(self) -> StreamCommand:
        """The same command once more, with the same folders. It ends with the scene."""
        other = replace(self.stream, name="other-err", process=None, starts=0, before=0)
        self.stack.callback(_end, other)
        return other

    def start_and_load(self) -> None:
        """Publish a portion, start the stream, and wait until it has sent a random part of the portion."""
        count = self.publish()
        before = self.stream.requests()
        self.stream.start()
        self.wait_for_requests(before + self.rng.randrange(5, max(6, count // 2)))

    def wait_for_requests(self, number: int) -> None:
        """Wait until the API has received `number` requests, or the stream has ended."""
        self.wait(
            lambda: self.stream.requests() >= number or self.stream.process.poll() is not None, "it sends", 0.02
        )

    def wait_for_words(self, *words: str) -> None:
        """Wait until the stream has said all the words on stderr."""
        self.wait(lambda: all(word in self.stream.stderr() for word in words), f"it says {', '.join(words)}")

    def wait(self, done: Callable[[], bool], what: str, step: float = 0.2, within: float = WITHIN) -> None:
        """Wait for a condition, looking every `step` seconds. Without it the run shows nothing: an AssertionError."""
        deadline = time.monotonic() + within
        while not done():
            if time.monotonic() > deadline:
                raise AssertionError(f"not shown: {what}: not within {within:.0f} s: {self.stream.stderr()[-800:]}")
            time.sleep(step)

    def faults_met(self) -> int:
        """The number of requests that met a fault."""
        return sum(1 for row in self.sim.rows("requests") if row["fault"])

    def answered(self, status: int) -> int:
        """The number of requests with this answer."""
        operations: dict[str, dict[str, int]] = self.sim.summary()["operations"]
        return sum(statuses.get(str(status), 0) for statuses in operations.values())

    def expect(self, fact: bool, message: str) -> None:
        """Count a mistake unless `fact` holds."""
        if not fact:
            self.mistakes.append(message)


def run_stream(plan: StreamPlan, seed: int, folder: Path, stalls: Stalls, since: float) -> Verdict:
    """Run one stream in the empty `folder`. Stalls of the machine count from the monotonic time `since`."""
    rng = random.Random(f"{plan.name}/{seed}")
    traffic = make_traffic(plan.messages, seed=seed, customers=60)
    settings = {"latency_ms": 10, "unknown_attributes": ("unknown_one",), "seed": seed}
    with ExitStack() as stack:
        emulator = stack.enter_context(running_emulator(find_emulator(), folder))
        pubsub = stack.enter_context(PubSub(emulator.host))
        sim = stack.enter_context(simulator_at(free_port(), faults=plan.faults, **{**settings, **plan.settings}))
        words = ("--rate", plan.rate, "--settle", 1, *plan.words)
        stream = StreamCommand(sim, pubsub, emulator.host, find_prism(), folder, words, plan.ordering)
        stack.callback(_end, stream)
        stream.subscribe(*traffic.kinds)
        portions = halves(traffic, plan.portions)
        scene = StreamScene(sim, rng, folder, stream, traffic, portions, plan.faults, stack)
        plan.play(scene)
        stream = scene.stream
        while scene.portions:
            scene.publish()
        if stream.process.poll() is not None:
            stream.start()
        stream.wait_until_quiet(AFTER_KILL)
        code = stream.stop()
        scene.expect(code == 0, f"exit code {code}, not 0: {stream.stderr()[-500:]}")
        stream.assert_no_leftovers()
        scene.expect(not plan.faults or scene.faults_met() > 0, "not shown: no request met a fault")
        for check in scene.checks:
            check()
        rate = rate_of(float(row["arrived"]) for row in sim.rows("requests"))
        too_fast = over_rate(rate, plan.rate, JITTER + stalls.longest(since))
        verdict = _judge(scene, too_fast, plan.reasons)
    verdict[WRONG] += scene.mistakes
    return verdict


def _judge(scene: StreamScene, too_fast: Sequence[str], reasons: Collection[str]) -> Verdict:
    stream, out = scene.stream, scene.records_left_out()
    traffic = Traffic([record for record in scene.traffic.records if record.customer not in scene.left_out])
    dead_letters = [row for row in stream.dead_letters() if row["record"] not in out]
    return judge_stream(
        traffic, fetch(scene.sim.url), dead_letters, stream.left(), too_fast, reasons, stream.all_before,
        ordering_keys=stream.ordering,
    )  # fmt: skip


def _end(stream: StreamCommand) -> None:
    if stream.process is not None and stream.process.poll() is None:
        stream.kill("group")


def stream_plan(name: str, effect: str, play: Callable[[StreamScene], None], **more: Any) -> StreamPlan:
    """A plan that needs the tools of streams, and what `missing` in `more` names. `more` are further fields."""
    missing = more.pop("missing", lambda: None)
    return StreamPlan(
        name=f"stream-{name}", effect=effect, play=play, missing=lambda: no_stream_tools() or missing(), **more
    )


def under_load(scene: StreamScene) -> None:
    """Run the stream without a further disturbance."""
    scene.start_and_load()
    scene.publish()


def no_stream_tools() -> str | None:
    """Why streams cannot run on this machine; None if they can."""
    try:
        find_emulator()
        find_prism()
    except Missing as missing:
        return str(missing)
    return None
