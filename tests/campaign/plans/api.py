"""Plans of an API that fails, refuses for a while, answers late, or is gone."""

from campaign.plan import BackfillPlan

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
        effect="storms of 429 without Retry-After, for a second each and for 10 % of the requests after that",
        faults=("storm:from=0.5,to=1.5", "storm:from=2.5,to=3.5", "storm:share=0.1,from=3.5"),
    ),
    BackfillPlan(
        name="429-retry-after",
        effect="the same storms, with a Retry-After",
        faults=("storm:from=0.5,to=1.5", "storm:share=0.02,from=2.5"),
        settings={"retry_after": "seconds"},
    ),
    BackfillPlan(
        name="quarter-rate",
        effect="the API grants a quarter of --rate",
        settings={"rate": 75.0, "burst": 5},
        customers=30,
    ),
    BackfillPlan(
        name="slow",
        effect="answers take 5 ms to 5 s, with a long tail",
        faults=("latency:share=0.1,ms=100,jitter=700", "latency:share=0.01,ms=2000,jitter=3000"),
        settings={"latency_ms": 5, "jitter_ms": 20},
    ),
)
