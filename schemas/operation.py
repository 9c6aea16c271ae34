"""A row of the operation table, and the decorator that turns a function into a row.

A row is a function without a body. Its signature names the path and query parameters and the model of the body; the
decorator names the rest. Calling the function returns the `Request`. Sender, checks, documentation and simulator read
the same row.
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
    """What protects an operation from acting twice when it is sent a second time."""

    BY_KEY = "the API stores the answer under the Idempotency-Key for 24 hours"
    BY_NATURE = "a repeat changes nothing"
    NO = "a repeat acts again"


class Says(Enum):
    """What an error status means for one operation, if it does not have its usual meaning."""

    DONE = "the work is already done"
    DONE_IF_TRIED = "after an ambiguous try the work is already done, otherwise a refusal"
    LOOK = "a read-back shows whether the work is done, and if not, the request is retried"
    LOOK_IF_TRIED = "after an ambiguous try, a read-back shows whether the work is done, otherwise a refusal"
    UNKNOWN_IF_TRIED = "after an ambiguous try, the outcome is unknown, otherwise a refusal"


@dataclass(frozen=True)
class Bulk:
    """How many entries one request takes: `field` is the list in the body, with at most `limit` entries.

    * `packs`: requests that differ only in this list are sent as one.
    * `merges`: entries of one customer are sent as one entry, in which the later value of an attribute wins.
    * `alike`: all entries of a request have the same value at this place (`a/b` within an entry).
    * `distinct`: no two entries of a request have the same value at this place.
    * `first_only`: fields that only the first of several requests has.
    * `builds_up`: each request builds on the one before. After a refused one, the rest is not sent.
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
    """How an operation pages its rows: `rows` is the list in the answer, and `key` the field that identifies a row,
    None if no field does. The parameter `pageSize` is at most `most`; `skip` is the number of rows to leave out."""

    rows: str = "data"
    most: int = 1000
    key: str | None = "id"


@dataclass(frozen=True)
class Operation:
    """One row of the table. `sessions`, `profiles` and `others` are the places of the ids that a request holds while
    it is in flight: no other request with one of these ids is sent meanwhile.

    A place is `path:NAME` for a path parameter or `body:FIELD/FIELD`, where a list in between stands for each of its
    entries. `others` pairs the kind of an id with its place: ("catalog", "path:catalogId").

    >>> from beam_talonone.schemas.operations import OPERATIONS
    >>> row = OPERATIONS["update_customer_session_v2"]
    >>> row.method, row.path_names, row.can_be_dry, row.repeat.name
    ('PUT', ('customerSessionId',), True, 'BY_KEY')
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
    """Place of the name that makes a repeat safe. Without such a name in the request, a repeat acts again."""
    bulk: Bulk | None
    paging: Paging | None
    says: Mapping[int, Says]
    needs: Mapping[str, str]
    """Query parameters that work only while another one is true: name -> the other name."""
    harmless: bool
    """True when a repeat changes nothing even after the API has forgotten its idempotency key."""
    creates: bool
    """True when it creates the object that it names. A 404 then means a wrong address."""
    is_read: bool

    @property
    def path_names(self) -> tuple[str, ...]:
        """The API's names of the path parameters, in the order of the path."""
        return tuple(self.path)

    @property
    def can_be_dry(self) -> bool:
        """Whether the API can evaluate the request without an effect (query parameter `dry`)."""
        return "dry" in self.query

    def repeats(self, request: Request) -> SafeToRepeat:
        """What protects this request from acting twice: that of the row, or NO if the request lacks its name."""
        if self.named_by is None or values_at((self.named_by,), request.path, request.body_json()):
            return self.repeat
        return SafeToRepeat.NO


OPERATIONS: dict[str, Operation] = {}
"""The operation table: the name of an operation in the official SDK -> its row."""


def api_name(name: str) -> str:
    """The API's spelling of a parameter: customer_session_id becomes customerSessionId."""
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
    """Turn a function into a row of the table.

    `call` is "METHOD /path/{parameter}". Parameters of the function that occur in the path are path parameters,
    `body` is the body, and keyword-only ones are query parameters. `names` maps parameters to names that the API
    spells irregularly. `reads` overrides the method: by default, a GET reads and all others write. Operation explains
    the other arguments.
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
            arguments = {spelt[name]: value for name, value in signature.bind(*args, **kwargs).arguments.items()}
            return row_request(row, arguments)

        build.__name__ = build.__qualname__ = row.name
        build.__doc__ = function.__doc__
        return build

    return register


def row_request(row: Operation, values: Mapping[str, Any]) -> Request:
    """The request of `row` for values by the API's names, with the body model under `body`.

    Raises KeyError without a path parameter, and pydantic's ValidationError for an invalid value of the query.
    """
    query = {
        name: row.query[name].validate_python(values[name]) for name in row.query if values.get(name) is not None
    }
    body = values.get("body")
    return Request(
        row.name, row.method, row.template, {name: str(values[name]) for name in row.path}, render_query(query),
        None if body is None else encode_body(body),
    )  # fmt: skip


_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def _digits(text: str) -> str:
    if not _WHOLE.fullmatch(text):
        raise PydanticCustomError("whole_number", "not a whole number")
    return text


def _path_type(hint: Any) -> TypeAdapter[Any]:
    """The check of a path parameter. It is sent as text, so a number is a text of digits."""
    if hint is not int:
        return TypeAdapter(hint)
    return TypeAdapter(Annotated[str, AfterValidator(_digits), WithJsonSchema({"type": "integer"})])


def _keyword_only(signature: inspect.Signature) -> list[inspect.Parameter]:
    return [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]


def encode_body(body: BaseModel) -> bytes:
    """A body model as the JSON that is sent, in UTF-8. `body_values` describes which fields it has."""
    return jsonio.dumps(body_values(body))


def body_values(body: BaseModel) -> Any:
    """The fields of a body model that are sent: those that were set, without nulls outside of attributes."""
    return body.model_dump(by_alias=True, exclude_unset=True, exclude_none=True, warnings=False)


def values_at(places: tuple[str, ...], path: Mapping[str, str], body: Any) -> list[str]:
    """The ids at `places` (see Operation) of a request's path and body, each once, in order."""
    ids: list[str] = []
    for place in places:
        where, _, rest = place.partition(":")
        ids += _walk(path if where == "path" else body, rest.split("/"))
    return list(dict.fromkeys(ids))


def _walk(value: Any, names: list[str]) -> list[str]:
    if isinstance(value, list):
        return [item for entry in value for item in _walk(entry, names)]
    if not names:
        return [] if value is None or value == "" else [str(value)]
    return _walk(value.get(names[0]), names[1:]) if isinstance(value, Mapping) else []
