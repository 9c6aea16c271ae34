"""One subscription of a subscriber: its leases, and the answers that wait for the next call to Pub/Sub."""

from dataclasses import dataclass, field

from beam_talonone.transforms.pubsub.leases import Leases


@dataclass
class Subscription:
    """The leases of one subscription, and the ack ids that wait for the next call to Pub/Sub."""

    name: str
    leases: Leases
    to_acknowledge: list[str] = field(default_factory=list)
    to_give_back: list[str] = field(default_factory=list)

    def release(self, ack_id: str, *, done: bool) -> bool:
        """Let go of a message: acknowledge it if it is `done`, else give it back. Returns False if it is not held.

        A message with an ordering key is not given back, because it would arrive after the waiting messages of its
        key. Its lease runs out instead.
        """
        ordered = self.leases.end(ack_id)
        if ordered is None:
            return False
        if done:
            self.to_acknowledge.append(ack_id)
        elif not ordered:
            self.to_give_back.append(ack_id)
        return True

    def take_answers(self) -> tuple[list[str], list[str]]:
        """The ack ids to acknowledge and those to give back. Each of them is returned once."""
        done, self.to_acknowledge = self.to_acknowledge, []
        back, self.to_give_back = self.to_give_back, []
        return done, back
