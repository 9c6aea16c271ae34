"""Plans of disks: full at any moment, too small, and inputs that break off."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import fastavro
from e2e.harness import DEAD_LETTERS, STOPPED, Json, dead_letters
from support.audit.files import breaks_off

from campaign.backfill import WITHIN, BackfillScene
from campaign.file_watch import FOLDING, READING, REPORTING, SENDING, Moment
from campaign.plan import BackfillPlan
from campaign.plans.moments import go_on, random_moment, wait_until_stopped
from campaign.plans.network import no_mounts

SIZE = 24 << 20
"""Bytes of the disk: more than a run needs."""

PAGE: Final = Moment(REPORTING, "open", "*/report.html.*half")
FULL: Final = {
    FOLDING: (
        Moment(FOLDING, "open", "*/dead-letters/slice-*.half"),
        Moment(FOLDING, "os.rename", "*/dead-letters/slice-*.jsonl"),
    ),
    REPORTING: (
        Moment(REPORTING, "os.remove", "*/state/reported"),
        Moment(REPORTING, "open", "*/report.json.half"),
        Moment(REPORTING, "open", "*/state/reported.half"),
        PAGE,
    ),
}
"""The moments behind which the phase itself still needs room."""


def _small_disk(scene: BackfillScene, size: int) -> None:
    """Mount a disk of its own for the output folder, until the verdict."""
    scene.output.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "campaign", scene.output], check=True)
    scene.stack.callback(subprocess.run, ["umount", "--lazy", scene.output], check=True)


def _resize(scene: BackfillScene, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", scene.output], check=True)


def fill_disk(folder: Path) -> Path:
    """Write a file until the disk of the folder is full; returns the file."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def full_at(phase: str) -> Callable[[BackfillScene], None]:
    """The disk is full from a random moment of the phase on; the run ends with 1, and is resumed with room."""

    def play(scene: BackfillScene) -> None:
        _small_disk(scene, SIZE)
        moment = scene.rng.choice(FULL[phase]) if phase in FULL else random_moment(scene.rng, phase)
        running = scene.start(moment)
        scene.hit(wait_until_stopped(scene, running))
        filler = fill_disk(scene.output)
        go_on(running)
        ended = running.end(WITHIN)
        filler.unlink()
        if moment == PAGE:  # the job is complete without it
            scene.expect(ended.code == DEAD_LETTERS, f"exit {ended.code} without room for the page")
            scene.expect("report.html was not written" in ended.err, f"it says {ended.err[-400:]}")
        else:
            scene.expect(ended.code == STOPPED, f"exit {ended.code} with a full disk: {ended.err[-400:]}")
            scene.expect("make room" in ended.err, f"it says {ended.err[-400:]}")
        scene.run()

    return play


def too_small(scene: BackfillScene) -> None:
    """The disk is full again and again, and grows by a random step between the runs."""
    size = scene.rng.randrange(40_000, 400_000)
    _small_disk(scene, size)
    for number in range(40):
        ended = scene.run()
        if ended.code == DEAD_LETTERS:
            scene.expect(number > 0, "not shown: the disk was never full")
            return
        size += scene.rng.randrange(50_000, 400_000)
        _resize(scene, size)
        scene.expect(ended.code == STOPPED, f"exit {ended.code} on a small disk: {ended.err[-400:]}")


def cut_in_a_line(scene: BackfillScene) -> None:
    """The file of events breaks off in the middle of a line."""
    path = scene.inputs["events"]
    os.truncate(path, scene.rng.randrange(200, path.stat().st_size - 1))
    last = path.read_bytes().splitlines(keepends=True)[-1]
    scene.run()
    broken = [row for row in dead_letters(scene.output) if row["reason"] == "unreadable_file"]
    scene.expect(len(broken) == int(breaks_off(last)), f"dead letters of the file: {broken}")


def cut_in_a_block(scene: BackfillScene) -> None:
    """The profiles are Avro, and their file breaks off in the middle of a block."""
    path = scene.folder / "profiles.avro"
    _write_avro(path, scene)
    whole = path.read_bytes()
    os.truncate(path, scene.rng.randrange(len(whole) // 4, len(whole) - 20))
    scene.inputs["profiles"] = path
    scene.words[scene.words.index("--profiles") + 1] = path
    scene.run()


def _write_avro(path: Path, scene: BackfillScene) -> None:
    fields: list[Json] = [{"name": name, "type": "string"} for name in ("customer_id", "event_time")]
    attributes = {"type": "record", "name": "A", "fields": [{"name": "number", "type": "long"}]}
    schema: Any = {"type": "record", "name": "P", "fields": [*fields, {"name": "attributes", "type": attributes}]}
    records = [
        {"customer_id": f"c{number}", "event_time": "2026-05-01T00:00:00Z", "attributes": {"number": number}}
        for number in range(400)
    ]
    with path.open("wb") as file:
        fastavro.writer(file, schema, records, sync_interval=scene.rng.randrange(100, 2000))


PLANS = (
    *(
        BackfillPlan(
            name=f"disk-full-{phase}",
            effect=f"the disk of the output is full from a random moment while {phase}",
            play=full_at(phase),
            phases=(phase,),
            missing=no_mounts,
        )
        for phase in (READING, SENDING, FOLDING, REPORTING)
    ),
    BackfillPlan(
        name="disk-small",
        effect="the disk of the output is full in run after run, and grows in between",
        play=too_small,
        missing=no_mounts,
    ),
    BackfillPlan(
        name="cut-line",
        effect="a JSONL file breaks off in the middle of a line",
        play=cut_in_a_line,
        reasons=frozenset({"unreadable_file"}),
    ),
    BackfillPlan(
        name="cut-block",
        effect="an Avro file breaks off in the middle of a block",
        play=cut_in_a_block,
        reasons=frozenset({"unreadable_file"}),
    ),
)
