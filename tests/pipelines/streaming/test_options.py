"""The subscriptions of a stream: of each kind one or several, and each of them once."""

import pickle

import pytest

from beam_talonone.pipelines.cli.settings import subscriptions_of
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.talonone.errors import ConfigurationError

NONE = dict.fromkeys(("orders", "returns", "profiles", "events", "calls"))
ONE, TWO, THREE = (f"projects/shop/subscriptions/{name}" for name in ("one", "two", "three"))


def test_subscriptions_may_be_repeated() -> None:
    found = subscriptions_of({**NONE, "events": [THREE], "orders": [TWO, ONE]})
    assert found == {"orders": (TWO, ONE), "events": (THREE,)}
    options = StreamOptions(found, "https://api.example", "job")
    assert options.kinds() == {TWO: "orders", ONE: "orders", THREE: "events"}
    assert pickle.loads(pickle.dumps(options)) == options


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "no input: give at least one of --orders"),
        ({"orders": [ONE, TWO, ONE]}, f"--orders {ONE} was given twice: give each subscription once"),
        (
            {"events": [ONE], "orders": [TWO, ONE]},
            "--orders and --events are the same subscription: each kind has its",
        ),
        ({"returns": [ONE, "two"]}, "--returns takes projects/P/subscriptions/S, not 'two'"),
        (
            {"returns": [ONE, "projects/shop/topics/two"]},
            "--returns takes projects/P/subscriptions/S, not 'projects/",
        ),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(given: dict[str, list[str]], says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        subscriptions_of({**NONE, **given})
    assert str(raised.value).startswith(says)
