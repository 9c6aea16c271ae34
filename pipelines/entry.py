"""The entry point of `beam-talonone`, light on purpose: a stop while the rest is imported ends in one line, too."""

import os
import signal
from types import FrameType

STOPPED = 1


def main() -> None:
    """Run the command line. Until the command takes signals itself, one of them ends the process with 1."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped)
    from beam_talonone.pipelines.cli import main as run

    run()


def _stopped(number: int, frame: FrameType | None) -> None:
    # at once and without an exception: an import that is interrupted by one shows a traceback
    os.write(2, f"beam-talonone: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(STOPPED)


if __name__ == "__main__":
    main()
