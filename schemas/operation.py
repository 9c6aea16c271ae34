"""What the operation table says of one API operation, and the decorator that makes a function a row of it.

A row is a function without a body: its signature names the path and query parameters and the body's model,
the decorator names the rest. Calling the function gives the `Request`. Sender, checks, documentation and simulator
read the same row.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ParamSpec, get_type_hints

from pydantic import BaseModel, TypeAdapter

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.request import Request, render_query

P = ParamSpec("P")


class SafeToRepeat(Enum):
    """What protects an operation that is sent a second time."""

    BY_KEY = "the API stores the answer under the Idempotency-Key for 24 hours"
    BY_NATURE = "a second time changes nothing"
    NO = "a second time acts again"


@dataclass(frozen=True)
class Bulk:
    """How requests of one operation pack into one: `field` is the body's list, of at most `limit` entries."""

    field: str
    limit: int


@dataclass(frozen=True)
class Operation:
    """One row. `sessions` and `profiles` are the JSON-path-like places of the ids the request holds while in flight.

    A place is `path:NAME` for a path parameter or `body:FIELD/FIELD`, where a list in between means each of its
    entries.
    """

    name: str
    method: str
    template: str
    path_names: tuple[str, ...]
    query: dict[str, TypeAdapter[Any]]
    body: type[BaseModel] | None
    purpose: str
    repeat: SafeToRepeat
    sessions: tuple[str, ...]
    profiles: tuple[str, ...]
    bulk: Bulk | None
    done_when: frozenset[int]
    harmless: bool
    """True when a repeat changes nothing even after its key is forgotten."""
    creates: bool
    """True when it creates what it names and does not find: a 404 then tells of a wrong address."""

    @property
    def is_read(self) -> bool:
        return self.method == "GET"

    @property
    def can_be_dry(self) -> bool:
        return "dry" in self.query


OPERATIONS: dict[str, Operation] = {}
"""The operation table: the official SDK's name of each operation -> its row."""


def api_name(name: str) -> str:
    """The API's spelling of a parameter: customer_session_id -> customerSessionId."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def operation(
    call: str,
    *,
    repeat: SafeToRepeat,
    sessions: tuple[str, ...] = (),
    profiles: tuple[str, ...] = (),
    bulk: Bulk | None = None,
    done_when: tuple[int, ...] = (),
    harmless: bool = False,
    creates: bool = False,
) -> Callable[[Callable[P, Request]], Callable[P, Request]]:
    """Make a function a row of the table.

    `call` is "METHOD /path/{parameter}". `done_when` lists error statuses that mean the work is done already
    whenever they are answered. Parameters of the function that occur in the path are path parameters, `body`
    is the body, keyword-only ones are query parameters.
    """
    method, template = call.split(" ")

    def register(function: Callable[P, Request]) -> Callable[P, Request]:
        name = function.__name__
        hints = get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
        queries = {
            api_name(p.name): TypeAdapter(hints[p.name])
            for p in signature.parameters.values()
            if p.kind is p.KEYWORD_ONLY
        }
        row = Operation(
            name, method, template, tuple(re.findall(r"\{(\w+)\}", template)), queries, hints.get("body"),
            inspect.getdoc(function) or "", repeat, sessions, profiles, bulk, frozenset(done_when), harmless, creates,
        )  # fmt: skip
        OPERATIONS[name] = row

        def build(*args: P.args, **kwargs: P.kwargs) -> Request:
            given = signature.bind(*args, **kwargs).arguments
            body = given.pop("body", None)
            named = {api_name(key): value for key, value in given.items()}
            return Request(
                name,
                method,
                template,
                {key: str(named[key]) for key in row.path_names},
                render_query({key: named.get(key) for key in queries}),
                None if body is None else encode_body(body),
            )

        build.__name__ = build.__qualname__ = name
        build.__doc__ = function.__doc__
        return build

    return register


def encode_body(body: BaseModel) -> bytes:
    """A body model as JSON: what was not given, or given as null outside of attributes, is not sent."""
    return jsonio.dumps(body.model_dump(by_alias=True, exclude_unset=True, exclude_none=True))
