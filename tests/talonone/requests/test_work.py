"""The keys that a record's work holds."""

from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.requests.work import Work

IDS = st.lists(st.sampled_from("abc"), max_size=3, unique=True)


@given(sessions=IDS, profiles=IDS, others=st.lists(st.tuples(st.just("coupon"), st.sampled_from("xy")), max_size=2))
def test_keys_are_all_sessions_then_all_profiles_then_the_others(
    sessions: list[str], profiles: list[str], others: list[tuple[str, str]]
) -> None:
    work = Work("orders", "o", b"", b"", 0, 0, 0, tuple(sessions), tuple(profiles), (), others=tuple(others))
    named = [*(("session", each) for each in sessions), *(("profile", each) for each in profiles), *others]
    assert work.keys() == tuple(named)
