"""How the messages of a stream become records."""

from collections.abc import Mapping as Table
from dataclasses import dataclass

from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.mapping.result import Mapping


@dataclass(frozen=True)
class MessageOptions:
    """`kinds` names the kind of the records of each subscription. For RECORDS, each message says its kind.

    `avro_schema` is the text of the schema of messages without a schema of their own. `mapping` makes records of
    documents of another shape. The kind of a record is then that of the mapping, and not that of the subscription or
    message.
    """

    kinds: Table[str, str]
    build: BuildOptions
    reading: Reading = AS_USUAL
    avro_schema: str | None = None
    mapping: Mapping | None = None
