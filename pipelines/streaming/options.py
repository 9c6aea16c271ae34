"""The settings of a stream, checked, and independent of the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from beam_talonone.pipelines.backfill.options import MaxDeadLetters, reading_of
from beam_talonone.schemas.decoding.account_attributes import AccountAttributes
from beam_talonone.schemas.decoding.settings import MAX_FUTURE, Ambiguous, Reading, UnknownFields
from beam_talonone.schemas.kinds import KINDS, RECORDS
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.http.client_choice import DEFAULT, HttpSettings
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.streaming.message_source import FILES
from beam_talonone.transforms.mapping.result import Mapping
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.runtime.engines import DEFAULT_KEY_ENV, EngineConfig


@dataclass(frozen=True)
class StreamOptions:
    """All settings of `stream`, for the local graph and for Dataflow.

    * `subscriptions`: kinds (orders, returns, ...) and their subscriptions (projects/P/subscriptions/S), in the order
      of the command line. Under RECORDS: subscriptions whose messages say their kind. Under FILES, only for the local
      graph: those with notifications of a bucket. In Dataflow's graph, the first one of a kind is named by its kind.
    * `dead_letters`, `results`: topics (projects/P/topics/T) or folders.
    * `settle`, `wait_for_order`, `bulk_age`, `remember`: seconds.
    * `state`, `bulk_age`, `exit_on_auth_error`, `health_port`, `health_host`, `prism_location`: only for the local
      graph.
    * `rate` (requests per second), `concurrency`: of the whole job. On Dataflow, each worker has a share of them.
    * `rate_service` (HOST:PORT): each worker may use the whole rate, and the service grants it a part. `among` is the
      number of workers, None if it is unknown.
    * `max_dead_letters`: more dead letters among the last 1,000 records of a kind stop the reading. None is half of
      the records on this machine, and no limit on Dataflow.
    * `avro_schema`: the text of the schema for messages that carry none.
    * `mapping`: converts documents of another shape to records.
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
    attributes: AccountAttributes | None = None
    avro_schema: str | None = None
    mapping: Mapping | None = None
    prism_location: str | None = None
    beam_args: tuple[str, ...] = ()

    def kinds(self) -> dict[str, str]:
        """The kind of the messages of each subscription; RECORDS where each message says its own, FILES for files."""
        return {name: kind for kind, names in self.subscriptions.items() for name in names}

    def of_several_kinds(self) -> frozenset[str]:
        """The subscriptions that name no kind: those of --records and --files."""
        return frozenset(name for option in (RECORDS, FILES) for name in self.subscriptions.get(option, ()))

    def counted_kinds(self) -> tuple[str, ...]:
        """The kinds under which /metrics counts messages from the start."""
        return (*KINDS, RECORDS) if self.of_several_kinds() else tuple(self.subscriptions)

    def build_options(self) -> BuildOptions:
        """How records become requests. Effects are requested if there is a place for results."""
        return BuildOptions(
            effects=self.results is not None,
            profile_mode=self.profile_mode,
            events_api=self.events_api,
            allow_unknown_api_fields=self.allow_unknown_api_fields,
        )

    def reading(self) -> Reading:
        """How the fields of records are read. Raises ConfigurationError for a wrong time zone or --max-future."""
        return reading_of(
            self.assume_timezone, self.ambiguous_time, self.max_future, self.unknown_fields, self.attributes
        )

    def message_options(self) -> MessageOptions:
        """How messages become records. Raises ConfigurationError as `reading` does."""
        return MessageOptions(self.kinds(), self.build_options(), self.reading(), self.avro_schema, self.mapping)

    def send_options(self) -> SendOptions:
        """How requests are sent. A return reads its order first, because it may arrive before the order."""
        return SendOptions(edit_closed=self.edit_closed, effects=self.results is not None, look_first=True)

    def engine_config(self) -> EngineConfig:
        """The settings of the sending engine, which waits for ever during an outage of the API.

        Raises ConfigurationError for a base URL that is not one.
        """
        settings = EngineSettings(
            check_base_url(self.base_url), self.rate, self.concurrency, give_up_after=None, http=self.http
        )
        return EngineConfig(settings, self.api_key_env, self.api_key_secret, self.rate_service, self.among)
