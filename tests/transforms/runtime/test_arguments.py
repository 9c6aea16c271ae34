"""Arguments of the public transforms: what cannot be meant is refused where it is written, by its name."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from beam_talonone import ConfigurationError, LookupTalonOne, ReadFromPubSubAtLeastOnce, WriteToTalonOne
from beam_talonone.transforms import yaml

URL = "http://127.0.0.1:9"
KEY = "4f1c8a-a-key-that-nobody-may-see"
SUBSCRIPTION = "projects/p/subscriptions/s"
ODD = [
    None, "", " ", "no", "false", "a\nb", "ÿ", True, False, 0, -1, 1, 1.5, float("nan"), float("inf"), 1e9, 10**5000,
    b"x", [], ["orders"], {}, {"a": 1}, (), object(), object,
]  # fmt: skip
WORD: tuple[Any, ...] = ()
"""No odd value is one of the words."""


SETTINGS: dict[str, tuple[Any, ...]] = {
    # argument: the odd values that it takes all the same
    "base_url": (None,),
    "api_key_env": ("no", "false"),
    "api_key_secret": (None,),
    "rate": (1, 1.5),
    "concurrency": (1,),
    "give_up_after": (1, 1.5),
    "rate_service": (None,),
    "http_client": WORD,
    "client_cert": (None, "no", "false", "ÿ"),
    "ca_bundle": (None, "no", "false", "ÿ"),
    "insecure": (True, False),
    "allow_unknown_api_fields": (True, False),
}
WRITE = {
    "kind": WORD, **SETTINGS, "profile_mode": WORD, "events_api": WORD, "edit_closed": (None,),
    "results": (True, False), "dry": (True, False), "assume_timezone": (None,), "ambiguous_time": (None,),
    "max_future": ("1d",), "unknown_fields": (None,), "mapping": (None, object),
    "settle": (0, 1, 1.5), "wait_for_order": (0, 1, 1.5), "remember": (0, 1, 1.5),
    "state": (None, "no", "false", "ÿ"), "dead_letters": (None, "no", "false", "ÿ"),
}  # fmt: skip
LOOKUP = {"operation": WORD, "lookup": (None, object), **SETTINGS, "unknown_fields": (None,)}
READ = {
    "subscriptions": WORD, "max_messages": (1,), "max_bytes": (1,), "max_lease": (1, 1.5),
    "bundle": (1, 1.5), "together": (None, 1),
}  # fmt: skip
FIRST = {"kind": "orders", "operation": "get_loyalty_balances", "subscriptions": [SUBSCRIPTION]}
WRITE_YAML = {
    **{name: taken for name, taken in WRITE.items() if name != "kind"},
    "kind": WORD,
    "error_handling": (None,),
}
LOOKUP_YAML = {
    "operation": WORD, **SETTINGS, "unknown_fields": (None,), "error_handling": (None,), "lookup": WORD,
}  # fmt: skip

TRANSFORMS = [
    (WriteToTalonOne, "kind", WRITE),
    (LookupTalonOne, "operation", LOOKUP),
    (ReadFromPubSubAtLeastOnce, "subscriptions", READ),
    (yaml.WriteToTalonOne, "kind", WRITE_YAML),
    (yaml.LookupTalonOne, "operation", LOOKUP_YAML),
]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_BASE_URL", URL)


def takes(taken: tuple[Any, ...], value: Any) -> bool:
    return any(value is one or (type(value) is type(one) and value == one) for one in taken)


@pytest.mark.parametrize(
    ("transform", "first", "name", "taken"),
    [
        pytest.param(transform, first, name, taken, id=f"{transform.__module__.split('.')[-1]}-{name}")
        for transform, first, settings in TRANSFORMS
        for name, taken in settings.items()
    ],
)
def test_odd_values_are_refused_by_name(
    transform: Callable[..., Any], first: str, name: str, taken: tuple[Any, ...]
) -> None:
    for value in ODD:
        given = {first: FIRST[first], name: value}
        if takes(taken, value):
            transform(**given)
            continue
        with pytest.raises(ConfigurationError) as raised:
            transform(**given)
        message = str(raised.value)
        assert name in message
        assert "\n" not in message
        assert len(message) < 3000


@pytest.mark.parametrize(("transform", "settings"), [(one, settings) for one, _, settings in TRANSFORMS[:3]])
def test_no_argument_is_left_out(transform: Callable[..., Any], settings: dict[str, Any]) -> None:
    assert set(inspect.signature(transform).parameters) == set(settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dry": "false"}, "dry is True or False, not 'false'"),
        ({"results": "no"}, "results is True or False, not 'no'"),
        ({"results": None}, "results is True or False, not None"),
        ({"kind": ["orders"]}, "kind is one of orders, returns, profiles, events, calls, not ['orders']"),
        ({"profile_mode": "rule"}, "profile_mode is one of bulk, rules, not 'rule'"),
        ({"edit_closed": True}, "edit_closed is one of reopen, None, not True"),
        ({"concurrency": 1.5}, "concurrency is a whole number above 0 and below 1,000,000, not 1.5"),
        ({"rate": "50"}, "rate is a number above 0 and below 1,000,000, not '50'"),
        ({"rate": 10**5000}, "rate is a number above 0 and below 1,000,000, not an integer of thousands of digits"),
        ({"api_key_env": ""}, "api_key_env is the name of an environment variable that holds the key, not the key"),
        (
            {"api_key_env": "SECRETKEY-9f8e7d6c5b"},
            "api_key_env is the name of an environment variable that holds the key, not the key",
        ),
        ({"rate_service": "u:KEY@h:1"}, "rate_service takes HOST:PORT of a rate limit service, not one with a user"),
        ({"rate_service": 8081}, "rate_service is text, not int"),
        ({"base_url": ""}, "base_url: the base URL '' must look like https://yourcompany.europe-west1.talon.one"),
        ({"ambiguous_time": "fold"}, "ambiguous_time is one of earlier, later, None, not 'fold'"),
        ({"max_future": "2 weeks"}, "max_future: '2 weeks' is not a duration such as 90s, 30m, 12h or 7d"),
        ({"max_future": 3600}, "max_future is text, not int"),
        ({"unknown_fields": "warn"}, "unknown_fields is one of refuse, ignore, None, not 'warn'"),
        ({"assume_timezone": "Berlin"}, "assume_timezone 'Berlin' is not a time zone such as Europe/Berlin"),
    ],
)
def test_what_is_said(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        WriteToTalonOne(**{"kind": "orders", **settings})
    assert str(raised.value) == says


def test_a_wrong_base_url_of_the_environment_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_BASE_URL", "shop.example")
    with pytest.raises(ConfigurationError, match=r"^TALONONE_BASE_URL: the base URL 'shop\.example' must look like"):
        WriteToTalonOne("orders")
    monkeypatch.setenv("TALONONE_BASE_URL", "")
    with pytest.raises(ConfigurationError, match=r"^no base URL: give base_url or set TALONONE_BASE_URL"):
        WriteToTalonOne("orders")


@pytest.mark.parametrize("name", ["api_key_env", "api_key_secret"])
@pytest.mark.parametrize("value", [f"{KEY} ", KEY.encode(), [KEY], f"ApiKey-v1 {KEY}"])
def test_a_key_that_is_given_by_mistake_is_not_shown(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name) as raised:
        WriteToTalonOne("orders", **{name: value})
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("transform", "first"), [(yaml.WriteToTalonOne, "orders"), (yaml.LookupTalonOne, "get_loyalty_balances")]
)
def test_beam_yaml_is_told_which_settings_there_are(transform: Callable[..., Any], first: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"TalonOne has no setting 'rat'; the settings are base_url, .*, rate,"
    ):
        transform(first, rat=5)
