"""WriteToTalonOne: the sink for a pipeline of your own."""

import os
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import apache_beam as beam

from beam_talonone.schemas.decoding.settings import MAX_FUTURE
from beam_talonone.schemas.records import MODELS
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.streaming.open_processor import Waits
from beam_talonone.transforms.outputs.sinks import check_place
from beam_talonone.transforms.runtime.arguments import file_name, flag, one_of, reading, seconds
from beam_talonone.transforms.runtime.arguments import mapping as mapping_of
from beam_talonone.transforms.runtime.engines import (
    DEFAULT_KEY_ENV,
    display_data,
    engine_config,
    http_settings,
)
from beam_talonone.transforms.sink.local.write_messages import write_messages
from beam_talonone.transforms.sink.runners import Way, way_to_write
from beam_talonone.transforms.sink.step import Step
from beam_talonone.transforms.sink.write_bounded import write_bounded
from beam_talonone.transforms.sink.write_keyed import write_keyed
from beam_talonone.transforms.sources.elements import check_records

HOUR, MONTH = 3_600.0, 31 * 86_400.0


class WriteToTalonOne(beam.PTransform):  # type: ignore[misc]
    """Send a PCollection of records of one kind, and output what became of each: Written.

    A record is a dict or a row with the fields of docs/records.md. `kind` is orders, returns, profiles, events or
    calls. With a `mapping`, the elements are documents of another shape, and may become records of several kinds.
    Then `kind` is that of the dead letters of documents that cannot be mapped. The settings have the names and
    defaults of the options of the command line:

    * `base_url`: the deployment. The default is TALONONE_BASE_URL where the pipeline is built.
    * `api_key_env`: the environment variable of the worker that holds the key.
    * `api_key_secret`: a secret of Secret Manager that holds it instead (projects/P/secrets/S[/versions/V]).
    * `rate`: requests per second. All steps of a process with the same settings share one rate.
    * `rate_service`: HOST:PORT of Envoy's rate limit service, by which several processes share one (docs/rate.md).
    * `concurrency`: requests in flight.
    * `give_up_after`: seconds without an answer until a bounded pipeline fails. A stream waits.
    * `mapping`: a preset, a mapping file, "pkg.mod:func", or a function (docs/mappings.md).
    * `settle`, `wait_for_order`, `remember`: seconds for which a stream waits for earlier records, a return waits for
      its order, and a repeat is recognized. A bounded PCollection does not need them, as it is sorted as a whole.

    * `state`, `dead_letters`: only for the elements of ReadFromPubSubAtLeastOnce. The folder of what must survive a
      crash, and the folder or topic of the dead letters (by default a folder in `state`).

    An unbounded PCollection of records needs a runner that keeps state durably: Dataflow or Flink. The timestamp of
    an element is the time of its arrival. On Prism, the elements are those of ReadFromPubSubAtLeastOnce: a message is
    acknowledged once its outcome is known, and a dead letter is written before. docs/library.md lists the promises.

    Order: records of one order and of one customer are sent one at a time, in order. Calls that hold no id in common
    are sent side by side. With a mapping, a call is sent in order with the records of its order or its customer.
    The step holds back records that arrive faster than the rate.

    Retries of a bundle: a request that would act twice (docs/operations.md) is not sent again as long as the worker
    lives. The same holds for an erasure, which would also erase what came after it. To survive a kill takes the
    journal of `beam-talonone backfill`.

    Raises ConfigurationError when a setting is missing or wrong, or when the runner could lose records of an
    unbounded PCollection. A refused key, or an API that stays unreachable, fails the pipeline: no record becomes a
    dead letter for it.

    >>> orders = beam.Pipeline() | beam.Create([{"order_id": "3001", "customer_id": "c-17", "status": "open"}])
    >>> written = orders | WriteToTalonOne("orders", base_url="https://yourcompany.europe-west1.talon.one", rate=50)
    >>> written.dead_letters
    <PCollection[WriteToTalonOne(orders)/Dead letters.None] at ...>

    >>> from beam_talonone import ReadFromPubSubAtLeastOnce
    >>> messages = beam.Pipeline("PrismRunner") | ReadFromPubSubAtLeastOnce(["projects/P/subscriptions/S"])
    >>> url = "https://yourcompany.europe-west1.talon.one"
    >>> written = messages | WriteToTalonOne("orders", base_url=url, settle=2, state="/var/lib/orders")
    >>> written.applied.is_bounded
    False
    """

    def __init__(
        self,
        kind: str,
        *,
        base_url: str | None = None,
        api_key_env: str = DEFAULT_KEY_ENV,
        api_key_secret: str | None = None,
        rate: float = 100.0,
        concurrency: int = 64,
        give_up_after: float = 300.0,
        rate_service: str | None = None,
        http_client: Literal["auto", "fast", "httpx"] = "auto",
        client_cert: str | None = None,
        ca_bundle: str | None = None,
        insecure: bool = False,
        profile_mode: Literal["bulk", "rules"] = "bulk",
        events_api: Literal["v2", "v3"] = "v2",
        allow_unknown_api_fields: bool = False,
        edit_closed: Literal["reopen"] | None = None,
        results: bool = False,
        dry: bool = False,
        assume_timezone: str | None = None,
        ambiguous_time: Literal["earlier", "later"] | None = None,
        max_future: str = MAX_FUTURE,
        unknown_fields: Literal["refuse", "ignore"] | None = None,
        mapping: str | Path | Callable[..., Any] | None = None,
        settle: float = 5.0,
        wait_for_order: float = 600.0,
        remember: float = 8 * 86_400.0,
        state: str | Path | None = None,
        dead_letters: str | Path | None = None,
    ) -> None:
        super().__init__()
        one_of("kind", kind, MODELS)
        one_of("profile_mode", profile_mode, ("bulk", "rules"))
        one_of("events_api", events_api, ("v2", "v3"))
        one_of("edit_closed", edit_closed, ("reopen", None))
        flag("results", results)
        flag("dry", dry)
        flag("allow_unknown_api_fields", allow_unknown_api_fields)
        self._mapping = mapping_of("mapping", mapping)
        self._reading = reading(assume_timezone, ambiguous_time, max_future, unknown_fields)
        self._kind = kind
        self._config = engine_config(
            base_url, api_key_env, rate, concurrency, give_up_after, api_key_secret, rate_service,
            http_settings(http_client, client_cert, ca_bundle, insecure),
        )  # fmt: skip
        self._build = BuildOptions(dry, results, profile_mode, events_api, allow_unknown_api_fields, in_code=True)
        self._options = SendOptions(dry=dry, edit_closed=edit_closed, effects=results)
        self._waits = Waits(
            seconds("settle", settle, HOUR),
            seconds("wait_for_order", wait_for_order, MONTH),
            seconds("remember", remember, 12 * MONTH),
        )
        self._state = None if state is None else os.path.abspath(file_name("state", _text_of(state)))
        self._dead_letters = (
            None
            if dead_letters is None
            else check_place("dead_letters", file_name("dead_letters", _text_of(dead_letters)))
        )
        self._shown = {
            "assume_timezone": assume_timezone,
            "ambiguous_time": ambiguous_time,
            "max_future": None if max_future == MAX_FUTURE else max_future,
            "unknown_fields": unknown_fields,
            "state": self._state,
            "dead_letters": self._dead_letters,
        }
        self._job = uuid.uuid4().hex[:12]

    def default_label(self) -> str:
        """The name of the step in the graph."""
        return f"WriteToTalonOne({self._kind})"

    def type_check_inputs(self, records: beam.PCollection[Any]) -> None:
        """Raise Beam's TypeCheckError for elements that cannot be records."""
        check_records(records.element_type, self.label)

    def display_data(self) -> dict[str, Any]:
        """The settings that Beam shows of the step, without those of the API key."""
        settings = {
            "dry": self._options.dry or None,
            "mapping": None if self._mapping is None else self._mapping.name,
            "profile_mode": self._build.profile_mode if self._sends("profiles") else None,
            "events_api": self._build.events_api if self._sends("events") else None,
            "allow_unknown_api_fields": self._build.allow_unknown_api_fields or None,
            "edit_closed": self._options.edit_closed,
            **self._shown,
            **{name: value for name, value in asdict(self._waits).items() if value != getattr(Waits, name)},
        }
        changed = {name: value for name, value in settings.items() if value is not None}
        return {"kind": self._kind, **display_data(self._config), **changed}

    def _sends(self, kind: str) -> bool:
        """Whether records of `kind` may be sent. A mapping may make any."""
        return self._kind == kind or self._mapping is not None

    def expand(self, records: beam.PCollection[Any]) -> Any:  # Beam warns of the type Written
        """Add the steps. Called by Beam; raises ConfigurationError if the runner cannot write an unbounded
        PCollection.
        """
        step = Step(
            self.label, self._job, self._kind, self._mapping, self._build, self._reading, self._config, self._options
        )
        if records.is_bounded:
            self._refuse_folders("the PCollection is bounded")
            return write_bounded(records, step)
        way = way_to_write(records, self.label)
        if self._options.dry:
            raise ConfigurationError("dry is for a bounded PCollection: a stream has no dry run")
        if way is Way.THIS_PROCESS:
            if self._state is None:
                raise ConfigurationError(
                    f"{self.label} needs state: name a folder that survives a crash, as the runner keeps no state"
                )
            return write_messages(records, step, self._waits, self._state, self._dead_letters)
        self._refuse_folders(f"{type(records.pipeline.runner).__name__} keeps the state")
        return write_keyed(records, step, self._waits)

    def _refuse_folders(self, why: str) -> None:
        """Raise ConfigurationError for settings that only the elements of ReadFromPubSubAtLeastOnce need."""
        for name, value in (("state", self._state), ("dead_letters", self._dead_letters)):
            if value is not None:
                raise ConfigurationError(
                    f"{name} is for the elements of ReadFromPubSubAtLeastOnce: here {why}, and dead letters are the"
                    " output dead_letters"
                )


def _text_of(path: str | Path) -> Any:
    """A Path as text. Anything else as it is, for the check of the argument."""
    return str(path) if isinstance(path, Path) else path
