"""`beam-talonone simulate`: a local Talon.One to try things on."""

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from beam_talonone.pipelines.terminal.stopping import STOP

if TYPE_CHECKING:
    from beam_talonone.simulator.server.settings import ErrorDetail, RetryAfter

USAGE = 2


def simulate(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one, which stderr names.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    rate: Annotated[
        float | None,
        typer.Option(help="Requests a second let through, evenly spaced; more get 429. No limit if left out."),
    ] = None,
    burst: Annotated[int, typer.Option(help="Requests that may come at once after a pause, with --rate.")] = 1,
    latency_ms: Annotated[float, typer.Option(help="Milliseconds that every request takes.")] = 0.0,
    jitter_ms: Annotated[float, typer.Option(help="Up to so many milliseconds more, by chance.")] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault to order, NAME:param=value,...; may be repeated. NAME is latency (ms, jitter), "
            "5xx (status), cut-before, cut-after, outage (kind=cut|503), revoke (after), unauthorized, storm "
            "or poison (text). "
            "All take share, from, to (seconds), from-request, to-request, operation, target (text of its URL). "
            "Example: --fault 5xx:share=0.02 --fault outage:from=10,to=15"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random faults: the same requests meet the same faults.")] = 0,
    key: Annotated[str | None, typer.Option(help="The one API key accepted; any, if left out.")] = None,
    unknown_attribute: Annotated[
        list[str] | None,
        typer.Option(help="An attribute that the account does not know: requests with it get a 400. Repeatable."),
    ] = None,
    unknown_audience: Annotated[
        list[int] | None, typer.Option(help="An audience id that does not exist. May be repeated.")
    ] = None,
    unknown_coupon: Annotated[
        list[str] | None, typer.Option(help="A coupon code that does not exist. May be repeated.")
    ] = None,
    unknown_program: Annotated[
        list[int] | None, typer.Option(help="A loyalty program id that does not exist. May be repeated.")
    ] = None,
    unknown_catalog: Annotated[
        list[int] | None, typer.Option(help="A catalog id that does not exist. May be repeated.")
    ] = None,
    campaigns: Annotated[int, typer.Option(help="How many campaigns run; their ids are 1 and up.")] = 3,
    errors: Annotated[
        str, typer.Option(help="Problems reported of a refused request: first, all, or none (no pointers at all).")
    ] = "all",
    retry_after: Annotated[
        str, typer.Option(help="What a 429 says in Retry-After: none, seconds, or date (an HTTP date).")
    ] = "none",
    unknown_session: Annotated[
        int, typer.Option(help="Status of reading a session that does not exist: 404 or 400.")
    ] = 404,
    ledger: Annotated[str | None, typer.Option(help="File that gets a line for every request that acted.")] = None,
    bodies: Annotated[bool, typer.Option(help="Whether the ledger keeps the bodies of requests.")] = True,
) -> None:
    """Run a local Talon.One to try the connector on, with limits, faults and a ledger at /_simulator/.

    GET /_simulator/ledger, requests, sessions, profiles, audiences, coupons, referrals, cards, loyalty, catalogs,
    events and summary show what happened; POST /_simulator/forget-keys, reset, faults, api-key and loyalty change it.
    Ctrl-C ends it.
    """
    from beam_talonone.simulator.exchange.faults import parse_faults
    from beam_talonone.simulator.server.serve import run
    from beam_talonone.simulator.server.settings import SimulatorSettings

    STOP.check()  # the server takes signals itself, but not those that came during the imports
    try:
        settings = SimulatorSettings(
            key=key,
            rate=rate,
            burst=burst,
            latency_ms=latency_ms,
            jitter_ms=jitter_ms,
            faults=tuple(fault or ()),
            seed=seed,
            unknown_attributes=tuple(unknown_attribute or ()),
            unknown_audiences=tuple(unknown_audience or ()),
            unknown_coupons=tuple(unknown_coupon or ()),
            unknown_programs=tuple(unknown_program or ()),
            unknown_catalogs=tuple(unknown_catalog or ()),
            campaigns=campaigns,
            errors=cast("ErrorDetail", errors),
            retry_after=cast("RetryAfter", retry_after),
            unknown_session_status=cast(Literal[400, 404], unknown_session),
            ledger=ledger,
            keep_bodies=bodies,
        )
        parse_faults(settings.faults)
    except ValueError as error:
        typer.echo(f"simulate: {error}", err=True)
        raise typer.Exit(USAGE) from None
    try:
        run(settings, host, port)
    except OSError as error:
        typer.echo(f"simulate: cannot serve on {host}:{port}: {error}", err=True)
        raise typer.Exit(1) from None
