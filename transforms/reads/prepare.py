"""From a line of ids to a request that reads, or to the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.calls import check_request
from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord, escape, parse_lookup
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.schemas.kinds import LOOKUPS
from beam_talonone.schemas.operations import OPERATIONS, Operation
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.identity import digest
from beam_talonone.talonone.requests.work import Part, Work
from beam_talonone.transforms.sources.prepare import Prepared


def read_operation(name: str) -> Operation:
    """The row of an operation that reads. Raises ConfigurationError that lists them for other names."""
    row = OPERATIONS.get(name)
    if row is None or not row.is_read:
        reads = ", ".join(other.name for other in OPERATIONS.values() if other.is_read)
        what = "is no operation" if row is None else "writes"
        raise ConfigurationError(f"{name!r} {what}; those that read are {reads}")
    return row


@dataclass(frozen=True)
class PrepareLookup:
    """Prepares the lookups of one operation, in the place of `prepare` for records."""

    operation: str

    def __call__(self, raw: Raw, options: BuildOptions, reading: Reading) -> Prepared:
        """As `prepare_lookup`, for the operation of this object."""
        return prepare_lookup(raw, self.operation, options, reading)


def prepare_lookup(raw: Raw, operation: str, options: BuildOptions, reading: Reading = AS_USUAL) -> Prepared:
    """Decode and check one lookup. Every problem is in the result; nothing is raised for it."""
    row = OPERATIONS[operation]
    fields: dict[str, Any] | None = None
    try:
        fields = decode(raw)
        parameters = nested(row, fields, reading) if raw.format == "csv" else fields
        lookup, unknown = parse_lookup(parameters, reading)
        [called] = check_request(row, lookup, Reason.INVALID_LOOKUP, beyond=options.beyond())
        # two equal lookups are two, each with its own line
        place = digest([raw.file, raw.position])
        parts = (Part(called.request, "read"),)
        request = {
            "lookup_id": lookup.lookup_id,
            "operation": operation,
            "path": parameters.get("path") or {},
            "query": parameters.get("query") or {},
        }
        work = Work(
            LOOKUPS, lookup.lookup_id or "", place, place, 0, 0, 0, (), (), parts, given=jsonio.dumps(request)
        )  # fmt: skip
        return Prepared(raw, work, len(unknown), unknown, called.beyond)
    except InvalidRecord as problem:
        return Prepared(raw, None, problem=problem, fields=fields)


def nested(row: Operation, flat: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """A flat CSV row, with a column for each parameter, as a lookup. The column `body` holds JSON.

    Raises InvalidRecord for a near miss of a parameter, and for a `body` that is not JSON.
    """
    fields: dict[str, Any] = {"path": {}, "query": {}}
    for name, cell in flat.items():
        if name in row.path:
            fields["path"][name] = cell
        elif name in row.query:
            fields["query"][name] = cell
        else:
            _not_misspelt(row, name, flat, reading)
            fields[name] = cell
    if isinstance(fields.get("body"), str):
        try:
            fields["body"] = jsonio.loads(fields["body"])
        except ValueError as error:
            raise InvalidRecord(Reason.INVALID_LOOKUP, f"body: not JSON: {error}", "/body") from None
    return fields


def _not_misspelt(row: Operation, column: str, flat: Mapping[str, Any], reading: Reading) -> None:
    """Refuse a column that is nearly a parameter. Other columns belong to the user, but without the misspelt filter,
    the answer would be a different one.
    """
    if reading.unknown_fields == "ignore":
        return
    plain = _plain(column)
    parameters = (*row.path, *row.query, "lookup_id", "body")
    nearest = next((name for name in parameters if _plain(name) == plain), column)
    if nearest not in flat:
        raise InvalidRecord(
            Reason.MISNAMED_FIELD,
            f"the column {column!r} is not known: did you mean {nearest}?",
            "/" + escape(column),
        )


def _plain(name: str) -> str:
    return name.replace("_", "").replace(" ", "").replace("-", "").lower()
