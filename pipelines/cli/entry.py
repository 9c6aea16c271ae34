"""The entry point of `beam-talonone`, light on purpose: a stop while the rest is imported ends in one line, too."""

import os
import signal
import sys
from types import FrameType

from beam_talonone.talonone.telemetry.process_tuning import begin_process

FINISHED, STOPPED = 0, 1


def main() -> None:
    """Run the command line. Until the command takes signals itself, one of them ends the process with 1, or with
    0 where the command is `stream`, which is there to be stopped."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, _stopped)
    begin_process()
    from beam_talonone.pipelines.cli.main import main as run

    run()


def _stopped(number: int, frame: FrameType | None) -> None:
    # at once and without an exception: an import that is interrupted by one shows a traceback
    os.write(2, f"beam-talonone: stopped by {signal.Signals(number).name}\n".encode())
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    os._exit(FINISHED if command == "stream" else STOPPED)


if __name__ == "__main__":
    main()
