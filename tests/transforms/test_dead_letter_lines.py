"""Lines of dead letters: longer than a record may be, as they have more than the record in them."""

from pathlib import Path

from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.transforms.formats.lines import LONGEST
from beam_talonone.transforms.formats.shard import Format, Input
from beam_talonone.transforms.sources.opening import FileInfo
from beam_talonone.transforms.sources.shards import plan_shards, read_shard


def read(path: Path, kind: str) -> list[tuple[int | None, str | None]]:
    source = Input(kind, FileInfo(str(path), path.stat().st_size, 0.0), Format("jsonl", False))
    rows = [row for shard in plan_shards(source) for row in read_shard(shard)]
    return [(None if row.line is None else len(row.line), row.broken) for row in rows]


def test_a_letter_may_be_longer_than_a_record(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"x" * (LONGEST + 1000) + b"\n{}\n")
    assert read(path, LETTERS) == [(LONGEST + 1000, None), (2, None)]
    assert read(path, "events") == [(4096, "line longer than 16 MiB"), (2, None)]
