"""The window of an engine: how many jobs it takes in, and when those who wait go on."""

import asyncio
import threading

from support.fakeloop import run

from beam_talonone.talonone.engine.window import Window


def nothing() -> None:
    pass


def test_it_takes_in_no_more_than_its_limit() -> None:
    async def main() -> None:
        window = Window(3, asyncio.get_running_loop())
        window.make_room(3, nothing)
        assert window.pending == 3
        window.job_done(1)
        assert window.has_room(1, nothing)
        window.make_room(1, nothing)
        assert window.pending == 3

    run(main())


def test_with_enough_at_hand_it_takes_in_no_more_until_there_is_less() -> None:
    enough, asked = [True], threading.Event()

    async def main() -> None:
        window = Window(1000, asyncio.get_running_loop(), lambda: enough[0])
        assert window.has_room(10, nothing), "nothing is under way, so nothing will make room"
        window.make_room(10, nothing)
        waiting = threading.Thread(target=window.make_room, args=(10, asked.set))
        waiting.start()
        assert asked.wait(60.0), "it went on although enough was at hand"
        assert window.pending == 10
        enough[0] = False
        window.job_done(1)
        await asyncio.sleep(1.0)
        waiting.join(60.0)
        assert (waiting.is_alive(), window.pending) == (False, 19)

    run(main())
