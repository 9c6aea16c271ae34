"""Plans of answers that are damaged, and of gateways that answer instead of the API."""

from e2e.harness import Json, dead_letters

from campaign.backfill import BackfillScene
from campaign.plan import BackfillPlan
from campaign.plans.moments import under_way

BLOCKED = "c7"
"""The customer whose requests the firewall refuses."""


def blocked(scene: BackfillScene) -> None:
    """Run the command; only records of the blocked customer may be refused, and some are."""
    scene.run()
    refused = [row["record"] for row in dead_letters(scene.output) if row["reason"] == "refused"]
    others = [record for record in refused if not _is_blocked(record)]
    scene.expect(bool(refused), "the firewall refused nothing: the run shows nothing")
    scene.expect(not others, f"records of other customers were refused: {others[:3]}")


def _is_blocked(record: Json) -> bool:
    return record.get("customer_id") == BLOCKED or str(record.get("order_id")).startswith(f"o{BLOCKED[1:]}-")


PLANS = (
    BackfillPlan(
        name="trickle",
        effect="the bodies of 5 % of the answers arrive byte by byte",
        faults=("trickle:ms=2,share=0.05",),
    ),
    BackfillPlan(
        name="short-body",
        effect="5 % of the answers end before the length that they announce",
        faults=("short-body:share=0.05",),
    ),
    BackfillPlan(
        name="extra-bytes",
        effect="5 % of the answers are longer than the length that they announce",
        faults=("extra-bytes:share=0.05",),
    ),
    BackfillPlan(
        name="not-json",
        effect="5 % of the requests act, and are answered with text",
        faults=("not-json:share=0.05",),
        reasons=frozenset({"refused"}),
    ),
    BackfillPlan(
        name="empty-body",
        effect="5 % of the requests act, and are answered without a body",
        faults=("empty-body:share=0.05",),
        reasons=frozenset({"refused"}),
    ),
    BackfillPlan(
        name="huge-body",
        effect="three requests act, and are answered with 100 MB each",
        faults=("huge-body:from-request=20,to-request=22",),
        reasons=frozenset({"refused"}),
    ),
    BackfillPlan(
        name="compressed",
        effect="half of the answers are compressed, although the request accepts no coding",
        faults=("compressed:share=0.5",),
    ),
    BackfillPlan(
        name="redirect",
        effect="all requests are redirected for a second",
        play=under_way("redirect:to=1", resumes=3),
    ),
    BackfillPlan(
        name="login-page",
        effect="all requests are answered 200 with a login page for a second, then 2 %",
        play=under_way("login:to=1", "login:share=0.02,from=1"),
    ),
    BackfillPlan(
        name="firewall",
        effect="the requests of one customer are answered 403 with a web page",
        faults=(f'firewall:text="{BLOCKED}"',),
        play=blocked,
        reasons=frozenset({"refused"}),
    ),
)
