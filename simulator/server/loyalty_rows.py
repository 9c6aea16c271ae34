"""POST /_simulator/loyalty: loyalty transactions put in from outside, as no campaign here gives any."""

import time
from datetime import datetime
from typing import Annotated

import msgspec

from beam_talonone.simulator.exchange.answers import Answer, encode
from beam_talonone.simulator.operations.cards import make_card
from beam_talonone.simulator.operations.loyalty import enrol
from beam_talonone.simulator.world.account import World
from beam_talonone.simulator.world.points import SECOND, Batch, Source, add, micros

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Rows(msgspec.Struct, forbid_unknown_fields=True):
    """The body: `rows` transactions for a `profile` or a `card` of a `program`, each made when there is none.

    `pending` ones wait for their activation. `source` is `session` where a session is given, else `manual`. With
    `created` the first row is from then and each other a second younger; else they are spread over the time up to
    now. `expires` is when the points end.
    """

    program: Annotated[int, msgspec.Meta(ge=0)]
    rows: Annotated[int, msgspec.Meta(ge=1, le=10**9)]
    profile: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None
    card: Annotated[str, msgspec.Meta(min_length=4, max_length=108, pattern="^[A-Za-z0-9._%+@-]+$")] | None = None
    pending: bool = False
    subledger: Annotated[str, msgspec.Meta(max_length=64)] = ""
    session: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    source: Source | None = None
    created: Moment | None = None
    expires: Moment | None = None


def add_rows(world: World, body: bytes) -> Answer:
    """The answer to the request: 200 with the first and last id of the rows, 400 where the body is not understood."""
    now = time.time()
    try:
        asked = msgspec.json.decode(body, type=Rows)
        if (asked.profile is None) == (asked.card is None):
            raise ValueError("either `profile` or `card` is needed")
        holder = (
            enrol(world, asked.program, asked.profile, now)
            if asked.profile is not None
            else make_card(world, asked.program, asked.card or "", now)
        )
        batch = Batch(
            first=world.transactions + 1, count=asked.rows, created=0, step=0,
            source=asked.source or ("session" if asked.session else "manual"), subledger=asked.subledger,
            session=asked.session, pending=asked.pending,
            expires=None if asked.expires is None else micros(asked.expires),
        )  # fmt: skip
        add(holder.batches, batch, int(now * SECOND), asked.created)
    except ValueError as error:
        return Answer(400, encode({"message": str(error)}))
    world.transactions += asked.rows
    return Answer(200, encode({"first": batch.first, "last": batch.rows[-1]}))
