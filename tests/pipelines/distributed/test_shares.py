"""How the shards of a job share its rate, also while they end one after the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.pipelines.distributed.shares import Share, Shares, divide


def test_shards_that_send_have_equal_shares_and_turns_of_their_own():
    assert [divide(100.0, shard, range(4)) for shard in range(4)] == [
        Share(25.0, 0.0), Share(25.0, 0.01), Share(25.0, 0.02), Share(25.0, 0.03),
    ]  # fmt: skip


@given(st.integers(1, 40), st.randoms())
def test_the_sum_is_never_above_the_rate_however_late_a_bundle_looks(shards, rng):
    """Each shard looks at the start of a bundle, and keeps its share until its next one. Shards end in any order."""
    sending = set(range(shards))
    shares = {shard: divide(100.0, shard, sending).rate for shard in sending}
    while sending:
        assert sum(shares[shard] for shard in sending) <= 100.0 + 1e-9
        if rng.random() < 0.5:
            sending.remove(rng.choice(sorted(sending)))
        else:
            shard = rng.choice(sorted(sending))
            shares[shard] = divide(100.0, shard, sending).rate


def test_what_a_shard_leaves_goes_to_the_others(tmp_path):
    shares = Shares(str(tmp_path))
    for shard in (0, 3, 12):
        shares.staged(shard)
    assert shares.of(3, 90.0) == pytest.approx((30.0, 1 / 90))
    shares.ended(0)
    assert shares.of(3, 90.0) == pytest.approx((45.0, 0.0))
    assert shares.of(12, 90.0) == pytest.approx((45.0, 1 / 90))
    shares.ended(3)
    assert shares.of(12, 90.0) == (90.0, 0.0)


def test_a_shard_that_is_tried_again_after_its_end_takes_nothing_from_the_others_records(tmp_path):
    """It has nothing to send: its bundle was lost after it had ended."""
    shares = Shares(str(tmp_path))
    for shard in (0, 1):
        shares.staged(shard)
        shares.ended(shard)
    assert shares.of(1, 90.0) == (90.0, 0.0)
