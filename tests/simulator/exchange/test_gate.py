"""The rate and the queues by their properties; paths of any id."""

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.simulator.exchange.answers import Refusal
from beam_talonone.simulator.exchange.gate import QUEUE_LIMIT, Queues, Rate
from beam_talonone.simulator.exchange.routes import Routes


@given(
    rate=st.floats(0.5, 1000),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 3).map(lambda gap: gap**4), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_and_one_burst_in_any_window(rate, burst, gaps):
    gcra, now, passed = Rate(rate, burst), 0.0, []
    for gap in gaps:
        now += gap / rate
        if not gcra.wait(now):
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - passed[first]) * rate + 1e-6


@given(rate=st.floats(0.5, 1000), burst=st.integers(1, 20), early=st.integers(0, 60))
def test_who_waits_as_told_is_let_in(rate, burst, early):
    gcra = Rate(rate, burst)
    for _ in range(early):
        gcra.wait(10.0)
    wait = gcra.wait(10.0)
    if wait:
        assert gcra.wait(10.0 + wait * 0.99 - 1e-6) > 0
        assert gcra.wait(10.0 + wait + 1e-6) == 0.0


@settings(deadline=None, max_examples=100)
@given(wanted=st.lists(st.sets(st.sampled_from("abcd"), min_size=1, max_size=2), min_size=1, max_size=14))
def test_lanes_are_exclusive_first_come_first_served_and_short(wanted):
    """Every request either gets all of its queues alone, in order of arrival within each, or is refused at once."""
    queues, running, order, refused = Queues(), set(), [], []

    async def use(number, names):
        if not await queues.enter(names):
            refused.append(number)
            return
        assert not running & set(names)
        running.update(names)
        order.append(number)
        for _ in range(number % 3 + 1):
            await asyncio.sleep(0)
        running.difference_update(names)
        queues.leave(names)

    async def all_of_them():
        await asyncio.wait_for(
            asyncio.gather(*(use(number, tuple(sorted(names))) for number, names in enumerate(wanted))), 5
        )

    asyncio.run(all_of_them())
    assert not queues
    assert sorted(order + refused) == list(range(len(wanted)))
    for name in "abcd":
        served = [number for number in order if name in wanted[number]]
        assert served == sorted(served)
        assert len(served) <= QUEUE_LIMIT
    for number in refused:
        ahead = [other for other in range(number) if other not in refused]
        assert any(sum(name in wanted[other] for other in ahead) >= QUEUE_LIMIT for name in wanted[number])


@given(st.text(min_size=1, max_size=50))
def test_any_id_comes_through_a_path(id):
    routes = Routes(OPERATIONS.values())
    step = quote(id, safe="").replace(".", "%2E").encode()
    operation, path = routes.find("PUT", b"/v2/customer_sessions/" + step + b"/reopen")
    assert (operation.name, path) == ("reopen_customer_session", {"customerSessionId": id})


def test_a_slash_that_is_not_encoded_is_another_path():
    with pytest.raises(Refusal) as refused:
        Routes(OPERATIONS.values()).find("PUT", b"/v2/customer_sessions/a/b")
    assert refused.value.status == 404
