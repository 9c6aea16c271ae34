"""The settings of a stream, checked, and apart from how they were typed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from beam_talonone.pipelines.backfill.options import MaxDeadLetters, reading_of
from beam_talonone.schemas.decoding.settings import MAX_FUTURE, Ambiguous, Reading, UnknownFields
from beam_talonone.talonone.delivery.request_sender import SendOptions
from beam_talonone.talonone.engine.engine import EngineSettings
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.http.client_choice import DEFAULT, HttpSettings
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.mapping.result import Mapping
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.runtime.engines import DEFAULT_KEY_ENV, EngineConfig


@dataclass(frozen=True)
class StreamOptions:
    """All of `stream`, for the local graph and for Dataflow's.

    `subscriptions` maps kinds (orders, returns, ...) to their subscriptions (projects/P/subscriptions/S), in the
    order given: the first of a kind has the names of a single one in Dataflow's graph. `dead_letters` and `results`
    are topics (projects/P/topics/T) or folders. `settle`, `wait_for_order`, `bulk_age` and `remember` are in seconds.
    `state`, `bulk_age`, `exit_on_auth_error`, `health_port`, `health_host` and `prism_location`
    concern the local graph only. `rate` (requests a second) and `concurrency` are those of the whole job; on Dataflow
    each worker has its share of them. With a `rate_service` (HOST:PORT) each worker may have the whole rate, of which
    the service grants it a part; `among` is how many workers there are, None if nobody knows. `max_dead_letters` of
    the last 1,000 records of a kind stop the reading: None for half of them on this machine, and for any on Dataflow.
    `avro_schema` is the text of the schema of messages that carry none of their own. `mapping` makes records of
    documents of another shape.
    """

    subscriptions: dict[str, tuple[str, ...]]
    base_url: str
    job: str
    api_key_env: str = DEFAULT_KEY_ENV
    api_key_secret: str | None = None
    rate: float = 100.0
    rate_service: str | None = None
    http: HttpSettings = DEFAULT
    among: int | None = None
    concurrency: int = 64
    dead_letters: str | None = None
    results: str | None = None
    state: Path | None = None
    settle: float = 5.0
    wait_for_order: float = 600.0
    bulk_age: float = 1.0
    remember: float = 8 * 86_400.0
    exit_on_auth_error: bool = False
    max_dead_letters: MaxDeadLetters | None = None
    health_port: int | None = None
    health_host: str = "127.0.0.1"
    profile_mode: Literal["bulk", "rules"] = "bulk"
    events_api: Literal["v2", "v3"] = "v2"
    allow_unknown_api_fields: bool = False
    edit_closed: str | None = None
    assume_timezone: str | None = None
    ambiguous_time: Ambiguous | None = None
    max_future: str = MAX_FUTURE
    unknown_fields: UnknownFields | None = None
    avro_schema: str | None = None
    mapping: Mapping | None = None
    prism_location: str | None = None
    beam_args: tuple[str, ...] = ()

    def kinds(self) -> dict[str, str]:
        """Of each subscription what its messages are."""
        return {name: kind for kind, names in self.subscriptions.items() for name in names}

    def build_options(self) -> BuildOptions:
        """How records become requests; effects are asked for when results are wanted."""
        return BuildOptions(
            effects=self.results is not None,
            profile_mode=self.profile_mode,
            events_api=self.events_api,
            allow_unknown_api_fields=self.allow_unknown_api_fields,
        )

    def reading(self) -> Reading:
        """How messages are read. Raises ConfigurationError."""
        return reading_of(self.assume_timezone, self.ambiguous_time, self.max_future, self.unknown_fields)

    def message_options(self) -> MessageOptions:
        """How messages become records. Raises ConfigurationError."""
        return MessageOptions(self.kinds(), self.build_options(), self.reading(), self.avro_schema, self.mapping)

    def send_options(self) -> SendOptions:
        """How requests are carried out: a return looks for its order first, as it may come before it."""
        return SendOptions(edit_closed=self.edit_closed, effects=self.results is not None, look_first=True)

    def engine_config(self) -> EngineConfig:
        """What makes the sending engine. Waits out an outage for ever. Raises ConfigurationError for a bad URL."""
        settings = EngineSettings(
            check_base_url(self.base_url), self.rate, self.concurrency, give_up_after=None, http=self.http
        )
        return EngineConfig(settings, self.api_key_env, self.api_key_secret, self.rate_service, self.among)
