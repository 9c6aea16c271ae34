"""The live objects of this process: a graph carries a key, and its steps find the object here.

An object lives in a scope, such as one run of a stream. When the scope ends, the registry forgets the objects that
are left in it, and closes them. So nothing that a run enters outlives the run.
"""

import threading
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, eq=False)
class Kind(Generic[K, V]):
    """A kind of live objects, such as engines by their settings. `close` ends an object; None if none needs it.

    `lock` is held while an object of this kind is made, so that each key has a single object. Other kinds need not
    wait.
    """

    name: str
    close: Callable[[V], object] | None = None
    lock: Any = field(default_factory=threading.RLock)


class ProcessRegistry:
    """Live objects by kind and key. All methods may be called from any thread; `find` takes no lock.

    >>> registry, names = ProcessRegistry(), Kind[str, list[str]]("lists of names", list.clear)
    >>> with registry.scope() as scope:
    ...     scope.enter(names, "mine", ["Ada"])
    ...     registry.find(names, "mine")
    ['Ada']
    >>> registry.find(names, "mine") is None
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[tuple[Kind[Any, Any], Hashable], tuple[Any, Scope]] = {}
        self._process = Scope(self)

    def scope(self) -> "Scope":
        """Return a new scope; it ends with its `with` block, or with `close`."""
        return Scope(self)

    def find(self, kind: Kind[K, V], key: K) -> V | None:
        """Return the live object of this key, None if there is none."""
        entry = self._live.get((kind, key))
        return None if entry is None else entry[0]

    def get(self, kind: Kind[K, V], key: K) -> V:
        """Return the live object of this key. Raises LookupError if there is none: its scope has ended."""
        entry = self._live.get((kind, key))
        if entry is None:
            raise LookupError(f"this process has no {kind.name} of {key!r}")
        value: V = entry[0]
        return value

    def obtain(self, kind: Kind[K, V], key: K, make: Callable[[], V]) -> V:
        """Return the live object of this key, made first if there is none. Raises what `make` raises.

        It lives until `close`, or as long as the process: a step cannot know when its pipeline ends.
        """
        with kind.lock:
            value = self.find(kind, key)
            if value is None:
                value = make()
                self._process.enter(kind, key, value)
            return value

    def close(self, kind: Kind[K, V], key: K) -> bool:
        """Forget and close the object of this key before its scope ends. Returns False if there is none."""
        with self._lock:
            entry = self._live.pop((kind, key), None)
            if entry is None:
                return False
            value, scope = entry
            scope.entries = [other for other in scope.entries if other[2] is not value or other[:2] != (kind, key)]
        if kind.close is not None:
            kind.close(value)
        return True

    def add(self, kind: Kind[K, V], key: K, value: V, scope: "Scope") -> None:
        """Let `scope` own `value`: see `Scope.enter`."""
        with self._lock:
            scope.entries.append((kind, key, value))
            self._live[kind, key] = value, scope

    def end(self, scope: "Scope") -> None:
        """Forget all objects that `scope` still owns, and close them: see `Scope.close`."""
        with self._lock:
            entries, scope.entries = scope.entries, []
            for kind, key, value in entries:
                live = self._live.get((kind, key))
                if live is not None and live[0] is value and live[1] is scope:
                    del self._live[kind, key]
        with ExitStack() as closing:  # closes the newest first, and all of them, whatever one raises
            for kind, _, value in entries:
                if kind.close is not None:
                    closing.callback(kind.close, value)


class Scope:
    """The objects of one owner, such as a run. Use it in a `with` block, or call `close`."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self._registry = registry
        self.entries: list[tuple[Kind[Any, Any], Hashable, Any]] = []
        """(kind, key, object), the oldest first; guarded by the lock of the registry."""

    def enter(self, kind: Kind[K, V], key: K, value: V) -> None:
        """Let the process find `value` by its key until this scope ends. `find` returns the latest object of a
        key, and earlier objects stay with their own scopes.
        """
        self._registry.add(kind, key, value, self)

    def close(self) -> None:
        """End the scope: forget its objects and close them, the newest first.

        An error of one object is raised after all are closed.
        """
        self._registry.end(self)

    def __enter__(self) -> "Scope":
        """Return the scope itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the scope, whatever happened in the block."""
        self.close()


PROCESS = ProcessRegistry()
"""The registry of this process."""
