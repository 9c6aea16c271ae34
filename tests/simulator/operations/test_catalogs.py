"""Catalogs: six types of actions, filters, versions."""

import pytest

TEA = {"sku": "tea", "price": 9.99, "attributes": {"kind": "green", "size": 10}, "product": {"name": "Tea"}}


def sync(api, type, *payloads, catalog=1, **fields):
    actions = [{"type": type, "payload": payload} for payload in payloads]
    return api.call("PUT", f"/v1/catalogs/{catalog}/sync", {"actions": actions, **fields})


def items(api, catalog=1):
    return {item["sku"]: item for item in api.one("catalogs", catalog)["items"]}


def fill(api):
    sizes = {"a": 10, "b": "20", "c": 30, "d": "large"}
    sync(
        api, "ADD", *({"sku": sku, "attributes": {"size": size, "kind": "green tea"}} for sku, size in sizes.items())
    )
    sync(api, "ADD", {"sku": "bare"}, {"sku": "flag", "attributes": {"kind": True, "size": True}})


def test_adding(api):
    assert sync(api, "ADD", TEA, {"sku": "cup"}).status == 200
    assert str(items(api)["tea"]["price"]) == "9.99"
    sync(api, "ADD", {"sku": "tea", "price": 5, "attributes": {"kind": "black"}})
    assert items(api)["tea"]["attributes"] == TEA["attributes"]
    sync(api, "ADD", {"sku": "tea", "attributes": {"kind": "black"}, "replaceIfExists": True})
    replaced = items(api)["tea"]
    assert (str(replaced["price"]), replaced["attributes"], replaced["product"]) == ("9.99", {"kind": "black"}, None)


def test_patching(api):
    sync(api, "ADD", TEA)
    sync(api, "PATCH", {"sku": "tea", "attributes": {"size": None, "new": 1}}, {"sku": "none", "price": 1})
    patched = items(api)["tea"]
    assert patched["attributes"] == {"kind": "green", "new": 1}
    assert (str(patched["price"]), patched["product"]) == ("9.99", None)
    sync(api, "PATCH", {"sku": "none", "price": 1, "createIfNotExists": True})
    assert items(api)["none"]["price"] == 1


