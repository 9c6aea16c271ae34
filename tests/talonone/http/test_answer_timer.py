"""One timer for all exchanges of a client: each that is late fails at its own time."""

import asyncio

from support.fakeloop import run

from beam_talonone.talonone.http.connection import AnswerTimer


class Exchange:
    """Stands for a connection, and keeps when it failed."""

    def __init__(self, timer):
        self.timer, self.failed = timer, []

    def fail(self, error):
        self.timer.ended(self)
        self.failed.append((asyncio.get_running_loop().time(), str(error)))


def test_each_exchange_fails_at_its_own_time_and_no_other():
    async def main():
        timer = AnswerTimer(10.0)
        first, second, answered, again = (Exchange(timer) for _ in range(4))
        began = asyncio.get_running_loop().time()
        for exchange in (first, answered, again):
            timer.began(exchange, began)
        await asyncio.sleep(4.0)
        timer.ended(answered)
        timer.ended(again)
        timer.began(second, began + 4.0)
        await asyncio.sleep(3.0)
        timer.began(again, began + 7.0)
        await asyncio.sleep(60.0)
        assert [exchange.failed for exchange in (first, second, answered)] == [
            [(began + 10.0, "no answer within 10 s")], [(began + 14.0, "no answer within 10 s")], [],
        ]  # fmt: skip
        assert [at for at, _ in again.failed] == [began + 17.0]

    run(main())


def test_nothing_fails_once_it_is_stopped():
    async def main():
        timer = AnswerTimer(10.0)
        exchange = Exchange(timer)
        timer.began(exchange, asyncio.get_running_loop().time())
        timer.stop()
        await asyncio.sleep(60.0)
        assert exchange.failed == []

    run(main())
