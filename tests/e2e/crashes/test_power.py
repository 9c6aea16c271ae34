"""A loss of power takes lines of the journal that were not flushed: it undoes nothing that was sent after them."""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    RESUME_IF_BEGUN,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    event,
    order,
    profile,
    simulator,
    start,
    wait_until,
    write,
    write_kinds,
)

COUNT = 60
SENT = 40
"""Requests after which the power fails."""

WordsOf = Callable[[Simulator, Path, str, list[Json]], tuple[list[object], Path]]


@pytest.fixture
def api() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


def note_flushes(notes: Path, slice_size: int) -> None:
    """Note the size of each file that is flushed to disk, under its name. Called in the process of the command."""
    from beam_talonone.pipelines.backfill import job  # noqa: F401 - with all that knows how large a slice is

    for module in list(sys.modules.values()):
        if module.__name__.startswith("beam_talonone.") and hasattr(module, "SLICE"):
            module.SLICE = slice_size
    flush = os.fsync

    def noting(file: int) -> None:
        flush(file)
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        if path.is_file():
            (notes / path.name).write_text(str(os.fstat(file).st_size))

    os.fsync = noting  # type: ignore[assignment]


def lose_power(api: Simulator, folder: Path, words: list[object], output: Path, size: int = 10_000) -> None:
    """Run a job that loses power after SENT requests, and resume it."""
    notes = folder / "flushed"
    notes.mkdir()
    running = start(*words, prepare=partial(note_flushes, notes, size))
    wait_until(lambda: len(api.rows("requests")) >= SENT, "it is at work", running)
    running.kill()
    lost = 0
    for journal in (output / "state").glob("journal-slice-*.jsonl"):
        note = notes / journal.name
        flushed = int(note.read_text()) if note.exists() else 0
        lost += journal.stat().st_size - flushed
        os.truncate(journal, flushed)
    assert lost > 0
    ended = cli(*words, prepare=partial(note_flushes, notes, size))
    assert ended.code == FINISHED, ended.err
    assert_balanced(output)
    keys = Counter(row["key"] for row in api.acted() if row["key"])
    assert [key for key, count in keys.items() if count > 1] == []


def job_of(api: Simulator, folder: Path, kind: str, records: list[Json]) -> tuple[list[object], Path]:
    """The words of a backfill, and its output folder."""
    inputs, output = write_kinds(folder, {kind: records}), folder / "out"
    return backfill(api.url, inputs, output, "--rate", 30, "--profile-mode", "rules", RESUME_IF_BEGUN), output


def replay_of(api: Simulator, folder: Path, kind: str, records: list[Json]) -> tuple[list[object], Path]:
    """The words of a replay of dead letters of these records, and its output folder."""
    inputs = write_kinds(folder, {kind: [{**record, "version": "none"} for record in records]})
    first, output = folder / "first", folder / "out"
    assert cli(*backfill(api.url, inputs, first, "--max-dead-letters", "100%")).code == DEAD_LETTERS
    for path in (first / "dead-letters").glob("*.jsonl"):
        corrected = [json.loads(line) for line in path.read_text().splitlines()]
        for dead_letter in corrected:
            del dead_letter["record"]["version"]
        write(path, corrected)
    words: list[object] = ["replay", first / "dead-letters" / "*.jsonl", "--output", output, "--base-url", api.url]
    return [*words, "--yes", "--rate", 30, "--profile-mode", "rules", RESUME_IF_BEGUN], output


def test_a_job_goes_on_without_what_the_journal_has_lost(api: Simulator, tmp_path: Path) -> None:
    """Nothing was flushed since the slice began: the records go again, under their keys."""
    records = [event(f"e{n}", f"c{n}", n) for n in range(COUNT)]
    lose_power(api, tmp_path, *job_of(api, tmp_path, "events", records))
    assert len(api.acted()) == COUNT


def test_the_changes_of_lost_bulks_act_again_all_of_them(api: Simulator, tmp_path: Path) -> None:
    """A bulk of other records than before acts again. So the newer changes must, also those in bulks as before."""
    tiers = [(n, hour, tier) for n in range(0, COUNT, 2) for hour, tier in ((0, "gold"), (2, "silver"))]
    kinds = {
        "profiles": [profile(f"c{n}", 3 * n + hour, {"tier": tier}) for n, hour, tier in tiers],
        "events": [event(f"e{n}-{hour}", f"c{n}", 3 * n + hour + 1) for n, hour, _ in tiers],
    }
    output = tmp_path / "out"
    words = backfill(api.url, write_kinds(tmp_path, kinds), output, "--rate", 30, RESUME_IF_BEGUN)
    lose_power(api, tmp_path, words, output)
    assert {row["operation"] for row in api.rows("requests") if row["replayed"]} == {"track_event_v2"}
    assert {row["attributes"]["tier"] for row in api.profiles().values()} == {"silver"}


@pytest.mark.parametrize("size", [10_000, 31], ids=["one slice", "several slices"])
@pytest.mark.parametrize("words_of", [job_of, replay_of])
def test_an_erasure_erases_no_later_change(api: Simulator, tmp_path: Path, words_of: WordsOf, size: int) -> None:
    """An erasure has no key, so it acts again. The change after it has one, and does not."""
    profiles = [
        made
        for n in range(COUNT)
        for made in (profile(f"c{n}", 2 * n, erase=True), profile(f"c{n}", 2 * n + 1, {"new": n}))
    ]
    lose_power(api, tmp_path, *words_of(api, tmp_path, "profiles", profiles), size)
    kept = {name: row["attributes"] for name, row in api.profiles().items()}
    assert kept == {f"c{n}": {"new": n} for n in range(COUNT)}


@pytest.mark.parametrize("words_of", [job_of, replay_of])
def test_a_cancellation_that_had_nothing_to_cancel_cancels_no_later_version(
    api: Simulator, tmp_path: Path, words_of: WordsOf
) -> None:
    """The first run skips it. The next one finds the session of the later version, and must not cancel that."""
    orders = [
        made
        for n in range(COUNT)
        for made in (order(f"o{n}", f"c{n}", "cancelled", 2 * n), order(f"o{n}", f"c{n}", "completed", 2 * n + 1))
    ]
    lose_power(api, tmp_path, *words_of(api, tmp_path, "orders", orders))
    assert Counter(row["state"] for row in api.sessions().values()) == {"closed": COUNT}
