"""POST /_simulator/loyalty: adds loyalty transactions, because no campaign of the simulator awards points."""

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
    """The body: `rows` transactions for a `profile` or a `card` of a `program`, each created if missing.

    * `pending`: the points wait for their activation.
    * `source`: by default `session` with a session, else `manual`.
    * `created`: the time of the first row; each further one is a second later. Without it, the rows are spread over
      the time since the last row.
    * `expires`: when the points expire.
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
    """Add the rows. Answers 200 with the ids of the first and last row, or 400 for an invalid body."""
    now = time.time()
    try:
        requested = msgspec.json.decode(body, type=Rows)
        if (requested.profile is None) == (requested.card is None):
            raise ValueError("either `profile` or `card` is needed")
        holder = (
            enrol(world, requested.program, requested.profile, now)
            if requested.profile is not None
            else make_card(world, requested.program, requested.card or "", now)
        )
        batch = Batch(
            first=world.transactions + 1, count=requested.rows, created=0, step=0,
            source=requested.source or ("session" if requested.session else "manual"), subledger=requested.subledger,
            session=requested.session, pending=requested.pending,
            expires=None if requested.expires is None else micros(requested.expires),
        )  # fmt: skip
        add(holder.batches, batch, int(now * SECOND), requested.created)
    except ValueError as error:
        return Answer(400, encode({"message": str(error)}))
    world.transactions += requested.rows
    return Answer(200, encode({"first": batch.first, "last": batch.rows[-1]}))
