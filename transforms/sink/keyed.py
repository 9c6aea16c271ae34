"""A stream in order on an engine that commits state by key together with its outputs: Dataflow.

Records are grouped by order first, so that all versions of an order, and the records that refer to it, take one path.
Then they are grouped by customer, where a per-key processor (talonone.streaming.keyed_processor) holds them; see
transforms.sink.keyed_send. A call that concerns neither is grouped by its other ids (talonone.streaming.call_key).
The only clock is event time: the timestamp of a record is its publish time, and a timer fires when all records that
were published before it have arrived.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import BytesCoder, StrUtf8Coder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer

from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.protocols.session_reads import profile_of
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.streaming.call_key import call_key
from beam_talonone.talonone.streaming.keyed_processor import TOGETHER, Arrival, Rules, Source
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.engines import EngineConfig, engine_for
from beam_talonone.transforms.runtime.metrics import count_outcome, count_read, count_requests
from beam_talonone.transforms.sink.keyed_send import (
    SendLane,
    Shows,
    dead_letter_of,
    emptied,
    instant,
    shown_message,
)
from beam_talonone.transforms.sink.write_steps import DEAD, OTHERS
from beam_talonone.transforms.sink.written import Line, Written
from beam_talonone.transforms.sources.prepare import Prepared, invalid_outcome

BY_ORDER = "by_order"

Keyed = tuple[str, bytes]


class SendInOrder(beam.PTransform):  # type: ignore[misc]
    """Send an unbounded PCollection of (Received, Prepared), and output the outcomes: Written.

    `job` names the run in dead letters, and `shows` decodes what they show of a record. The steps send from the
    engine of the process for `config`. A refused key fails the bundle, and Dataflow retries it without end. The names
    of steps, states, tags and of the class SendLane are stable, so that a running job can be updated.
    """

    def __init__(
        self, config: EngineConfig, options: SendOptions, rules: Rules, job: str, shows: Shows = shown_message
    ) -> None:
        super().__init__()
        self._config, self._options, self._rules, self._job = config, options, rules, job
        self._shows = shows

    def expand(self, prepared: beam.PCollection[tuple[Received, Prepared]]) -> Any:  # Beam warns of the type Written
        """Add the steps. Called by Beam."""
        by_key = beam.ParDo(ByKey(self._config, self._job, self._shows)).with_output_types(
            Keyed, **{BY_ORDER: Keyed, DEAD: Line}
        )
        valid = prepared | "Valid" >> by_key.with_outputs(BY_ORDER, DEAD, main="lanes")
        by_order = beam.ParDo(FindKey(self._config, self._rules)).with_output_types(Keyed)
        keyed = (valid.lanes, valid[BY_ORDER] | "By order" >> by_order) | "Lanes" >> beam.Flatten()
        send = beam.ParDo(
            SendLane(self._config, self._options, self._rules, self._job, self._shows)
        ).with_output_types(Line, **{DEAD: Line, OTHERS: Line})
        sent = keyed | "By customer" >> send.with_outputs(DEAD, OTHERS, main="applied")
        dead = (valid[DEAD], sent[DEAD]) | "All dead letters" >> beam.Flatten()
        return Written(sent.applied, dead, sent[OTHERS])


class ByKey(beam.DoFn):  # type: ignore[misc]
    """(Received, Prepared) -> (key, Arrival), or (order, Arrival) tagged BY_ORDER for a record of an order, or a dead
    letter.
    """

    def __init__(self, config: EngineConfig, job: str, shows: Shows = shown_message) -> None:
        self._config, self._job, self._shows = config, job, shows

    def setup(self) -> None:
        """Tune the logs and threads of the worker process."""
        tune_process()

    def process(self, element: tuple[Received, Prepared], at: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        """Determine the key of one record."""
        message, prepared = element
        source = Source(message.subscription, message.message_id, message.data)
        kind = prepared.raw.kind
        count_read(kind, prepared.unknown_fields, len(prepared.unknown_api))
        if prepared.filtered_by is not None:
            count_outcome(kind, Outcome(End.FILTERED))
            return
        if prepared.work is None:
            yield TaggedOutput(DEAD, self._dead(prepared, source))
            return
        record = Arrival(prepared.work, source, float(at)).to_bytes()
        if prepared.work.sessions:
            yield TaggedOutput(BY_ORDER, (prepared.work.sessions[0], record))
        else:
            yield "/".join(call_key(prepared.work)) if kind == "calls" else customer_key(prepared.work), record

    def _dead(self, prepared: Prepared, source: Source) -> dict[str, Any]:
        kind, record_id = prepared.raw.kind, prepared.id_or_none()
        if kind == "orders" and record_id is not None:  # its returns become dead letters too, for this reason
            engine_for(self._config).memory.note_order(record_id, "", End.DEAD)
        outcome = invalid_outcome(prepared)
        count_outcome(kind, outcome)
        return dead_letter_of(kind, record_id, self._shows(source), outcome, self._job, [])


def customer_key(work: Work) -> str:
    """The key of a record's customer: `profile/` and the id."""
    return f"profile/{work.profiles[0]}"


