"""ReadFromPubSubAtLeastOnce: an unbounded splittable DoFn for engines that have no usable Pub/Sub source."""

import re
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.pubsub.message_buffer import Flow, MessageBuffer
from beam_talonone.transforms.pubsub.registry import subscriber_for
from beam_talonone.transforms.runtime.arguments import number, shown, whole

RESUME_AFTER = 0.02
"""Seconds after which the engine must resume. With 0.05, nothing was read for 54 ms; with 0, for 24 ms."""

LOOK = 0.1
"""Seconds between two checks whether reading has stopped."""

MOST_BYTES = 2**40
"""More than any memory: a larger limit is a mistake."""

_SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")

NO_MORE = object()
"""The position to claim when reading has stopped."""


@dataclass(frozen=True)
class Reading:
    """The restriction: all messages, now and later. It is never split. A reading that was given back and resumes has
    `begun`.
    """

    over: bool = False
    begun: bool = False


class ReadingTracker(RestrictionTracker):  # type: ignore[misc]
    """Claims any message until the reading is given back. Claiming NO_MORE ends the reading for good."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._given_back = False

    def current_restriction(self) -> Reading:
        """Return the current reading, which is `over` after a split and at the end."""
        return self._reading

    def try_claim(self, position: object) -> bool:
        """Claim a message id, or NO_MORE. Returns False if the reading was given back or is over."""
        if position is NO_MORE:
            self._reading = Reading(over=True)
        return not (self._given_back or self._reading.over)

    def try_split(self, fraction: float) -> tuple[Reading, Reading] | None:
        """Give back the whole reading. Only a split at once (fraction 0) is possible, because it has no parts."""
        if fraction != 0 or self._given_back or self._reading.over:
            return None
        self._given_back = True
        self._reading = Reading(over=True)
        return self._reading, Reading(begun=True)

    def check_done(self) -> None:
        """Raise ValueError if the reading was neither given back nor stopped."""
        if not self._reading.over:
            raise ValueError("reading was neither given back nor stopped")

    def is_bounded(self) -> bool:
        """False, because messages have no end."""
        return False

    def current_progress(self) -> RestrictionProgress:
        """Return a constant, because the progress of an endless reading is unknown."""
        return RestrictionProgress(fraction=0.0)  # `completed` and `remaining` can fail the job with NaN


class ReadingProvider(RestrictionProvider):  # type: ignore[misc]
    """One restriction for all subscriptions, because one reader reads them all."""

    def initial_restriction(self, element: object) -> Reading:
        """Return the whole reading."""
        return Reading()

    def create_tracker(self, restriction: Reading) -> ReadingTracker:
        """Return the tracker of one attempt at reading."""
        return ReadingTracker(restriction)

    def restriction_size(self, element: object, restriction: Reading) -> int:
        """Return 1, because all readings weigh the same."""
        return 1

    def split(self, element: object, restriction: Reading) -> Iterable[Reading]:
        """Yield the reading unsplit."""
        yield restriction

    def truncate(self, element: object, restriction: Reading) -> Reading | None:
        """Return None: a drain ends the reading."""
        return None


# Beam wants these as defaults of `process`
_TRACKER = beam.DoFn.RestrictionParam(ReadingProvider())
_WATERMARK = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class ReadMessages(beam.DoFn):  # type: ignore[misc]
    """An impulse -> Received without end, or lists of up to `together` of them. `bundle` is in seconds."""

    def __init__(
        self, subscriptions: tuple[str, ...], flow: Flow, bundle: float, together: int | None = None
    ) -> None:
        self._subscriptions, self._flow = subscriptions, flow
        self._bundle, self._together = bundle, together
        self._reader = uuid.uuid4().hex  # the same for all copies of this step
        self._buffer: MessageBuffer | None = None

    def start_bundle(self) -> None:
        """Let `process` look up the subscriber again."""
        self._buffer = None

    def finish_bundle(self) -> None:
        """Hand on the messages for good: the bundle has succeeded."""
        if self._buffer is not None:
            self._buffer.handed_on(self._reader)
            self._buffer = None

    def teardown(self) -> None:
        """Queue the messages of a failed bundle once more."""
        if self._buffer is not None:  # the bundle has failed
            self._buffer.again(self._reader)

    @beam.DoFn.unbounded_per_element()  # type: ignore[untyped-decorator]
    def process(
        self,
        impulse: bytes,
        tracker: Any = _TRACKER,
        watermark: Any = _WATERMARK,
    ) -> Iterator[WindowedValue]:
        """Yield messages for `bundle` seconds, then ask the engine to resume soon."""
        begun = tracker.current_restriction().begun
        subscriber = subscriber_for(self._subscriptions, self._flow, begun=begun)
        if subscriber is None:
            tracker.try_claim(NO_MORE)
            return
        buffer = subscriber.buffer
        if self._buffer is None:  # a bundle that failed may have left messages
            buffer.again(self._reader)
            self._buffer = buffer
        until = time.monotonic() + self._bundle
        windows = (GlobalWindow(),)  # Beam would make another one for each message, at a tenth of the rate
        step = self._together or 1
        while time.monotonic() < until:
            messages = buffer.take(LOOK, self._reader)
            for first in range(0, len(messages), step):
                message = messages[first]
                if not tracker.try_claim(message.message_id):
                    buffer.put_back(messages[first:])
                    return
                element = message if self._together is None else messages[first : first + step]
                yield WindowedValue(element, Timestamp.of(message.publish_time), windows)
            if buffer.stopped:
                tracker.try_claim(NO_MORE)
                return
        _advance(watermark, buffer)
        tracker.defer_remainder(Duration.of(RESUME_AFTER))


def _advance(watermark: Any, buffer: MessageBuffer) -> None:
    reached, current = buffer.watermark(time.time()), watermark.current_watermark()
    if reached is not None and (current is None or Timestamp.of(reached) > current):
        watermark.set_watermark(Timestamp.of(reached))


def _names(subscriptions: Any) -> tuple[str, ...]:
    """The checked names of the subscriptions. Raises ConfigurationError."""
    is_list = isinstance(subscriptions, Iterable) and not isinstance(subscriptions, str | bytes)
    names = tuple(subscriptions) if is_list else ()
    if not names or not all(isinstance(name, str) and _SUBSCRIPTION.fullmatch(name) for name in names):
        raise ConfigurationError(
            f"subscriptions is a list of names such as projects/P/subscriptions/S, not {shown(subscriptions)}"
        )
    return names


class ReadFromPubSubAtLeastOnce(beam.PTransform):  # type: ignore[misc]
    """Subscriptions -> PCollection of Received, for engines without a durable Pub/Sub source (all but Dataflow).

    Only `Received.ack` acknowledges a message. Call it when the message is finished, in any process. The messages
    that a process holds when it dies are delivered again.

    * `max_messages` and `max_bytes` limit the messages held of each subscription. At the limit nothing is read, so a
      step that never acknowledges stops the source.
    * `max_lease`: seconds. Leases are extended for so long. Then a message is given back, and a warning is logged.
    * `bundle`: seconds. If a shuffle follows, messages move on at the end of a bundle.
    * `together`: elements are lists of up to so many messages that arrived together, because an element costs Beam as
      much as the validation of a record.

    If a bundle fails, its messages are emitted again, except acknowledged ones. If no bundle asks for messages for
    two minutes, as after a failed pipeline, the waiting messages are given back.

    The timestamp of an element is the publish time (of the first message of a list). The watermark follows some
    seconds behind. A message that is delivered again is older than the watermark, so windows need an allowed
    lateness: the message of a late element that they drop is never acknowledged.

    >>> source = ReadFromPubSubAtLeastOnce(["projects/p/subscriptions/orders"], max_messages=500)
    >>> (beam.Pipeline() | source).element_type
    <class 'beam_talonone.transforms.pubsub.message.Received'>
    """

    def __init__(
        self,
        subscriptions: Iterable[str],
        *,
        max_messages: int = 10_000,
        max_bytes: int = 256 * 1024 * 1024,
        max_lease: float = 3_600.0,
        bundle: float = 0.5,
        together: int | None = None,
    ) -> None:
        super().__init__()
        self._subscriptions = _names(subscriptions)
        self._flow = Flow(
            whole("max_messages", max_messages),
            whole("max_bytes", max_bytes, MOST_BYTES),
            number("max_lease", max_lease),
        )
        self._bundle = number("bundle", bundle)
        self._together = None if together is None else whole("together", together)

    def display_data(self) -> dict[str, Any]:
        """The settings that Beam shows of the step: all of them."""
        return {
            "subscriptions": ", ".join(self._subscriptions),
            "max_messages": self._flow.messages,
            "max_bytes": self._flow.bytes,
            "max_lease": self._flow.lease,
            "bundle": self._bundle,
            **({} if self._together is None else {"together": self._together}),
        }

    def expand(self, begin: Any) -> Any:
        """Add the steps. Called by Beam."""
        read = beam.ParDo(ReadMessages(self._subscriptions, self._flow, self._bundle, self._together))
        element = Received if self._together is None else list[Received]
        return begin | "Start" >> beam.Impulse() | "Read messages" >> read.with_output_types(element)
