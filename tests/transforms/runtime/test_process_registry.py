"""The live objects of a process: each key has one, and what a scope owns ends with it."""

import threading

import pytest

from beam_talonone.transforms.runtime.process_registry import Kind, ProcessRegistry


class Thing:
    def __init__(self, name, log, error=None):
        self.name, self.log, self.error = name, log, error

    def close(self):
        self.log.append(self.name)
        if self.error is not None:
            raise self.error


THINGS = Kind[str, Thing]("thing", Thing.close)
OTHERS = Kind[str, Thing]("other", Thing.close)


@pytest.fixture
def registry():
    return ProcessRegistry()


@pytest.fixture
def closed():
    return []


def test_the_end_of_a_scope_closes_what_it_owns_the_newest_first(registry, closed):
    with registry.scope() as scope:
        for name in "abc":
            scope.enter(THINGS, name, Thing(name, closed))
        assert registry.get(THINGS, "b").name == "b"
        assert closed == []
    assert closed == ["c", "b", "a"]
    assert [registry.find(THINGS, name) for name in "abc"] == [None] * 3


def test_a_scope_ends_also_when_its_block_fails(registry, closed):
    scope = registry.scope()
    scope.enter(THINGS, "a", Thing("a", closed))
    with pytest.raises(RuntimeError, match="the pipeline failed"), scope:
        raise RuntimeError("the pipeline failed")
    assert closed == ["a"]
    assert registry.find(THINGS, "a") is None


def test_one_that_fails_to_close_keeps_no_other_open(registry, closed):
    scope = registry.scope()
    scope.enter(THINGS, "a", Thing("a", closed))
    scope.enter(THINGS, "b", Thing("b", closed, ZeroDivisionError("b")))
    with pytest.raises(ZeroDivisionError, match="b"):
        scope.close()
    assert closed == ["b", "a"]
    scope.close()
    assert closed == ["b", "a"], "each is closed once"


def test_the_end_of_a_scope_touches_no_other(registry, closed):
    with registry.scope() as outer:
        outer.enter(THINGS, "a", Thing("outer", closed))
        with registry.scope() as inner:
            inner.enter(THINGS, "b", Thing("inner", closed))
        assert closed == ["inner"]
        assert registry.get(THINGS, "a").name == "outer"


def test_kinds_do_not_share_their_keys(registry, closed):
    with registry.scope() as scope:
        scope.enter(THINGS, "a", Thing("thing", closed))
        assert registry.find(OTHERS, "a") is None


def test_of_two_with_one_key_the_later_is_found_and_both_are_closed(registry, closed):
    with registry.scope() as first:
        first.enter(THINGS, "a", Thing("first", closed))
        with registry.scope() as second:
            second.enter(THINGS, "a", Thing("second", closed))
            assert registry.get(THINGS, "a").name == "second"
        assert registry.find(THINGS, "a") is None
    assert closed == ["second", "first"]


def test_the_scope_of_the_earlier_one_leaves_the_later_one_alone(registry, closed):
    first, second = registry.scope(), registry.scope()
    first.enter(THINGS, "a", Thing("first", closed))
    second.enter(THINGS, "a", Thing("second", closed))
    first.close()
    assert registry.get(THINGS, "a").name == "second"
    assert closed == ["first"]


def test_an_object_that_is_closed_early_is_closed_once(registry, closed):
    with registry.scope() as scope:
        scope.enter(THINGS, "a", Thing("a", closed))
        assert registry.close(THINGS, "a")
        assert closed == ["a"]
        assert not registry.close(THINGS, "a")
    assert closed == ["a"]


def test_what_is_not_there_is_named(registry):
    with pytest.raises(LookupError, match="this process has no thing of 'a'"):
        registry.get(THINGS, "a")


def test_an_object_is_made_once_and_once_more_after_its_end(registry, closed):
    made = [registry.obtain(THINGS, "a", lambda: Thing("a", closed)) for _ in range(2)]
    assert made[0] is made[1]
    registry.close(THINGS, "a")
    assert closed == ["a"]
    assert registry.obtain(THINGS, "a", lambda: Thing("a", closed)) is not made[0]


def test_what_cannot_be_made_is_tried_again(registry, closed):
    def broken():
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError):
        registry.obtain(THINGS, "a", broken)
    assert registry.obtain(THINGS, "a", lambda: Thing("a", closed)).name == "a"


def test_threads_that_ask_at_once_share_one_and_other_kinds_go_on(registry, closed):
    begun, go_on, made, results = threading.Event(), threading.Event(), [], []

    def make():
        made.append(1)
        begun.set()
        assert go_on.wait(10.0)
        return Thing("a", closed)

    threads = [threading.Thread(target=lambda: results.append(registry.obtain(THINGS, "a", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(10.0)
    assert registry.obtain(OTHERS, "a", lambda: Thing("other", closed)).name == "other"
    assert registry.find(THINGS, "a") is None, "looking does not wait"
    go_on.set()
    for thread in threads:
        thread.join(10.0)
    assert made == [1]
    assert len({id(thing) for thing in results}) == 1
    assert len(results) == 4


def test_closing_may_use_the_registry(registry, closed):
    """An engine that ends lets go of messages, whose holder is found in the registry."""
    kind = Kind[str, Thing]("caller", lambda thing: closed.append(registry.find(THINGS, "a")))
    with registry.scope() as scope:
        scope.enter(kind, "x", Thing("x", closed))
    assert closed == [None]
