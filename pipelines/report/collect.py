"""The data of the page of a job, from the files in its folder. Nothing is written, and the job may be running."""

import re
import sqlite3
import time
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.output_folder import DISTRIBUTED, MANIFEST, started_with
from beam_talonone.pipelines.backfill.report import NOT_COUNTED, make_report
from beam_talonone.pipelines.backfill.sending.left_to_send import longest_chains
from beam_talonone.pipelines.report.current import (
    Journals,
    current_outcomes,
    open_journals,
    open_letters,
    slice_name,
)
from beam_talonone.pipelines.report.examples import LONGEST_VALUE, Key, cut, dead_letter_lines, reason_groups
from beam_talonone.pipelines.report.model import Chain, PageData, ReasonGroup, State
from beam_talonone.pipelines.report.next_steps import next_steps
from beam_talonone.pipelines.report.recording.series_file import SERIES_FILE, Recorded, read_series
from beam_talonone.pipelines.report.state import finished_report, is_running, state_of
from beam_talonone.pipelines.terminal.next_commands import ATTRIBUTES, MAPPING
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.outcome import End
from beam_talonone.talonone.requests.output_lines import rfc3339
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.state.sqlite_damage import READING_FAILED, is_damage
from beam_talonone.talonone.telemetry.error_text import in_one_line

VERIFY = "verify"

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
"""What stands for the file of attributes in the settings of older versions."""


def collect(folder: Path, *, running: bool | None = None) -> PageData:
    """The data of the job in `folder`. `running` is whether a process is at work there; None looks.

    Raises ConfigurationError for a folder without a job, and where its files are damaged.
    """
    if ":/" in str(folder):
        url = str(folder).replace(":/", "://", 1)
        raise ConfigurationError(
            f"{url} is not a folder of this machine: copy it with `gcloud storage cp -r {url} .`, then name the copy"
        )
    path = folder / MANIFEST
    if not path.exists():
        raise ConfigurationError(
            f"{folder} holds no job: name the --output folder of a backfill, replay, verification or lookup that ran"
            " on this machine"
        )
    manifest = started_with(path.read_bytes(), path)
    running = is_running(folder) if running is None else running
    report = None if running else finished_report(folder)
    recorded = read_series(folder / "state" / SERIES_FILE)
    try:
        return _collected(folder, manifest, report, recorded, running=running)
    except (*READING_FAILED, TypeError, ValueError, LookupError) as error:
        if not isinstance(error, sqlite3.Error) or is_damage(error):
            raise damaged(_database(folder), f" ({in_one_line(str(error), 200)})") from None
        raise ConfigurationError(f"{folder / 'state'} cannot be read: {error}; try again, as its owner") from None


def _database(folder: Path) -> Path:
    return folder / "state" / "spool.sqlite"


def _collected(
    folder: Path, manifest: Mapping[str, Any], report: dict[str, Any] | None, recorded: Recorded, *, running: bool
) -> PageData:
    command, settings = str(manifest["command"]), _settings(manifest, recorded)
    reasons: tuple[ReasonGroup, ...] = ()
    chains: tuple[Chain, ...] = ()
    journals = open_journals(folder / "state")
    database = _database(folder)
    if command == DISTRIBUTED:
        if report is None:
            raise ConfigurationError(
                f"{folder} holds a distributed backfill that has not ended: make its page when report.json is there"
            )
        state, reasons = State("finished"), reason_groups(dead_letter_lines(folder), None)
    elif not (folder / "state" / "read").exists() or not database.exists():
        state = state_of(report, None, recorded, running=running)
        report = report or _nothing_read(manifest, settings)
    else:
        with current_outcomes(database, journals, manifest["job"]) as connection:
            state = state_of(report, _counts(connection, command), recorded, running=running)
            if report is None or state.progress == "stopped":
                report = _report_now(connection, manifest, settings, state)
                if not running and any(content.cut for content in journals.values()):
                    report["warnings"] = list(dict.fromkeys((*report.get("warnings", ()), NOT_COUNTED)))
            reasons, chains = _reasons(connection, folder, journals), _chains(connection)
    command = "backfill" if command == DISTRIBUTED else command
    steps = next_steps(folder, command, settings, state, report)
    return PageData(
        command, str(folder), manifest["job"], state, time.time(), report, recorded, reasons, chains, settings, steps
    )


def _settings(manifest: Mapping[str, Any], recorded: Recorded) -> dict[str, Any]:
    """The settings of the last run; those that all runs share, where it has left no others. These have no name of the
    mapping and of the file of attributes, but their checksums."""
    options = dict(recorded.runs[-1].settings) if recorded.runs else dict(manifest["options"])
    if options.get("--mapping") and not recorded.runs:
        options["--mapping"] = MAPPING
    if _FINGERPRINT.fullmatch(str(options.get("--attributes"))):
        options["--attributes"] = ATTRIBUTES
    return options


def _nothing_read(manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kinds": {}, "operations": {}, "rate": settings.get("--rate", 0.0), "requests_per_second": 0.0,
        "started": rfc3339(manifest["started"]), "ended": "", "reasons": {}, "unknown_names": {}, "remaining": 0,
        "unaccounted": 0,
    }  # fmt: skip


def _report_now(
    connection: sqlite3.Connection, manifest: Mapping[str, Any], settings: Mapping[str, Any], state: State
) -> dict[str, Any]:
    """What report.json would hold if the job ended now; `remaining` counts what is left."""
    rate, service = float(settings.get("--rate") or 0.0), settings.get("--rate-service")
    report = make_report(connection, manifest["job"], rate, manifest["started"], time.time(), service)
    if manifest["command"] == VERIFY:
        from beam_talonone.pipelines.verify.job import verified

        report = verified(connection, report)
    return {**report, "ended": "", "remaining": state.total - state.done, "unaccounted": 0}


def _counts(connection: sqlite3.Connection, command: str) -> tuple[int, int]:
    if command == VERIFY:
        done, total = connection.execute("SELECT COALESCE(SUM(done), 0), COUNT(*) FROM targets").fetchone()
        return int(done), int(total)
    (total,) = connection.execute("SELECT COUNT(*) FROM queue").fetchone()
    (unsent,) = connection.execute("SELECT COUNT(*) FROM queue WHERE rec NOT IN (SELECT rec FROM fates)").fetchone()
    return int(total) - int(unsent), int(total)


def _reasons(connection: sqlite3.Connection, folder: Path, journals: Journals) -> tuple[ReasonGroup, ...]:
    rows = connection.execute(
        "SELECT kind, COALESCE(stage, ''), reason, COUNT(*) FROM fates JOIN records USING (rec) WHERE end = ?"
        " GROUP BY kind, stage, reason",
        (End.DEAD.value,),
    )
    counts: dict[Key, int] = {(kind, stage, reason): count for kind, stage, reason, count in rows}
    lines = dead_letter_lines(folder, {slice_name(number) for number in journals})
    return reason_groups(chain(lines, open_letters(connection) if journals else ()), counts)


def _chains(connection: sqlite3.Connection) -> tuple[Chain, ...]:
    chains = [Chain(what, cut(name, LONGEST_VALUE), count) for what, name, count in longest_chains(connection)]
    return tuple(sorted(chains, key=lambda chain: (-chain.records, chain.id)))
