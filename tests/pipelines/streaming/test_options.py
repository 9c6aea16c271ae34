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


def test_subscriptions_of_several_kinds_stand_beside_the_others() -> None:
    found = subscriptions_of({**NONE, "records": [THREE, TWO], "orders": [ONE]})
    assert found == {"orders": (ONE,), "records": (THREE, TWO)}
    options = StreamOptions(found, "https://api.example", "job")
    assert options.kinds() == {ONE: "orders", THREE: "records", TWO: "records"}
    assert options.counted_kinds() == ("orders", "returns", "profiles", "events", "calls", "records")
    assert StreamOptions({"orders": (ONE,)}, "https://api.example", "job").counted_kinds() == ("orders",)


def test_notifications_of_files_have_subscriptions_of_their_own() -> None:
    found = subscriptions_of({**NONE, "files": [THREE], "orders": [ONE]})
    assert found == {"orders": (ONE,), "files": (THREE,)}
    options = StreamOptions(found, "https://api.example", "job")
    assert sorted(options.kinds()) == sorted((ONE, THREE))
    assert options.of_several_kinds() == {THREE}
    assert options.counted_kinds() == ("orders", "returns", "profiles", "events", "calls", "records")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "no input: give at least one of --orders"),
        ({"orders": [ONE, TWO, ONE]}, f"--orders {ONE} was given twice: give each subscription once"),
        (
            {"events": [ONE], "orders": [TWO, ONE]},
            "--orders and --events are the same subscription: each kind has its",
        ),
        (
            {"orders": [TWO], "records": [ONE, TWO]},
            f"--orders and --records are the same subscription, {TWO}: give it once, as --orders if all its messages",
        ),
        ({"records": [ONE, ONE]}, f"--records {ONE} was given twice: give each subscription once"),
        (
            {"records": [TWO], "files": [TWO]},
            "--records and --files are the same subscription: the notifications of a bucket have their own",
        ),
        ({"records": ["one"]}, "--records takes projects/P/subscriptions/S, not 'one'"),
        (
            {"records": ["projects/shop/subscriptions/s"]},
            "--records takes projects/P/subscriptions/S, not 'projects/shop/subscriptions/s': names have 3 to 255",
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
