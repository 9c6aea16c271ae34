"""The step that takes the notifications out of the messages of a stream."""

from collections.abc import Iterator

import apache_beam as beam

from beam_talonone.transforms.notifications.file_reader import FILE_READERS
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.process_registry import PROCESS


class HandOverFiles(beam.DoFn):  # type: ignore[misc]
    """Lists of Received -> the same without the messages of `subscriptions`, whose files the file reader `name` of
    this process reads.
    """

    def __init__(self, name: str, subscriptions: tuple[str, ...]) -> None:
        self._name, self._subscriptions = name, frozenset(subscriptions)

    def process(self, messages: list[Received]) -> Iterator[list[Received]]:
        """Hand over the notifications at once, without waiting for their files."""
        others = [message for message in messages if message.subscription not in self._subscriptions]
        if len(others) < len(messages):
            reader = PROCESS.get(FILE_READERS, self._name)
            for message in messages:
                if message.subscription in self._subscriptions:
                    reader.submit(message)
        yield others
