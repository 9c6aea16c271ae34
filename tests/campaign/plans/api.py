"""Plans of an API that fails, refuses for a while, answers late, or is gone."""

from campaign.backfill import BackfillScene
from campaign.plan import BackfillPlan
from campaign.plans.moments import under_way


def too_fast(scene: BackfillScene) -> None:
    """Run the command; the API refuses some of its requests by its own rate."""
    scene.run()
    scene.expect(scene.sim.summary()["refused_by_rate"] > 0, "not shown: the API refused nothing by its rate")


PLANS = (
    BackfillPlan(
        name="5xx",
        effect="5 % of the requests are answered 500, 502 or 503",
        faults=("5xx:share=0.05",),
    ),
    BackfillPlan(
        name="cut-before",
        effect="5 % of the connections close before the API acts",
        faults=("cut-before:share=0.05",),
    ),
    BackfillPlan(
        name="cut-after",
        effect="5 % of the connections close after the API acts, without an answer",
        faults=("cut-after:share=0.05",),
    ),
    BackfillPlan(
        name="429",
        effect="two storms of 429 without Retry-After, a second each; 10 % of the requests after that",
        play=under_way("storm:to=1", "storm:from=2,to=3", "storm:share=0.1,from=3"),
    ),
    BackfillPlan(
        name="429-retry-after",
        effect="a storm of 429 with Retry-After for a second; 2 % of the requests after that",
        play=under_way("storm:to=1", "storm:share=0.02,from=2"),
        settings={"retry_after": "seconds"},
    ),
    BackfillPlan(
        name="quarter-rate",
        effect="the API grants a quarter of --rate",
        settings={"rate": 75.0, "burst": 5},
        customers=30,
        play=too_fast,
    ),
    BackfillPlan(
        name="slow",
        effect="answers take 5 ms to 5 s, with a long tail",
        faults=("latency:share=0.1,ms=100,jitter=700", "latency:share=0.01,ms=2000,jitter=3000"),
        settings={"latency_ms": 5, "jitter_ms": 20},
    ),
    BackfillPlan(
        name="409",
        effect="10 % of the requests are answered 409",
        faults=("busy:share=0.1",),
    ),
    BackfillPlan(
        name="outage-10s",
        effect="connections close without an answer for 10 s",
        play=under_way("outage:to=10"),
    ),
    BackfillPlan(
        name="outage-3m",
        effect="answers 503 for three minutes",
        play=under_way("outage:kind=503,to=180"),
        long=True,
    ),
)
