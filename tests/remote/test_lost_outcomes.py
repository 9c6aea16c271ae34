"""A worker is lost with the outcomes of its last seconds: what it has sent is not undone by what came before it."""

from collections import Counter

import pytest
from e2e.harness import event, order, profile, simulator

from remote.job import Job

COUNT = 60


@pytest.fixture
def api():
    with simulator() as made:
        yield made


def _lost_and_resumed(api, folder, records):
    """A job that is killed after 30 requests, when no copy of its journal has their outcomes, and then resumed."""
    job = Job(api, folder, records, sending={"rate": 30.0}, input={"profile_mode": "rules"})
    job.kill_after(30)
    code, output = job.run(resume=True)
    assert code == 0, output
    job.assert_accounted()


def test_a_cancellation_that_had_nothing_to_cancel_cancels_no_later_version(api, tmp_path):
    """The first run skips it. The next one finds the session of the later version, and must not cancel that."""
    orders = [
        made
        for n in range(COUNT)
        for made in (order(f"o{n}", f"c{n}", "cancelled", 2 * n), order(f"o{n}", f"c{n}", "completed", 2 * n + 1))
    ]
    _lost_and_resumed(api, tmp_path, {"orders": orders})
    assert Counter(row["state"] for row in api.sessions().values()) == {"closed": COUNT}


@pytest.mark.parametrize("known", [False, True], ids=["unknown customer", "known customer"])
def test_an_erasure_erases_no_later_change(api, tmp_path, known):
    """An erasure has no key, so it acts again. The change after it has one, and does not."""
    profiles = [
        made
        for n in range(COUNT)
        for made in (
            *([profile(f"c{n}", 3 * n, {"old": n})] if known else []),
            profile(f"c{n}", 3 * n + 1, erase=True),
            profile(f"c{n}", 3 * n + 2, {"new": n}),
        )
    ]
    _lost_and_resumed(api, tmp_path, {"profiles": profiles})
    kept = {name: row["attributes"] for name, row in api.profiles().items()}
    assert kept == {f"c{n}": {"new": n} for n in range(COUNT)}


def test_an_older_change_of_a_bulk_replaces_no_newer_one(api, tmp_path):
    """Sent again, the older changes are in bulks of other records, so they act. The newer ones must act as well."""
    customers = range(0, 20, 2)
    profiles = [profile(f"c{n}", 3 * n, {"tier": "gold"}) for n in customers]
    profiles += [profile(f"d{n}", 3 * n, {"tier": "gold"}) for n in customers]
    profiles += [profile(f"c{n}", 3 * n + 2, {"tier": "silver"}) for n in customers]
    events = [event(f"{name}{n}", f"c{n}", 3 * n + hour) for n in customers for name, hour in (("e", 1), ("f", 3))]
    job = Job(api, tmp_path, {"profiles": profiles, "events": events}, sending={"rate": 30.0})
    job.kill_after(25)
    job.bundle = 1
    code, output = job.run(resume=True)
    assert code == 0, output
    job.assert_accounted()
    tiers = {name: row["attributes"]["tier"] for name, row in api.profiles().items()}
    assert tiers == {f"{name}{n}": tier for n in customers for name, tier in (("c", "silver"), ("d", "gold"))}
