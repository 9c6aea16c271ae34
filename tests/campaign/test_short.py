"""A short choice of plans, one seed each. `make campaign` runs all plans with many seeds."""

import pytest
from streams.harness.tools import find_emulator, find_prism, needed

from campaign.campaign import Campaign
from campaign.plans import PLANS

pytestmark = pytest.mark.slow

SHORT = (
    "cut-after",
    "429-retry-after",
    "quarter-rate",
    "short-body",
    "login-page",
    "kill-9",
    "sigterm",
    "two-jobs",
    "key-revoked",
    "disk-full-sending",
    "cut-block",
    "stream-409",
)


@pytest.mark.parametrize("plan", [plan for plan in PLANS if plan.name in SHORT], ids=lambda plan: plan.name)
def test_nothing_is_wrong(plan) -> None:
    if plan.command == "stream":
        needed(find_emulator)
        needed(find_prism)
    result = Campaign().run_one(plan, seed=1000)
    if result.skipped:
        pytest.skip(result.skipped)
    assert not result.failed, result.verdict
    assert not result.missed, result.hits
