"""The table covers all operations and all that each of them can be given."""

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason

from .bad import BAD, Bad, bad_record
from .table import CASES, Case
from .wire import case_record, our_requests


def _name(case: Case) -> str:
    return case.operation


def models_in(hint: Any) -> set[type[BaseModel]]:
    """The models that a type is made of, at any depth."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        fields = [models_in(field.annotation) for field in hint.model_fields.values()]
        return {hint}.union(*fields)
    return set().union(*map(models_in, get_args(hint)))


def filled(value: Any) -> set[tuple[type[BaseModel], str]]:
    """The fields that are given in a validated body, at any depth."""
    if isinstance(value, list | dict):
        return set().union(*map(filled, value.values() if isinstance(value, dict) else value))
    if not isinstance(value, BaseModel):
        return set()
    own = {(type(value), name) for name in value.model_fields_set}
    return own.union(*(filled(getattr(value, name)) for name in value.model_fields_set))


def test_every_operation_has_one_case():
    assert [case.operation for case in CASES] == list(OPERATIONS)
    assert list(BAD) == list(OPERATIONS)


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_case_has_every_field_of_its_operation(case):
    row = OPERATIONS[case.operation]
    assert set(case.path) == set(row.path)
    assert set(case.query) == set(row.query)
    if row.body is None:
        assert case.bodies == (None,)
        return
    fields = {(model, name) for model in models_in(row.body) for name in model.model_fields}
    assert set().union(*(filled(row.body.model_validate(body)) for body in case.bodies)) == fields


BAD_RECORDS = [(case, bad) for case in CASES for bad in BAD[case.operation]]


def _bad_name(value: Any) -> str:
    return value.operation if isinstance(value, Case) else f"{value[0]}={value[1]!r}"[:80]


@pytest.mark.parametrize(("case", "bad"), BAD_RECORDS, ids=_bad_name)
def test_what_is_bad_is_refused_where_it_is(case: Case, bad: Bad):
    record, pointer = bad_record(case_record(case, case.bodies[-1]), bad)
    with pytest.raises(InvalidRecord) as refused:
        our_requests(record)
    reason = Reason.INVALID_LOOKUP if OPERATIONS[case.operation].is_read else Reason.INVALID_CALL
    assert (refused.value.reason, refused.value.pointer) == (reason, pointer), refused.value.detail
    assert refused.value.detail.strip()


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_case_is_one_request_a_body(case):
    """Or else the bad ones could be refused for anything."""
    assert [len(our_requests(case_record(case, body))) for body in case.bodies] == [1] * len(case.bodies)
