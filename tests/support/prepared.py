"""Messages prepared as a stream does it, without Beam."""

from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.pubsub.message import Received, parts_of
from beam_talonone.transforms.sources.messages import MessagePreparer
from beam_talonone.transforms.sources.prepare import Prepared


def prepare_message(message: Received, kind: str, build: BuildOptions, reading: Reading = AS_USUAL) -> Prepared:
    """The only record of a message."""
    options = MessageOptions({message.subscription: kind}, build, reading)
    [(_, prepared)] = MessagePreparer(options, parts_of).prepare(message)
    return prepared
