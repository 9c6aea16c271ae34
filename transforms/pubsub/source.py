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
"""Seconds after which the engine is asked to go on. 0.05 cost 54 ms in which nothing was read, none at all 24 ms."""

LOOK = 0.1
"""Seconds between two looks at whether reading has stopped."""

MOST_BYTES = 2**40
"""No memory holds as much: a larger bound is a mistake."""

_SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")

NO_MORE = object()
"""What is claimed when reading has stopped."""


@dataclass(frozen=True)
class Reading:
    """The restriction: all that will ever come. It is never split, only given back to be taken up again: `begun`."""

    over: bool = False
    begun: bool = False


class ReadingTracker(RestrictionTracker):  # type: ignore[misc]
    """Claims any message until it is given back; to claim NO_MORE ends it: nothing is left to be taken up."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._given_back = False

    def current_restriction(self) -> Reading:
        """Return what is being read; after a split or the end that is nothing."""
        return self._reading

    def try_claim(self, position: object) -> bool:
        """Claim a message id, or NO_MORE. Returns False when reading was given back or is over."""
        if position is NO_MORE:
            self._reading = Reading(over=True)
        return not (self._given_back or self._reading.over)

    def try_split(self, fraction: float) -> tuple[Reading, Reading] | None:
        """Give back the reading as a whole. Only at once (fraction 0): it has no parts."""
        if fraction != 0 or self._given_back or self._reading.over:
            return None
        self._given_back = True
        self._reading = Reading(over=True)
        return self._reading, Reading(begun=True)

    def check_done(self) -> None:
        """Raise ValueError when reading was neither given back nor stopped."""
        if not self._reading.over:
            raise ValueError("reading was neither given back nor stopped")

    def is_bounded(self) -> bool:
        """False: messages have no end."""
        return False

    def current_progress(self) -> RestrictionProgress:
        """Return a constant: the progress of an endless reading is unknown."""
        return RestrictionProgress(fraction=0.0)  # `completed` and `remaining` can fail the job with NaN


class ReadingProvider(RestrictionProvider):  # type: ignore[misc]
    """One restriction for all subscriptions: several are not read side by side."""

    def initial_restriction(self, element: object) -> Reading:
        """Return the whole reading."""
        return Reading()

    def create_tracker(self, restriction: Reading) -> ReadingTracker:
        """Return the tracker of one attempt at reading."""
        return ReadingTracker(restriction)

    def restriction_size(self, element: object, restriction: Reading) -> int:
        """Return 1: all readings weigh the same."""
        return 1

    def split(self, element: object, restriction: Reading) -> Iterable[Reading]:
        """Yield the reading unsplit."""
        yield restriction

    def truncate(self, element: object, restriction: Reading) -> Reading | None:
        """Return None: a drain leaves nothing to be read."""
        return None


# Beam wants these as defaults of `process`
_TRACKER = beam.DoFn.RestrictionParam(ReadingProvider())
_WATERMARK = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class ReadMessages(beam.DoFn):  # type: ignore[misc]
    """An impulse -> Received, for ever, or lists of up to `together` of them; `bundle` is in seconds."""

    def __init__(
        self, subscriptions: tuple[str, ...], flow: Flow, bundle: float, together: int | None = None
    ) -> None:
        self._subscriptions, self._flow = subscriptions, flow
        self._bundle, self._together = bundle, together
        self._reader = uuid.uuid4().hex  # the same for all copies of this step
        self._buffer: MessageBuffer | None = None

    def start_bundle(self) -> None:
        """Let `process` look for the subscriber anew."""
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
        if self._buffer is None:  # what is left of an earlier bundle is left because that has failed
            buffer.again(self._reader)
            self._buffer = buffer
        until = time.monotonic() + self._bundle
        windows = (GlobalWindow(),)  # Beam would make it anew for each message, at a tenth of the pace
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
    """The subscriptions as they were given, checked. Raises ConfigurationError."""
    names = () if isinstance(subscriptions, str | bytes) or not isinstance(subscriptions, Iterable) else subscriptions
    found = tuple(names)
    if not found or not all(isinstance(name, str) and _SUBSCRIPTION.fullmatch(name) for name in found):
        raise ConfigurationError(
            f"subscriptions is a list of names such as projects/P/subscriptions/S, not {shown(subscriptions)}"
        )
    return found


class ReadFromPubSubAtLeastOnce(beam.PTransform):  # type: ignore[misc]
    """Subscriptions -> PCollection of Received. Nothing is acknowledged but by `Received.ack`.

    For engines without a durable Pub/Sub source (all but Dataflow): whoever has finished with a message calls its
    `ack`, in the same process or another; what is not acknowledged when a process dies is delivered again. Leases are
    extended as long as the process lives and the message is neither acknowledged nor given back. `max_messages` and
    `max_bytes` bound what is held of each subscription: nothing is read beyond, so a step that never acknowledges
    stops the source. A message that is not acknowledged within `max_lease` seconds is given back, and a warning is
    logged. When a bundle fails, its messages are handed on again, but for those that were acknowledged. When no
    bundle asks for messages for two minutes, as after a pipeline that failed, those that wait are given back.
    `bundle` is in seconds: with a shuffle behind it, what was read moves on when a bundle ends.
    Elements have the publish time as timestamp, and the watermark follows it at some seconds' distance; what comes
    again is older than that, so windows need an allowed lateness: what they drop as late is held for ever.

    With `together` the elements are lists of up to so many messages that came together, with the publish time of the
    first: each element costs Beam as much as checking the record in it.

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
        """What Beam shows of the step: all settings."""
        return {
            "subscriptions": ", ".join(self._subscriptions),
            "max_messages": self._flow.messages,
            "max_bytes": self._flow.bytes,
            "max_lease": self._flow.lease,
            "bundle": self._bundle,
            **({} if self._together is None else {"together": self._together}),
        }

    def expand(self, begin: Any) -> Any:
        """Return the messages; see the class."""
        read = beam.ParDo(ReadMessages(self._subscriptions, self._flow, self._bundle, self._together))
        element = Received if self._together is None else list[Received]
        return begin | "Start" >> beam.Impulse() | "Read messages" >> read.with_output_types(element)
