"""The writer's schema of a message, fetched by its revision from the schema service of Pub/Sub, and kept."""

import threading
from typing import Any

from google.api_core import exceptions
from google.pubsub_v1 import SchemaServiceClient
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from google.pubsub_v1.types import Schema

from beam_talonone.transforms.messages.avro_schemas import UnusableSchema, parse_avro_schema
from beam_talonone.transforms.pubsub.client import client_of

FETCH_TIMEOUT = 20.0
"""Seconds."""

_NOT_THERE = (exceptions.NotFound, exceptions.InvalidArgument, exceptions.PermissionDenied)


class WriterSchemas:
    """Schemas by name and revision. A revision never changes, so the process fetches it once.

    Any thread may call it. A refusal is remembered too, because more messages with the same schema follow.
    """

    def __init__(self, client: Any | None = None) -> None:
        self._client = client
        self._schemas: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, revision: str) -> Any:
        """The parsed schema `projects/P/schemas/S` of `revision` ("" for the newest).

        Raises UnusableSchema if the schema does not exist, cannot be read without a permission, or is no Avro schema.
        Raises google.api_core.exceptions.GoogleAPIError if the service does not answer.
        """
        with self._lock:
            key = (name, revision)
            if key not in self._schemas:
                self._schemas[key] = self._fetched(f"{name}@{revision}" if revision else name)
            if isinstance(self._schemas[key], UnusableSchema):
                raise self._schemas[key]
            return self._schemas[key]

    def _fetched(self, path: str) -> Any:
        if self._client is None:
            self._client = client_of(SchemaServiceClient, SchemaServiceGrpcTransport)
        try:
            schema = self._client.get_schema(name=path, timeout=FETCH_TIMEOUT)
        except _NOT_THERE as error:
            return UnusableSchema(
                f"the schema {path} of the message cannot be read ({type(error).__name__}): grant the role"
                " Pub/Sub Viewer, or give the schema with --avro-schema FILE"
            )
        if schema.type_ != Schema.Type.AVRO:
            return UnusableSchema(f"the schema {path} is of the type {schema.type_.name}: only Avro is supported")
        try:
            return parse_avro_schema(schema.definition)
        except UnusableSchema as error:
            return UnusableSchema(f"the schema {path}: {error}")
