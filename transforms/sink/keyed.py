"""A stream in order on an engine that keeps state by key and commits it with what it led to: Dataflow.

Records go by order first, so that all versions of an order and what follows on it go one way, and then by customer,
where a lane (talonone.streaming.keyed_processor) holds them; see transforms.sink.keyed_send. A call that concerns
neither goes by what else it holds (talonone.streaming.call_key). There is no clock but event time: a record's
timestamp is when it was published, and a timer fires when all that was published before it has come.
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
from beam_talonone.talonone.delivery.request_sender import SendOptions
from beam_talonone.talonone.protocols.session_reads import profile_of
from beam_talonone.talonone.requests.outcome import End
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.streaming.call_key import call_lane
from beam_talonone.talonone.streaming.keyed_processor import TOGETHER, Came, Rules, Source
from beam_talonone.talonone.telemetry.process_tuning import quiet_process
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.engines import EngineConfig, engine_for
from beam_talonone.transforms.runtime.metrics import count_outcome, count_read, count_requests
from beam_talonone.transforms.sink.apply import invalid
from beam_talonone.transforms.sink.keyed_send import SendLane, instant, letter, taken
from beam_talonone.transforms.sink.write import DEAD, OTHERS, Written
from beam_talonone.transforms.sources.prepare import Prepared

BY_ORDER = "by_order"

Keyed = tuple[str, bytes]


class SendInOrder(beam.PTransform):  # type: ignore[misc]
    """Unbounded (Received, Prepared) -> Written.

    `job` names the run in dead letters. Sends from the process's engine for `config`; a refused key fails the bundle,
    which the engine tries again for ever. Its steps have stable names, so that a job that runs can be updated.
    """

    def __init__(self, config: EngineConfig, options: SendOptions, rules: Rules, job: str) -> None:
        super().__init__()
        self._config, self._options, self._rules, self._job = config, options, rules, job

    def expand(self, prepared: beam.PCollection[tuple[Received, Prepared]]) -> Any:  # Beam warns of the type Written
        by_key = beam.ParDo(ByKey(self._config, self._job)).with_output_types(
            Keyed, **{BY_ORDER: Keyed, DEAD: dict[str, Any]}
        )
        valid = prepared | "Valid" >> by_key.with_outputs(BY_ORDER, DEAD, main="lanes")
        by_order = beam.ParDo(FindLane(self._config, self._rules)).with_output_types(Keyed)
        lanes = (valid.lanes, valid[BY_ORDER] | "By order" >> by_order) | "Lanes" >> beam.Flatten()
        send = beam.ParDo(SendLane(self._config, self._options, self._rules, self._job))
        sent = lanes | "By customer" >> send.with_outputs(DEAD, OTHERS, main="applied")
        dead = (valid[DEAD], sent[DEAD]) | "All dead letters" >> beam.Flatten()
        return Written(sent.applied, dead, sent[OTHERS])


class ByKey(beam.DoFn):  # type: ignore[misc]
    """(Received, Prepared) -> (lane, Came), or by order (order, Came) for what concerns one, or a dead letter."""

    def __init__(self, config: EngineConfig, job: str) -> None:
        self._config, self._job = config, job

    def setup(self) -> None:
        quiet_process()

    def process(self, element: tuple[Received, Prepared], at: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        message, prepared = element
        source = Source(message.subscription, message.message_id, message.data)
        kind = prepared.raw.kind
        count_read(kind, prepared.unknown_fields, len(prepared.unknown_api))
        if prepared.work is None:
            yield TaggedOutput(DEAD, self._dead(prepared, source))
            return
        came = Came(prepared.work, source, float(at)).to_bytes()
        if prepared.work.sessions:
            yield TaggedOutput(BY_ORDER, (prepared.work.sessions[0], came))
        else:
            yield "/".join(call_lane(prepared.work)) if kind == "calls" else customer_lane(prepared.work), came

    def _dead(self, prepared: Prepared, source: Source) -> dict[str, Any]:
        kind, record_id = prepared.raw.kind, prepared.id_or_none()
        if kind == "orders" and record_id is not None:  # its returns are told why their order is not there
            engine_for(self._config).memory.note_order(record_id, "", End.DEAD)
        outcome = invalid(prepared)
        count_outcome(kind, outcome)
        return letter(kind, record_id, source, outcome, self._job, [])


def customer_lane(work: Work) -> str:
    return f"profile/{work.profiles[0]}"


class FindLane(beam.DoFn):  # type: ignore[misc]
    """(order, Came) -> (lane, Came): the lane of the first customer that was known of the order, for as long as it is
    remembered.

    A return without a customer, and a call on an order, wait for the order as long as they may. When none has come,
    its customer is asked for. Where the API does not know the order either, the lane is the order's own, for the
    order too when it comes.
    """

    LATER = TimerSpec("later", TimeDomain.WATERMARK)
    LANE_STATE = beam.DoFn.StateParam(ReadModifyWriteStateSpec("lane", StrUtf8Coder()))
    WAITING_STATE = beam.DoFn.StateParam(BagStateSpec("waiting", BytesCoder()))
    LATER_TIMER = beam.DoFn.TimerParam(LATER)

    def __init__(self, config: EngineConfig, rules: Rules) -> None:
        self._config, self._rules = config, rules

    def process(
        self, element: Keyed, lane: Any = LANE_STATE, waiting: Any = WAITING_STATE, later: Any = LATER_TIMER
    ) -> Iterator[Keyed]:
        came, known = Came.from_bytes(element[1]), lane.read()
        if known is None and not _tells_customer(came.work):
            if _refers(came.work):
                yield customer_lane(came.work), element[1]
                return
            waiting.add(element[1])
            # a little less than it waits in its lane: it must be there when what came with it leaves
            later.set(instant(came.at + max(0.0, self._rules.settle - TOGETHER)))
            return
        all_came = [came]
        if known is None:
            known = customer_lane(came.work)
            lane.write(known)
            all_came += taken(waiting)
        later.set(instant(came.at + self._rules.remember))
        yield from _in_lane(known, all_came)

    @on_timer(LATER)  # type: ignore[untyped-decorator]
    def at_later(
        self,
        order: Any = beam.DoFn.KeyParam,
        now: Any = beam.DoFn.TimestampParam,
        lane: Any = LANE_STATE,
        waiting: Any = WAITING_STATE,
        later: Any = LATER_TIMER,
    ) -> Iterator[Keyed]:
        all_came = taken(waiting)
        if not all_came:
            lane.clear()
            return
        engine = engine_for(self._config)
        (answer,) = engine.answers([get_customer_session(order)])
        count_requests(engine)
        customer = profile_of(answer)
        found = f"order/{order}" if customer is None else f"profile/{customer}"
        lane.write(found)
        later.set(instant(float(now) + self._rules.remember))
        yield from _in_lane(found, all_came)


def _tells_customer(work: Work) -> bool:
    """Whether a record says whose its order is. What else a call names need not be that customer."""
    own = work.kind in ("orders", "returns") or work.parts[0].request.operation == "update_customer_session_v2"
    return own and bool(work.profiles)


def _refers(work: Work) -> bool:
    """Whether it is an event, which has a customer of its own and only refers to an order."""
    return work.parts[0].request.operation == "track_event_v3"


def _in_lane(lane: str, all_came: Iterable[Came]) -> Iterator[Keyed]:
    """Into the lane, where a return without a customer is its customer's."""
    sort, _, name = lane.partition("/")
    for came in all_came:
        work = came.work
        if sort == "profile" and work.kind == "returns" and not work.profiles:
            came = msgspec.structs.replace(came, work=msgspec.structs.replace(work, profiles=[name]))
        yield lane, came.to_bytes()