class FindKey(beam.DoFn):  # type: ignore[misc]
    """(order, Arrival) -> (key, Arrival). The key is the first known customer of the order, while it is remembered.

    A return without a customer, and a call on an order, wait for the order until their deadline. Then the customer is
    read from the API. If the API does not know the order either, the order itself is the key from then on.
    """

    LATER = TimerSpec("later", TimeDomain.WATERMARK)
    KEY_STATE = beam.DoFn.StateParam(ReadModifyWriteStateSpec("lane", StrUtf8Coder()))
    WAITING_STATE = beam.DoFn.StateParam(BagStateSpec("waiting", BytesCoder()))
    LATER_TIMER = beam.DoFn.TimerParam(LATER)

    def __init__(self, config: EngineConfig, rules: Rules) -> None:
        self._config, self._rules = config, rules

    def process(
        self, element: Keyed, key_state: Any = KEY_STATE, waiting: Any = WAITING_STATE, later: Any = LATER_TIMER
    ) -> Iterator[Keyed]:
        """Emit a record with its key, or keep it until the customer is known."""
        record, key = Arrival.from_bytes(element[1]), key_state.read()
        if key is None and not _tells_customer(record.work):
            if _refers(record.work):
                yield customer_key(record.work), element[1]
                return
            waiting.add(element[1])
            # a little less than a record waits with its key: so it arrives before records of its time are sent
            later.set(instant(record.at + max(0.0, self._rules.reorder_delay - TOGETHER)))
            return
        records = [record]
        if key is None:
            key = customer_key(record.work)
            key_state.write(key)
            records += emptied(waiting)
        later.set(instant(record.at + self._rules.remember))
        yield from _with_key(key, records)

    @on_timer(LATER)  # type: ignore[untyped-decorator]
    def at_later(
        self,
        order: Any = beam.DoFn.KeyParam,
        now: Any = beam.DoFn.TimestampParam,
        key_state: Any = KEY_STATE,
        waiting: Any = WAITING_STATE,
        later: Any = LATER_TIMER,
    ) -> Iterator[Keyed]:
        """End the wait: read the customer of the order, and emit the waiting records. Without any, forget the key."""
        records = emptied(waiting)
        if not records:
            key_state.clear()
            return
        engine = engine_for(self._config)
        (answer,) = engine.answers([get_customer_session(order)])
        count_requests(engine)
        customer = profile_of(answer)
        key = f"order/{order}" if customer is None else f"profile/{customer}"
        key_state.write(key)
        later.set(instant(float(now) + self._rules.remember))
        yield from _with_key(key, records)


def _tells_customer(work: Work) -> bool:
    """Whether the record names the customer of its order. Customers in other calls need not be that one."""
    own = work.kind in ("orders", "returns") or work.parts[0].request.operation == "update_customer_session_v2"
    return own and bool(work.profiles)


def _refers(work: Work) -> bool:
    """Whether the work is an event, which has its own customer and only refers to an order."""
    return work.parts[0].request.operation == "track_event_v3"


def _with_key(key: str, records: Iterable[Arrival]) -> Iterator[Keyed]:
    """The records with their key. A return without a customer gets the customer of the key."""
    sort, _, name = key.partition("/")
    for record in records:
        work = record.work
        if sort == "profile" and work.kind == "returns" and not work.profiles:
            record = msgspec.structs.replace(record, work=msgspec.structs.replace(work, profiles=(name,)))
        yield key, record.to_bytes()
