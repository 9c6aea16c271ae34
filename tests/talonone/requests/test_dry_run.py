"""What a dry run leaves out. The document: `dry` works with `runRuleEngine=true` only."""

import pytest

from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.dry_run import not_dry
from tests.talonone.requests.test_build_calls import call


@pytest.mark.parametrize("query", [{}, {"runRuleEngine": None}, {"runRuleEngine": False}])
def test_an_update_that_says_no_to_the_rule_engine_cannot_be_dry(query):
    """With false it is sent with dry=true, and taken by the API as a real one."""
    path, options = {"integrationId": "a"}, BuildOptions(dry=True)
    work = call("update_customer_profile_v2", {"attributes": {}}, path, query=query, options=options)
    assert {index: outcome.reason for index, outcome in not_dry(work).items()} == {0: Skip.NOT_DRY.value}
