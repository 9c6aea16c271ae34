"""Feed Talon.One from Apache Beam: once, in order, at the rate, with nothing lost."""

from typing import TYPE_CHECKING, Any

from beam_talonone.talonone.errors import ConfigurationError, StopRun, TalonOneError

if TYPE_CHECKING:
    from beam_talonone.transforms.write import WriteToTalonOne, Written

__all__ = ["ConfigurationError", "StopRun", "TalonOneError", "WriteToTalonOne", "Written"]


def __getattr__(name: str) -> Any:
    # Importing Beam takes seconds: who only wants the command line or the client does not pay for it
    if name in ("WriteToTalonOne", "Written"):
        from beam_talonone.transforms import write

        return getattr(write, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
