"""How the messages of a stream become records."""

from collections.abc import Mapping
from dataclasses import dataclass

from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.talonone.requests.build import BuildOptions


@dataclass(frozen=True)
class MessageOptions:
    """`kinds` maps each subscription to the kind of its records.

    `avro_schema` is the text of the schema of messages that carry none of their own.
    """

    kinds: Mapping[str, str]
    build: BuildOptions
    reading: Reading = AS_USUAL
    avro_schema: str | None = None
