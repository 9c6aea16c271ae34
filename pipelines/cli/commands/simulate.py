"""`beam-talonone simulate`: a local Talon.One to try things on."""

from typing import TYPE_CHECKING, Literal, cast

import typer

from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.local import (
    AccountParameters,
    AnswerParameters,
    LedgerParameters,
    ServerParameters,
    SimulatedLoadParameters,
)
from beam_talonone.pipelines.terminal.exit_codes import STOPPED, USAGE
from beam_talonone.pipelines.terminal.stopping import STOP

if TYPE_CHECKING:
    from beam_talonone.simulator.server.settings import ErrorDetail, RetryAfter


@with_groups
def simulate(
    *,
    server: ServerParameters,
    load: SimulatedLoadParameters,
    account: AccountParameters,
    answers: AnswerParameters,
    ledger: LedgerParameters,
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
            key=account.key,
            rate=load.rate,
            burst=load.burst,
            latency_ms=load.latency_ms,
            jitter_ms=load.jitter_ms,
            faults=tuple(load.fault or ()),
            seed=load.seed,
            unknown_attributes=tuple(account.unknown_attribute or ()),
            unknown_audiences=tuple(account.unknown_audience or ()),
            unknown_coupons=tuple(account.unknown_coupon or ()),
            unknown_programs=tuple(account.unknown_program or ()),
            unknown_catalogs=tuple(account.unknown_catalog or ()),
            campaigns=account.campaigns,
            errors=cast("ErrorDetail", answers.errors),
            retry_after=cast("RetryAfter", answers.retry_after),
            unknown_session_status=cast(Literal[400, 404], answers.unknown_session),
            ledger=ledger.ledger,
            keep_bodies=ledger.bodies,
        )
        parse_faults(settings.faults)
    except ValueError as error:
        typer.echo(f"simulate: {error}", err=True)
        raise typer.Exit(USAGE) from None
    try:
        run(settings, server.host, server.port)
    except OSError as error:
        typer.echo(f"simulate: cannot serve on {server.host}:{server.port}: {error}", err=True)
        raise typer.Exit(STOPPED) from None
