"""The processor of a stream over the files of its state folder."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.ordering.sequencer import Sequencer
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.state_folder import StateFolder
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.streaming.stream_output import StreamOutput


@dataclass(frozen=True)
class Waits:
    """The seconds for which a stream waits and remembers: the options of these names in docs/streams.md."""

    settle: float = 5.0
    wait_for_order: float = 600.0
    remember: float = 8 * 86_400.0
    bulk_age: float = 1.0


def open_processor(
    state: StateFolder,
    engine: Engine,
    options: SendOptions,
    waits: Waits,
    output: Callable[[Store, WriteAheadLog], StreamOutput],
    hold_until: float,
) -> StreamProcessor:
    """Open the store and the write-ahead log in `state`, and make the processor that sends with `engine`.

    It sends nothing before `hold_until` (of `steady_time`). `output` makes the part that ends messages. Raises
    sqlite3.Error or OSError if the state cannot be opened, ConfigurationError if it is damaged. The state is closed
    then.
    """
    with ExitStack() as opened:
        store = Store(state.store, waits.remember)
        opened.callback(store.close)
        memory = PendingOverlay(store)
        log = WriteAheadLog(state.log, memory)
        opened.callback(log.close)
        sequencer: Sequencer[Any] = Sequencer(
            memory, waits.settle, waits.wait_for_order, hold_until,
            polls_per_second=max(0.1, engine.settings.rate / 10),
        )  # fmt: skip
        processor = StreamProcessor(engine, sequencer, store, log, options, output(store, log), waits.bulk_age)
        opened.pop_all()
    return processor
