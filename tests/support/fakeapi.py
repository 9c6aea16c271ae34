"""A little of the API for tests of the sender: sessions and their states, stored answers, faults by number."""

import asyncio
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.http.send import Broken, Reply

CUT_BEFORE, CUT_AFTER = "cut before acting", "cut after acting"


class FakeApi:
    """`stores` False: an API that keeps no answers under idempotency keys. `faults`: number of the request -> a Reply
    in place of the answer, CUT_BEFORE or CUT_AFTER."""

    def __init__(self, *, stores: bool = True, latency: float = 0.01) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, Reply] = {}
        self.faults: dict[int, Reply | str] = {}
        self.log: list[tuple[str, str | None]] = []
        self.acted: list[str] = []
        self._stores, self._latency = stores, latency

    async def __call__(self, request: Request, key: str | None) -> Reply:
        fault = self.faults.get(len(self.log))
        self.log.append((request.operation, key))
        await asyncio.sleep(self._latency)
        if fault == CUT_BEFORE:
            raise Broken("cut")
        if isinstance(fault, Reply):
            return fault
        reply = self._answer(request, key)
        if fault == CUT_AFTER:
            raise Broken("cut")
        return reply

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.log]

    def _answer(self, request: Request, key: str | None) -> Reply:
        if key is not None and key in self.stored:
            return self.stored[key]
        reply = getattr(self, request.operation)(request)
        if reply.status < 300 and request.method != "GET":
            self.acted.append(request.operation)
        if key is not None and self._stores:
            self.stored[key] = reply
        return reply

    def get_customer_session(self, request: Request) -> Reply:
        session = self.sessions.get(request.path["customerSessionId"])
        return (
            no("no such session", 404) if session is None else Reply(200, jsonio.dumps({"customerSession": session}))
        )

    def update_customer_session_v2(self, request: Request) -> Reply:
        wanted = request.body_json()["customerSession"]
        now = self.sessions.get(request.path["customerSessionId"], {"state": "open"})
        attributes = wanted.get("attributes") or {}
        if "unknown" in attributes:
            return no("unknown attribute", 400, "Unknown", "/customerSession/attributes/unknown")
        if "odd" in attributes:
            return no("an odd order", 400, "Odd")
        if now["state"] != "open" and not (wanted["state"] == "cancelled" and now["state"] != "cancelled"):
            return no(f"the session is {now['state']}", 400, "Invalid state")
        if now["state"] == "open":
            self.sessions[request.path["customerSessionId"]] = {**now, **wanted}
        else:
            now["state"] = "cancelled"
        return Reply(200, b'{"effects":[{"effectType":"x"}]}')

    def reopen_customer_session(self, request: Request) -> Reply:
        session = self.sessions.get(request.path["customerSessionId"])
        if session is None or session["state"] != "closed":
            return no("not closed", 400, "Invalid state")
        session["state"] = "open"
        return Reply(200, b"{}")

    def return_cart_items(self, request: Request) -> Reply:
        session = self.sessions.get(request.path["customerSessionId"])
        if session is None or session["state"] not in ("closed", "partially_returned"):
            return no("nothing to return from", 400, "Invalid state")
        for item in request.body_json()["return"]["returnedCartItems"]:
            lines = [
                entry
                for place, entry in enumerate(session["cartItems"])
                if item.get("sku", entry["sku"]) == entry["sku"] and item.get("position", place) == place
            ]
            if not lines or lines[0].get("returnedQuantity", 0) + item["quantity"] > lines[0]["quantity"]:
                return no("more than was bought", 400, "Invalid")
            lines[0]["returnedQuantity"] = lines[0].get("returnedQuantity", 0) + item["quantity"]
        session["state"] = "partially_returned"
        return Reply(201, b"{}")

    def delete_customer_data(self, request: Request) -> Reply:
        return Reply(204, b"") if self.acted.count("delete_customer_data") == 0 else no("no such profile", 404)

    def track_event_v2(self, request: Request) -> Reply:
        return Reply(204, b"")

    def update_customer_profiles_v2(self, request: Request) -> Reply:
        return Reply(204, b"")


def no(message: str, status: int, title: str = "Bad", pointer: str | None = None) -> Reply:
    problem = {"title": title, "details": message, "source": {"pointer": pointer}}
    return Reply(status, jsonio.dumps({"message": message, "errors": [problem]}))
