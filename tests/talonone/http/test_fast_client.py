"""What the fast client alone does: requests without a task, and answers that it cannot read."""

import asyncio

import pytest
from aiohttp import web
from support.servers.http_harness import serving

from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.http.fast_client import FastClient
from beam_talonone.talonone.http.send import Broken


async def ok(request):
    return web.Response(status=200, text="{}")


def test_a_defect_in_reading_an_answer_is_a_failure_and_no_request_waits_for_ever(monkeypatch):
    def defect(*_, **__):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("beam_talonone.talonone.http.fast_client.reply_of", defect)

    async def main():
        async with serving(ok) as (address, _), FastClient(address, "k", 5.0) as client:
            request = get_customer_session("s")
            with pytest.raises(Broken, match=r"could not be read: .*a defect"):
                await client.send(request, None)
            ended = asyncio.get_running_loop().create_future()
            assert client.start(request, None, ended.set_result)
            assert isinstance(await asyncio.wait_for(ended, 5.0), Broken)

    asyncio.run(main())
