"""What the operation table says of one API operation, and the decorator that makes a function a row of it.

A row is a function without a body: its signature names the path and query parameters and the body's model,
the decorator names the rest. Calling the function gives the `Request`. Sender, checks, documentation and simulator
read the same row.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ParamSpec, get_type_hints

from pydantic import AfterValidator, BaseModel, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.request import Request, render_query

P = ParamSpec("P")


class SafeToRepeat(Enum):
    """What protects an operation that is sent a second time."""

    BY_KEY = "the API stores the answer under the Idempotency-Key for 24 hours"
    BY_NATURE = "a repeat changes nothing"
    NO = "a repeat acts again"


class Says(Enum):
    """What an error status of one operation means, where that is not what it means elsewhere."""

    DONE = "the work is already done"
    DONE_IF_TRIED = "after an ambiguous try the work is already done, otherwise a refusal"
    LOOK = "a read-back shows whether the work is done, and if not, the request is retried"
    LOOK_IF_TRIED = "after an ambiguous try, a read-back shows whether the work is done, otherwise a refusal"
    UNKNOWN_IF_TRIED = "after an ambiguous try, the outcome is unknown, otherwise a refusal"


@dataclass(frozen=True)
class Bulk:
    """How much one request takes: `field` is the body's list, of at most `limit` entries.

    With `packs`, requests that differ in this list only travel as one; with `merges`, those of one customer even as
    one entry, in which the later wins attribute by attribute. Entries of one request have one value at the place
    `alike`, and no two have the same at the place `distinct` (`a/b` within an entry). `first_only` are fields that go
    with the first of several requests alone. `builds_up` says that each builds on those before it: after one that is
    refused the others are not sent.
    """

    field: str
    limit: int
    packs: bool = False
    merges: bool = False
    alike: str | None = None
    distinct: str | None = None
    first_only: tuple[str, ...] = ()
    builds_up: bool = False


@dataclass(frozen=True)
class Paging:
    """How an operation gives its rows in pages: `rows` is the list in its answer, `key` the field that tells one row
    from another, if there is one. `pageSize` is at most `most`, `skip` says how many rows to leave out."""

    rows: str = "data"
    most: int = 1000
    key: str | None = "id"


@dataclass(frozen=True)
class Operation:
    """One row. `sessions`, `profiles` and `others` are the places of the ids that a request holds while in flight.

    A place is `path:NAME` for a path parameter or `body:FIELD/FIELD`, where a list in between means each of its
    entries. `others` says of what kind an id is: ("catalog", "path:catalogId").
    """

    name: str
    method: str
    template: str
    path: dict[str, TypeAdapter[Any]]
    query: dict[str, TypeAdapter[Any]]
    body: type[BaseModel] | None
    purpose: str
    repeat: SafeToRepeat
    sessions: tuple[str, ...]
    profiles: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    named_by: str | None
    """Place of the name that makes a repeat safe where it is given, and without which it acts again."""
    bulk: Bulk | None
    paging: Paging | None
    says: Mapping[int, Says]
    needs: Mapping[str, str]
    """Query parameters that work only where another one is true: name -> that other one."""
    harmless: bool
    """True when a repeat changes nothing even after its key is forgotten."""
    creates: bool
    """True when it creates what it names and does not find: a 404 then tells of a wrong address."""
    is_read: bool

    @property
    def path_names(self) -> tuple[str, ...]:
        return tuple(self.path)

    @property
    def can_be_dry(self) -> bool:
        return "dry" in self.query

    def repeats(self, request: Request) -> SafeToRepeat:
        """What protects this very request from acting twice."""
        if self.named_by is None or values_at((self.named_by,), request.path, request.body_json()):
            return self.repeat
        return SafeToRepeat.NO


OPERATIONS: dict[str, Operation] = {}
"""The operation table: the official SDK's name of each operation -> its row."""


