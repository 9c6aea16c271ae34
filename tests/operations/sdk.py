"""What the official SDK would send, caught where its own HTTP client would take it. No network."""

import inspect
import json
import re
import warnings
from datetime import datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from beam_talonone.schemas.operations import OPERATIONS

from .document import Document, Parameter
from .table import Case
from .wire import Wire, wire

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    talon_one = pytest.importorskip("talon_one", reason="the official SDK is not installed")

HOST = "https://example.invalid"
VERSION: str = talon_one.__version__


class _Caught(Exception):
    """Raised in place of sending."""


class _Catcher:
    """Replaces the SDK's HTTP client, and keeps the request instead of sending it."""

    caught: Wire

    def request(self, method: str, url: str, headers: Any = None, body: Any = None, **_: Any) -> None:
        self.caught = wire(method.upper(), url.removeprefix(HOST), None if body is None else json.dumps(body))
        raise _Caught


def _client() -> tuple[Any, _Catcher]:
    client = talon_one.ApiClient(talon_one.Configuration(host=HOST))
    client.rest_client = catcher = _Catcher()
    return client, catcher


def snake(name: str) -> str:
    """The SDK's spelling of the API's parameter `name`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def method_of(operation: str) -> Any:
    """The SDK's method of this name; None where this version has none."""
    return getattr(talon_one.IntegrationApi, operation, None)


def takes(operation: str, name: str, value: Any) -> bool:
    """Whether the SDK's method has a parameter for the API's `name`, of a type that takes `value`."""
    parameter = inspect.signature(method_of(operation)).parameters.get(snake(name))
    if parameter is None:
        return False
    try:
        TypeAdapter(parameter.annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def takes_body(case: Case, body: Any) -> bool:
    """Whether the SDK's class takes the body."""
    try:
        _given(case, body)
    except ValidationError:
        return False
    return True


def _given(case: Case, body: Any) -> Any:
    # from_dict would name every field, and so send a null for a price that is not given
    return body if case.model is None else getattr(talon_one, case.model).model_validate(body)


def by_method(case: Case, body: Any, query: dict[str, Any]) -> Wire:
    """The request of the SDK's own method for the operation."""
    client, catcher = _client()
    named = {snake(name): value for name, value in {**case.path, **query}.items()}
    method = getattr(talon_one.IntegrationApi(client), case.operation)
    left = [name for name in inspect.signature(method).parameters if name not in named and not name.startswith("_")]
    if body is not None:
        named[next(name for name in left if name not in map(snake, OPERATIONS[case.operation].query))] = _given(
            case, body
        )
    with pytest.raises(_Caught):
        method(**named)
    return catcher.caught


def by_document(case: Case, body: Any, document: Document) -> Wire:
    """The request of the SDK's serializer, told of the operation by the vendor's document."""
    client, catcher = _client()
    row = OPERATIONS[case.operation]
    known = {one.name: one for one in document.parameters(row)}
    formats = {name: "multi" if one.explode else "csv" for name, one in known.items() if one.is_list}
    query = [(name, _typed(known[name], value)) for name, value in case.query.items()]
    url = client.param_serialize(
        row.method, row.template, path_params=dict(case.path), query_params=query, body=body,
        collection_formats=formats,
    )  # fmt: skip
    with pytest.raises(_Caught):
        client.call_api(*url)
    return catcher.caught


def _typed(parameter: Parameter, value: Any) -> Any:
    return datetime.fromisoformat(value) if parameter.schema.get("format") == "date-time" else value