FILTERS = [
    ([], ["a", "b", "bare", "c", "d", "flag"]),
    ([("size", "EQ", 20)], ["b"]),
    ([("size", "EQ", "10")], ["a"]),
    ([("size", "EQ", "large")], ["d"]),
    ([("size", "EQ", True)], ["flag"]),
    ([("size", "GT", 10)], ["b", "c"]),
    ([("size", "GE", "10")], ["a", "b", "c"]),
    ([("size", "LT", 20.5), ("kind", "EQ", "green tea")], ["a", "b"]),
    ([("size", "LE", 10)], ["a"]),
    ([("size", "IN", "10, 30,large")], ["a", "c", "d"]),
    ([("kind", "IN", "green tea"), ("size", "GT", 25)], ["c"]),
    ([("none", "EQ", 1)], []),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_filters(api, filters, expected):
    fill(api)
    payload = {"filters": [{"attr": attr, "op": op, "value": value} for attr, op, value in filters]}
    sync(api, "PATCH_MANY", payload | {"attributes": {"hit": 1}, "price": 7})
    hit = [sku for sku, item in items(api).items() if item["attributes"].get("hit")]
    assert sorted(hit) == expected
    assert all(items(api)[sku]["price"] == 7 for sku in hit)
    sync(api, "REMOVE_MANY", payload)
    assert sorted(set("abcd") | {"bare", "flag"}) == sorted({*expected, *items(api)})
    assert not set(expected) & set(items(api))


def test_removing(api):
    sync(api, "ADD", TEA, {"sku": "cup"})
    assert sync(api, "REMOVE", {"sku": "tea"}, {"sku": "none"}).status == 200
    assert list(items(api)) == ["cup"]


def test_price_adjustments(api):
    sync(api, "ADD", TEA)
    one = {"priceType": "member", "price": 8, "referenceId": "r"}
    sync(api, "ADD_PRICE_ADJUSTMENT", {"sku": "tea", "adjustments": [one, one | {"referenceId": "s"}]})
    sync(api, "ADD_PRICE_ADJUSTMENT", {"sku": "tea", "adjustments": [one | {"price": 7}]})
    assert [(each["referenceId"], each["price"]) for each in items(api)["tea"]["adjustments"]] == [("s", 8), ("r", 7)]
    sync(api, "ADD_PRICE_ADJUSTMENT", {"sku": "tea", "adjustments": [one | {"price": None}]})
    assert [each["referenceId"] for each in items(api)["tea"]["adjustments"]] == ["s"]


def test_versions_are_counted(api):
    assert sync(api, "ADD", TEA).json["version"] == 2
    assert sync(api, "ADD", TEA, version=2).json["version"] == 3
    stale = sync(api, "REMOVE", {"sku": "tea"}, version=2)
    assert (stale.status, stale.pointers) == (400, ["/version"])
    assert (api.one("catalogs", 1)["version"], list(items(api))) == (3, ["tea"])
    assert sync(api, "ADD", TEA, catalog=2).json["version"] == 2
    assert "StatusCode" not in stale.json


def one(type, payload):
    return {"actions": [{"type": type, "payload": payload}]}


def many(*actions):
    return {"actions": [{"type": type, "payload": payload} for type, payload in actions]}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/actions"),
        ({"actions": []}, "/actions"),
        (many(*(("ADD", {"sku": str(n)}) for n in range(1001))), "/actions"),
        ({"actions": [{"type": "ADD"}]}, "/actions/0/payload"),
        (one("DROP", {}), "/actions/0/type"),
        (one("ADD", {"price": 1}), "/actions/0/payload/sku"),
        (one("ADD", {"sku": "x", "price": "1"}), "/actions/0/payload/price"),
        (one("ADD", {"sku": "x", "attributes": {"foo": 1}}), "/actions/0/payload/attributes/foo"),
        (many(("ADD", {"sku": "x"}), ("ADD", {"sku": "x"})), "/actions/1/payload/sku"),
        (many(("ADD", {"sku": "x"}), ("REMOVE", {"sku": "y"})), "/actions/1/type"),
        (
            one("REMOVE_MANY", {"filters": [{"attr": "a", "op": "GT", "value": "x"}]}),
            "/actions/0/payload/filters/0/value",
        ),
        (one("REMOVE_MANY", {"filters": [{"attr": "a", "op": "NE", "value": 1}]}), "/actions/0/payload/filters/0/op"),
        (
            one("ADD_PRICE_ADJUSTMENT", {"sku": "x", "adjustments": [{"priceType": "m"}]}),
            "/actions/0/payload/adjustments/0/referenceId",
        ),
        (one("REMOVE", {"sku": "x"}) | {"version": 0}, "/version"),
    ],
)
def test_syncs_that_are_refused(simulated, body, pointer):
    api = simulated(unknown_attributes=("foo",))
    reply = api.call("PUT", "/v1/catalogs/1/sync", body)
    assert (reply.status, reply.pointers) == (400, [pointer])
    assert api.lines("catalogs") == api.lines("ledger") == []


def test_a_thousand_actions_go_together(api):
    assert sync(api, "ADD", *({"sku": str(n)} for n in range(1000))).status == 200
    assert len(items(api)) == 1000


def test_an_unknown_catalog(simulated):
    api = simulated(unknown_catalogs=(9,))
    reply = sync(api, "ADD", TEA, catalog=9)
    assert (reply.status, reply.parameters, reply.json["StatusCode"]) == (404, ["catalogId"], 404)
    assert sync(api, "ADD", TEA, catalog="nine").parameters == ["catalogId"]
