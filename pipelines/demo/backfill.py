"""demo: the main job on sample data against the built-in simulator, with faults on. No account, no network."""

import os
import shutil
import sys
from pathlib import Path

from beam_talonone.pipelines.backfill.job import JobRun
from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions, SendingOptions
from beam_talonone.pipelines.demo.ending import ending_lines, program_here
from beam_talonone.pipelines.demo.sample import write_sample
from beam_talonone.pipelines.report.show import open_page
from beam_talonone.pipelines.terminal.console import console_for, run_shown
from beam_talonone.pipelines.terminal.summary import summary_lines
from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.client_choice import HttpSettings

FAULTS = (
    "5xx:share=0.01",
    "cut-before:share=0.005",
    "cut-after:share=0.005",
    "storm:from=6,to=6.5",
)
KEY_ENV = "BEAM_TALONONE_DEMO_KEY"


def run_demo(rate: float, output: Path, *, browser: bool = False) -> int:
    """Run the demo at `rate` requests a second and leave its files in `output`; returns 0 when all is accounted for.

    The end names commands to try on these files. With `browser`, the page of the run is opened in a browser.
    Raises ConfigurationError when `output` holds something else than an earlier demo.
    """
    make_room(output)
    sample = write_sample(output / "input")
    print("sample data of a fashion retailer, with:", file=sys.stderr)
    print(*sample.in_words(), sep="\n", file=sys.stderr)
    os.environ[KEY_ENV] = "demo-key"
    with running(simulator_settings(rate)) as url:
        print(f"simulator at {url}, with the faults {', '.join(FAULTS)}", file=sys.stderr)
        options = BackfillOptions(
            InputOptions({kind: str(path) for kind, path in sample.paths.items()}),
            SendingOptions(url, api_key_env=KEY_ENV, rate=rate, http=HttpSettings("fast")),
            output / "backfill",
        )
        console = console_for("auto")
        run_shown(console, JobRun, options, summary_lines)
    for line in ending_lines(output, program_here()):
        console.print(line, soft_wrap=True)
    if browser:
        open_page(options.output / "report.html")
    return 0


def simulator_settings(rate: float) -> SimulatorSettings:
    """The simulator of a demo that sends `rate` requests a second: a little above that, and with faults."""
    return SimulatorSettings(
        rate=rate * 1.1, burst=10, latency_ms=20, jitter_ms=10, faults=FAULTS, seed=1,
        unknown_attributes=("shoe_szie",), key="demo-key",
    )  # fmt: skip


def make_room(output: Path) -> None:
    """Make the folder of a demo, or empty that of an earlier one. Raises ConfigurationError for any other folder."""
    if output.exists():
        if not (output / "input" / "orders.jsonl").exists():
            raise ConfigurationError(
                f"--output {output} exists and is not the folder of an earlier demo: name another folder"
            )
        shutil.rmtree(output)
    (output / "input").mkdir(parents=True)
