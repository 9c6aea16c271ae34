"""The profile that changes lead to, and the reported differences of one that differs."""

from decimal import Decimal

import pytest

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.compare.profiles import WantedProfile, profile_differences
from beam_talonone.talonone.requests.build import BuildOptions, build

T = "2026-05-01T12:00:00Z"
ERASE = {"erase": True}


def after(*changes, mode="bulk"):
    profile = WantedProfile()
    for change in changes:
        record = parse("profiles", {"customer_id": "c", "event_time": T, **change}).record
        profile.change(build("profiles", record, BuildOptions(profile_mode=mode)))
    return profile


def set_to(**attributes):
    return {"attributes": attributes}


def audiences(add=(), remove=()):
    return {"audiences": {"add": list(add), "remove": list(remove)}}


def shown(attributes=None, ids=()):
    return {"attributes": attributes or {}, "audienceMemberships": [{"id": id, "name": "x"} for id in ids]}


@pytest.mark.parametrize("mode", ["bulk", "rules"])
@pytest.mark.parametrize(
    ("changes", "attributes", "members"),
    [
        ([set_to(a=1), set_to(b=2)], {"a": 1, "b": 2}, {}),
        ([set_to(a=1), set_to(a=None)], {"a": None}, {}),
        ([set_to(a=1, b=1), ERASE, set_to(a=2)], {"a": 2, "b": None}, {}),
        ([audiences([1, 2]), audiences([3], [1])], {}, {1: False, 2: True, 3: True}),
        ([audiences([1]), ERASE, audiences([2])], {}, {1: False, 2: True}),
    ],
)
def test_changes_add_up(changes, attributes, members, mode):
    profile = after(*changes, mode=mode)
    assert (profile.attributes, profile.audiences) == (attributes, members)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ([set_to(a="1.50", n=Decimal("1.50"))], '{"attributes": {"a": "1.50", "n": 1.5, "more": 1}}'),
        ([set_to(a=None)], '{"attributes": {"a": null}}'),
        ([set_to(a=None)], "{}"),
        ([{}], '{"attributes": {}, "audienceMemberships": null}'),
        ([audiences([1], [2])], '{"audienceMemberships": [{"id": 1, "name": "x"}, {"id": 7, "name": "y"}]}'),
        ([audiences(remove=[2])], "null"),
        ([set_to(a=1), ERASE], "null"),
        ([set_to(a=1), ERASE], '{"attributes": {}}'),
        ([ERASE, audiences(remove=[2])], "null"),
        ([set_to(a=1), ERASE, set_to(b=1)], '{"attributes": {"b": 1}}'),
    ],
)
def test_profiles_that_agree(changes, found):
    assert profile_differences("c", after(*changes), jsonio.loads(found)) == []


@pytest.mark.parametrize(
    ("changes", "found", "line"),
    [
        ([set_to(a=1, b=2)], shown({"a": 1, "b": 3}), ("attributes", {"b": 2}, {"b": 3})),
        ([set_to(a=1)], shown(), ("attributes", {"a": 1}, ...)),
        ([set_to(a=None)], shown({"a": 1}), ("attributes", {"a": None}, {"a": 1})),
        ([audiences([1, 2], [3])], shown(ids=[2, 3]), ("audiences", [1], [3])),
        ([set_to(a=1, b=None), audiences([2])], None, ("profile", {"attributes": {"a": 1}, "audiences": [2]}, ...)),
        ([{}], None, ("profile", {"attributes": {}}, ...)),
        ([ERASE, {}], None, ("profile", {"attributes": {}}, ...)),
        ([set_to(a=1), ERASE], shown({"b": 1}), ("attributes", {"b": None}, {"b": 1})),
        ([ERASE], shown(ids=[4]), ("audiences", [], [4])),
        ([set_to(a=1), ERASE, set_to(b=1)], shown({"a": 1, "b": 1}), ("attributes", {"a": None}, {"a": 1})),
    ],
)
def test_profiles_that_differ(changes, found, line):
    (difference,) = profile_differences("c", after(*changes), found)
    assert (difference["kind"], difference["id"]) == ("profiles", "c")
    assert (difference["field"], difference["expected"], difference.get("found", ...)) == line
