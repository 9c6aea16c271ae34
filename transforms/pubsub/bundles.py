"""The messages in bundles that have not ended: those of a bundle that fails are taken once more."""

from collections.abc import Iterable

from beam_talonone.transforms.pubsub.message import Received


class OpenBundles:
    """The messages that readers have taken, until their bundle or the message itself ends. For one thread at a time.

    >>> message = Received("projects/p/subscriptions/s", "1", b"{}", {}, "", 0.0, "ack-1")
    >>> bundles = OpenBundles()
    >>> bundles.add("a reader", [message])
    >>> bundles.end("a reader") == [message], bundles.end("a reader")
    (True, [])
    """

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, Received]] = {}
        """Ack id -> the reader that took the message, and the message."""

    def add(self, reader: str, messages: Iterable[Received]) -> None:
        """Put messages into the bundle of `reader`."""
        self._taken.update((message.ack_id, (reader, message)) for message in messages)

    def remove(self, ack_id: str) -> None:
        """Take out a message that is acknowledged, given back or queued again; nothing if no bundle has it."""
        self._taken.pop(ack_id, None)

    def end(self, reader: str) -> list[Received]:
        """End the bundle of `reader`. Returns its messages that were not removed, in the order of their taking."""
        messages = [message for by, message in self._taken.values() if by == reader]
        for message in messages:
            self.remove(message.ack_id)
        return messages

    def clear(self) -> None:
        """Forget all bundles."""
        self._taken.clear()
