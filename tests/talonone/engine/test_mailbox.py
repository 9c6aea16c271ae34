"""Posts of many threads to one loop: all of them, in the order of each thread, never many in one turn of the loop."""

import asyncio
import threading

import pytest

from beam_talonone.talonone.engine.mailbox import PORTION, Mailbox


@pytest.mark.parametrize(("threads", "each"), [(1, 1), (1, 500), (4, 300)])
def test_all_posts_run_in_the_order_of_their_thread(threads, each):
    got: list[tuple[int, int]] = []
    turns: list[int] = []

    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        inbox = Mailbox(loop, lambda action: action())

        def note(who: int, number: int) -> None:
            got.append((who, number))
            if len(got) == threads * each:
                done.set()

        def post(who: int) -> None:
            for number in range(each):
                inbox.post(lambda who=who, number=number: note(who, number))

        def look() -> None:
            turns.append(len(got))
            if not done.is_set():
                loop.call_soon(look)

        loop.call_soon(look)
        posting = [threading.Thread(target=post, args=(who,)) for who in range(threads)]
        for thread in posting:
            thread.start()
        await asyncio.wait_for(done.wait(), 30)
        for thread in posting:
            thread.join()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert len(got) == threads * each
    for who in range(threads):
        assert [number for one, number in got if one == who] == list(range(each))
    # two readings may fall between two looks: the one that was under way and its next
    assert max(after - before for before, after in zip([0, *turns], turns, strict=False)) <= 2 * PORTION


def test_what_is_woken_does_not_wait_for_posts():
    got: list[str] = []

    async def main() -> None:
        inbox = Mailbox(asyncio.get_running_loop(), lambda action: action())
        for number in range(2 * PORTION):
            inbox.post(lambda number=number: got.append(str(number)))
        inbox.wake(lambda: got.append("woken"))
        while len(got) < 2 * PORTION + 1:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert got.index("woken") == PORTION


@pytest.mark.parametrize(("size", "first"), [(1, PORTION), (3, -(-PORTION // 3)), (PORTION, 1), (5 * PORTION, 1)])
def test_large_posts_fill_a_portion_sooner(size, first):
    got: list[str] = []

    async def main() -> None:
        inbox = Mailbox(asyncio.get_running_loop(), lambda action: action())
        for number in range(2 * PORTION):
            inbox.post(lambda number=number: got.append(str(number)), size)
        inbox.wake(lambda: got.append("woken"))
        while len(got) < 2 * PORTION + 1:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert got.index("woken") == first


def test_a_post_to_a_loop_that_has_ended_is_no_error():
    async def main() -> Mailbox:
        return Mailbox(asyncio.get_running_loop(), lambda action: action())

    inbox = asyncio.run(main())
    inbox.post(lambda: None)
    inbox.wake(lambda: None)
