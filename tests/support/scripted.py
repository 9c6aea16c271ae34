"""An API that plays a script of answers, and one request sent to it as a record's own."""

import asyncio

from beam_talonone.schemas import jsonio
from beam_talonone.talonone.http.send import Broken, Reply
from support.fakeloop import START, run
from support.sender_fixture import Noting, way

OK = Reply(201, b"{}")
CUT = Broken("cut")
UNCLEAR = [Reply(500, b""), Reply(502, b""), Reply(503, b"", "5"), Reply(504, b""), Reply(408, b""), CUT]
"""After these the API may have acted."""


class ScriptedApi:
    """Plays a script for what writes, then says yes; what reads gets `found`, which may be a list, whose
    last stays. Notes what was asked, and when."""

    def __init__(self, *script, found=None):
        self.script, self.found, self.log, self.times = list(script), found, [], []

    async def __call__(self, request, key):
        self.log.append(request.operation)
        self.times.append(asyncio.get_running_loop().time() - START)
        await asyncio.sleep(0.01)
        if request.method == "GET":
            if not isinstance(self.found, list):
                return self.found
            return self.found.pop(0) if len(self.found) > 1 else self.found[0]
        answer = self.script.pop(0) if self.script else OK
        if isinstance(answer, Exception):
            raise answer
        return answer


def sent(request, *script, found=None, noted=None):
    """The final answer to `request`, and the API. `noted` receives what a journal would receive."""
    api, events = ScriptedApi(*script, found=found), [] if noted is None else noted

    async def main():
        async with way(api) as w:
            return await w.request_sender(observer=Noting(events)).send(request)

    return run(main()), api


def found(value=None, status=200):
    """An answer with `value` as its body."""
    return Reply(status, b"" if value is None else jsonio.dumps(value))


def name_of(value):
    """What a parameter is called in the name of a test."""
    if isinstance(value, Reply):
        return str(value.status)
    return value.operation if hasattr(value, "operation") else str(value)