def api_name(name: str) -> str:
    """The API's spelling of a parameter: customer_session_id -> customerSessionId."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def operation(
    call: str,
    *,
    repeat: SafeToRepeat = SafeToRepeat.BY_NATURE,
    sessions: tuple[str, ...] = (),
    profiles: tuple[str, ...] = (),
    others: tuple[tuple[str, str], ...] = (),
    named_by: str | None = None,
    bulk: Bulk | None = None,
    paging: Paging | None = None,
    says: Mapping[int, Says] | None = None,
    needs: Mapping[str, str] | None = None,
    harmless: bool = False,
    creates: bool = False,
    reads: bool | None = None,
    names: Mapping[str, str] | None = None,
) -> Callable[[Callable[P, Request]], Callable[P, Request]]:
    """Make a function a row of the table.

    `call` is "METHOD /path/{parameter}". Parameters of the function that occur in the path are path parameters,
    `body` is the body, keyword-only ones are query parameters; `names` spells those that the API spells oddly.
    `reads` is to be given where the method does not tell. For the others see Operation.
    """
    method, template = call.split(" ")

    def register(function: Callable[P, Request]) -> Callable[P, Request]:
        signature = inspect.signature(function)
        spelt = {name: (names or {}).get(name) or api_name(name) for name in signature.parameters}
        hints = get_type_hints(function, include_extras=True)
        kinds = {spelt[name]: hints[name] for name in signature.parameters}
        row = Operation(
            name=function.__name__,
            method=method,
            template=template,
            path={name: _path_type(kinds[name]) for name in re.findall(r"\{(\w+)\}", template)},
            query={spelt[p.name]: TypeAdapter(hints[p.name]) for p in _keyword_only(signature)},
            body=hints.get("body"),
            purpose=inspect.getdoc(function) or "",
            repeat=repeat,
            sessions=sessions,
            profiles=profiles,
            others=others,
            named_by=named_by,
            bulk=bulk,
            paging=paging,
            says=dict(says or {}),
            needs=dict(needs or {}),
            harmless=harmless,
            creates=creates,
            is_read=method == "GET" if reads is None else reads,
        )
        OPERATIONS[row.name] = row

        def build(*args: P.args, **kwargs: P.kwargs) -> Request:
            given = {spelt[name]: value for name, value in signature.bind(*args, **kwargs).arguments.items()}
            return row_request(row, given)

        build.__name__ = build.__qualname__ = row.name
        build.__doc__ = function.__doc__
        return build

    return register


def row_request(row: Operation, given: Mapping[str, Any]) -> Request:
    """The request of `row` for values by the API's names, the body under `body`."""
    query = {name: row.query[name].validate_python(given[name]) for name in row.query if given.get(name) is not None}
    body = given.get("body")
    return Request(
        row.name, row.method, row.template, {name: str(given[name]) for name in row.path}, render_query(query),
        None if body is None else encode_body(body),
    )  # fmt: skip


_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def _digits(text: str) -> str:
    if not _WHOLE.fullmatch(text):
        raise PydanticCustomError("whole_number", "not a whole number")
    return text


def _path_type(hint: Any) -> TypeAdapter[Any]:
    """What a path parameter must look like: it travels as text, so a number is a text of digits."""
    if hint is not int:
        return TypeAdapter(hint)
    return TypeAdapter(Annotated[str, AfterValidator(_digits), WithJsonSchema({"type": "integer"})])


def _keyword_only(signature: inspect.Signature) -> list[inspect.Parameter]:
    return [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]


def encode_body(body: BaseModel) -> bytes:
    """A body model as JSON."""
    return jsonio.dumps(body_values(body))


def body_values(body: BaseModel) -> Any:
    """A body model as it is sent: without what was not given, or given as null outside of attributes."""
    return body.model_dump(by_alias=True, exclude_unset=True, exclude_none=True, warnings=False)


def values_at(places: tuple[str, ...], path: Mapping[str, str], body: Any) -> list[str]:
    """The ids found at `places` (see Operation), each once, in order."""
    found: list[str] = []
    for place in places:
        where, _, rest = place.partition(":")
        found += _walk(path if where == "path" else body, rest.split("/"))
    return list(dict.fromkeys(found))


def _walk(value: Any, names: list[str]) -> list[str]:
    if isinstance(value, list):
        return [found for entry in value for found in _walk(entry, names)]
    if not names:
        return [] if value is None or value == "" else [str(value)]
    return _walk(value.get(names[0]), names[1:]) if isinstance(value, Mapping) else []
