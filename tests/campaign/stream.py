"""One stream under a plan: its messages by the seed, emulator and simulator, the process, and the verdict."""

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from e2e.harness import Simulator, simulator_at
from streams.harness.emulator import running_emulator
from streams.harness.pubsub import PubSub
from streams.harness.stream_command import AFTER_KILL, StreamCommand, halves
from streams.harness.tools import Missing, find_emulator, find_prism
from streams.harness.traffic import Sent, make_traffic
from support.audit.ledger import JITTER, over_rate, rate_of
from support.audit.verdict import WRONG, Verdict, judge_stream
from support.servers.ports import free_port

from campaign.plan import StreamPlan
from campaign.stalls import Stalls

STARTS_WITHIN = 90.0
"""Seconds until a stream that was started sends its first request, on a busy machine."""


@dataclass
class StreamScene:
    """What a plan's `play` works with. `portions` are the parts of the traffic that are not published yet."""

    sim: Simulator
    rng: random.Random
    folder: Path
    stream: StreamCommand
    portions: list[list[Sent]]
    faults: Sequence[str]
    stack: ExitStack
    mistakes: list[str] = field(default_factory=list)

    def publish(self) -> int:
        """Publish the next portion; returns its number of messages."""
        portion = self.portions.pop(0)
        self.stream.publish(portion)
        return len(portion)

    def start_and_load(self) -> None:
        """Publish a portion, start the stream, and wait until it has sent a random part of the portion."""
        count = self.publish()
        before = self.stream.requests()
        self.stream.start()
        self.wait_for_requests(before + self.rng.randrange(5, max(6, count // 2)))

    def wait_for_requests(self, number: int) -> None:
        """Wait until the API has received `number` requests, or the stream has ended."""
        deadline = time.monotonic() + STARTS_WITHIN
        while self.stream.requests() < number and self.stream.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"the stream sent too little: {self.stream.stderr()[-800:]}")
            time.sleep(0.02)

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
        scene = StreamScene(sim, rng, folder, stream, halves(traffic, plan.portions), plan.faults, stack)
        plan.play(scene)
        while scene.portions:
            scene.publish()
        if stream.process.poll() is not None:
            stream.start()
        stream.wait_until_quiet(AFTER_KILL)
        code = stream.stop()
        scene.expect(code == 0, f"exit code {code}, not 0: {stream.stderr()[-500:]}")
        stream.assert_no_leftovers()
        rows = sim.rows("requests")
        scene.expect(not plan.faults or any(row["fault"] for row in rows), "no request met a fault")
        rate = rate_of(float(row["arrived"]) for row in rows)
        too_fast = over_rate(rate, plan.rate, JITTER + stalls.longest(since))
        verdict = judge_stream(traffic, stream.ledger(), stream.dead_letters(), stream.left(), too_fast)
    verdict[WRONG] += scene.mistakes
    return verdict


def _end(stream: StreamCommand) -> None:
    if stream.process is not None and stream.process.poll() is None:
        stream.kill("group")


def no_stream_tools() -> str | None:
    """Why streams cannot run on this machine; None if they can."""
    try:
        find_emulator()
        find_prism()
    except Missing as missing:
        return str(missing)
    return None
