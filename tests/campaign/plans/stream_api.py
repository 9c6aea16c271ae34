"""Plans of streams: an API that fails, refuses for a while, grants less, or is gone, and answers that are damaged."""

import time
from collections.abc import Callable

from e2e.harness import KEY

from campaign.stream import StreamScene, stream_plan, under_load

OUTAGE = 180
"""Seconds of the long outage."""


def later(*faults: str, least: int = 5) -> Callable[[StreamScene], None]:
    """Set the faults when the stream is under load. Their times count from then. `least` requests must meet one."""

    def play(scene: StreamScene) -> None:
        scene.start_and_load()
        scene.sim.faults(*faults)
        scene.publish()
        scene.wait(lambda: scene.faults_met() >= least, "requests meet a fault")

    return play


def storms(*, retry_after: bool) -> Callable[[StreamScene], None]:
    """Two storms of 429, the second of which meets only some requests. The stream logs a pause for Retry-After."""
    meet = later("storm:to=2", "storm:share=0.1,from=3", least=1)  # one Retry-After pauses all

    def play(scene: StreamScene) -> None:
        scene.stream.environment = {"TALONONE_LOG_FORMAT": "json"}  # as text, only errors are shown
        meet(scene)
        scene.wait(lambda: scene.answered(429) > 0, "requests are answered 429")
        scene.checks.append(
            lambda: scene.expect(
                ("asks for a pause (status 429)" in scene.stream.stderr()) == retry_after,
                f"not shown: of Retry-After it says {scene.stream.stderr()[-800:]}",
            )
        )

    return play


def quarter_rate(scene: StreamScene) -> None:
    """All is published at once, so that the stream sends faster than the API grants."""
    scene.start_and_load()
    while scene.portions:
        scene.publish()
    scene.wait(lambda: scene.sim.summary()["refused_by_rate"] >= 5, "the API refuses requests by its rate")


def long_outage(scene: StreamScene) -> None:
    """The API answers 503 for three minutes; the stream says so, and continues by itself."""
    scene.start_and_load()
    scene.sim.faults(f"outage:kind=503,to={OUTAGE}")
    until = time.monotonic() + OUTAGE
    scene.publish()
    scene.wait_for_words("no request to the API has succeeded for")
    acted = scene.sim.summary()["acted"]
    scene.wait(lambda: time.monotonic() > until, "the end of the outage", within=OUTAGE + 30.0)
    scene.expect(scene.answered(503) >= 5, f"not shown: {scene.answered(503)} answers 503")
    scene.wait(lambda: scene.sim.summary()["acted"] > acted, "the stream continues after the outage")


def key_revoked(scene: StreamScene) -> None:
    """The API refuses the key for some seconds, and then accepts it again."""
    scene.start_and_load()
    scene.sim.accept("another-key")
    scene.publish()
    scene.wait(lambda: scene.answered(401) > 0, "the API refuses the key")
    time.sleep(scene.rng.uniform(2.0, 8.0))
    scene.sim.accept(KEY)


def each_met(scene: StreamScene) -> None:
    """Run the stream without a further disturbance; each fault of the plan must be met."""
    under_load(scene)
    scene.checks.append(lambda: _check_faults(scene))


def _check_faults(scene: StreamScene) -> None:
    met = {str(row["fault"]).partition(":")[0] for row in scene.sim.rows("requests")}
    missed = {fault.partition(":")[0] for fault in scene.faults} - met
    scene.expect(not missed, f"not shown: no request met {', '.join(sorted(missed))}")


FAILED = ("5xx", "cut-before", "cut-after", "latency:ms=300")
DAMAGED = ("trickle:ms=2", "short-body", "extra-bytes", "not-json", "empty-body", "compressed", "login", "busy")

PLANS = (
    stream_plan("5xx", "5 % each: 5xx, slow answers, and connections cut before and after the API acts", each_met,
                faults=tuple(f"{fault}{',' if ':' in fault else ':'}share=0.05" for fault in FAILED)),
    stream_plan("409", "10 % of the requests are answered 409", under_load, faults=("busy:share=0.1",)),
    stream_plan("429", "storms of 429 with Retry-After", storms(retry_after=True),
                settings={"retry_after": "seconds"}),
    stream_plan("429-bare", "storms of 429 without Retry-After", storms(retry_after=False)),
    stream_plan("quarter-rate", "the API grants a quarter of --rate", quarter_rate, messages=600,
                settings={"rate": 75.0, "burst": 5}),
    stream_plan("outage", "connections close without an answer for 10 s", later("outage:to=10")),
    stream_plan("outage-3m", "answers 503 for three minutes", long_outage, long=True),
    stream_plan("answers", "the answers to 2 % each are damaged in one of eight ways", under_load,
                faults=tuple(f"{fault}{',' if ':' in fault else ':'}share=0.02" for fault in DAMAGED)),
    stream_plan("huge-body", "three requests act, and are answered with 100 MB each", under_load,
                faults=("huge-body:from-request=20,to-request=22",)),
    stream_plan("key", "the API refuses the key for 2 to 8 s", key_revoked),
)  # fmt: skip
