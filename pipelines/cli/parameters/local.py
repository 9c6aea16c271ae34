"""The options of the commands that need no account: `demo` and `simulate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.cli.parameters.groups import Group


@dataclass(frozen=True, kw_only=True)
class DemoParameters(Group):
    """What the demo runs, and where it writes."""

    TITLE = "Demo"

    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder for the files of the demo.")] = Path(
        "demo-output"
    )
    stream: Annotated[
        bool, typer.Option("--stream", help="Run as a stream. Needs the Pub/Sub emulator and Prism.")
    ] = False
    open: Annotated[
        bool, typer.Option("--open", help="Open the page of the backfill in a browser at its end. Not with --stream.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class ServerParameters(Group):
    """Where the simulator listens."""

    TITLE = "Simulator: server"

    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="N",
            parser=whole("--port", 0, 65535),
            help="Port to listen on. 0 takes a free port, and prints it on stderr.",
        ),
    ] = 8080
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class SimulatedLoadParameters(Group):
    """How fast the simulator answers: `rate` is per second, the rest in milliseconds."""

    TITLE = "Simulator: limits and faults"

    rate: Annotated[
        float | None,
        typer.Option(help="Requests per second, evenly spaced. More get 429. Default: no limit."),
    ] = None
    burst: Annotated[int, typer.Option(help="With --rate: requests that may arrive at once after a pause.")] = 1
    latency_ms: Annotated[float, typer.Option(help="Milliseconds that every request takes.")] = 0.0
    jitter_ms: Annotated[float, typer.Option(help="The most milliseconds that are added at random.")] = 0.0
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault to order, NAME:param=value,... Repeatable. NAME is latency (ms, jitter), "
            "5xx (status), cut-before, cut-after, outage (kind=cut|503), revoke (after), unauthorized, storm, "
            "poison (text) or busy. Of gateways: redirect (status), login, firewall (text). Of answers: "
            "trickle (ms), short-body, extra-bytes, not-json, empty-body, huge-body (mb), compressed. "
            "All take share, from, to (seconds), from-request, to-request, operation, target (text of its URL). "
            "Example: --fault 5xx:share=0.02 --fault outage:from=10,to=15"
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of the random faults: the same requests meet the same faults.")] = 0


@dataclass(frozen=True, kw_only=True)
class AccountParameters(Group):
    """What the simulated account has, and lacks."""

    TITLE = "Simulator: account"

    key: Annotated[str | None, typer.Option(help="The only API key that is accepted. Default: any key.")] = None
    unknown_attribute: Annotated[
        list[str] | None,
        typer.Option(help="An attribute that the account does not know: requests with it get a 400. Repeatable."),
    ] = None
    unknown_audience: Annotated[
        list[int] | None, typer.Option(help="An audience id that does not exist. Repeatable.")
    ] = None
    unknown_coupon: Annotated[
        list[str] | None, typer.Option(help="A coupon code that does not exist. Repeatable.")
    ] = None
    unknown_program: Annotated[
        list[int] | None, typer.Option(help="A loyalty program id that does not exist. Repeatable.")
    ] = None
    unknown_catalog: Annotated[
        list[int] | None, typer.Option(help="A catalog id that does not exist. Repeatable.")
    ] = None
    campaigns: Annotated[int, typer.Option(help="The number of running campaigns. Their ids start at 1.")] = 3


@dataclass(frozen=True, kw_only=True)
class AnswerParameters(Group):
    """What the simulator answers where the API leaves a choice."""

    TITLE = "Simulator: answers"

    errors: Annotated[
        str,
        typer.Option(help="Which problems of a refused request are reported: first, all, or none (no pointers)."),
    ] = "all"
    retry_after: Annotated[
        str, typer.Option(help="Form of Retry-After in a 429: none, seconds, or date (an HTTP date).")
    ] = "none"
    unknown_session: Annotated[
        int, typer.Option(help="Status when a session is read that does not exist: 404 or 400.")
    ] = 404


@dataclass(frozen=True, kw_only=True)
class LedgerParameters(Group):
    """Where the simulator writes which requests changed it."""

    TITLE = "Simulator: ledger"

    ledger: Annotated[str | None, typer.Option(help="File that gets a line for every request that acted.")] = None
    bodies: Annotated[bool, typer.Option(help="Keep the bodies of requests in the ledger.")] = True
