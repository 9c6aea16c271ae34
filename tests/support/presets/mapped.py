"""What the tests of all presets do: map a document, and validate its records."""

import json
from decimal import Decimal
from typing import Any

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.transforms.mapping.result import Mapping, MappingResult


def mapped_by(mapping: Mapping, document: Any) -> MappingResult:
    """The result of a document that `mapping` must accept. Each of its records must be valid."""
    result = mapping(document)
    assert result.failure is None
    for record in result.records:
        parse(record.kind, record.fields)
    return result


def returns_of(result: MappingResult) -> list[dict[str, Any]]:
    """The fields of the returns that a document became."""
    return [record.fields for record in result.records if record.kind == "returns"]


def as_read(document: Any) -> Any:
    """A document as a source reads it: numbers with a fraction are exact."""
    return json.loads(json.dumps(document), parse_float=Decimal)
