"""Waiting that ends when the run does."""

import asyncio

from beam_talonone.talonone.errors import StopRun


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Sleep, unless the run stops first: then raise StopRun."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
    raise StopRun("stopped")
