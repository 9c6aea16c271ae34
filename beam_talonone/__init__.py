"""Feed Talon.One from Apache Beam: once, in order, at the rate, with nothing lost."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from beam_talonone.talonone.errors import ConfigurationError, StopRun, TalonOneError

if TYPE_CHECKING:
    from beam_talonone.transforms.pubsub.message import Received
    from beam_talonone.transforms.pubsub.source import ReadFromPubSubAtLeastOnce
    from beam_talonone.transforms.reads.lookup import LookedUp, LookupTalonOne
    from beam_talonone.transforms.sink.write import WriteToTalonOne
    from beam_talonone.transforms.sink.written import Written

__version__ = "0.2.0"

__all__ = [
    "ConfigurationError",
    "LookedUp",
    "LookupTalonOne",
    "ReadFromPubSubAtLeastOnce",
    "Received",
    "StopRun",
    "TalonOneError",
    "WriteToTalonOne",
    "Written",
]

_LAZY = {
    "WriteToTalonOne": "sink.write",
    "Written": "sink.written",
    "LookupTalonOne": "reads.lookup",
    "LookedUp": "reads.lookup",
    "ReadFromPubSubAtLeastOnce": "pubsub.source",
    "Received": "pubsub.message",
}
"""What needs Beam, and the module of transforms/ that has it."""


def __getattr__(name: str) -> Any:
    # Importing Beam takes seconds: who only wants the command line or the client does not pay for it
    if name in _LAZY:
        return getattr(import_module(f"beam_talonone.transforms.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
