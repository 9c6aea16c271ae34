"""Folders of personal data: made for their owner alone, and refused where another user could exchange files."""

import os
from pathlib import Path

import pytest

from beam_talonone.pipelines.backfill.output_folder import lock_folder
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state import private_folder
from beam_talonone.talonone.state.private_folder import check_private_folder, make_private_folder
from beam_talonone.talonone.state.state_folder import open_state
from beam_talonone.talonone.state.store import Store
from beam_talonone.transforms.outputs.sinks import sink_for

USES = {
    "output": lambda folder: os.close(lock_folder(folder)),
    "state": lambda folder: open_state(folder, "https://one.example").close(),
    "dead letters": lambda folder: sink_for(str(folder), "dead-letters", print).close(),
}
every_use = pytest.mark.parametrize("use", USES.values(), ids=list(USES))


@pytest.fixture(autouse=True)
def usual_umask():
    """As in a program that uses the library: the command line sets a stricter one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@every_use
def test_a_new_folder_is_for_its_owner_alone(tmp_path: Path, use) -> None:
    use(tmp_path / "new")
    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert [path for path in made if path.stat().st_mode & 0o077] == []


@every_use
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_folder_that_all_may_write_to_is_refused_and_stays_empty(tmp_path: Path, use, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f" {tmp_path} is writable for every user.*`chmod o-w`"):
        use(tmp_path)
    assert list(tmp_path.iterdir()) == []


@every_use
def test_a_folder_of_another_user_is_refused_and_stays_empty(tmp_path: Path, use, monkeypatch) -> None:
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(private_folder, "ROOT", owner + 2)
    monkeypatch.setattr(private_folder.os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigurationError, match=rf"belongs to another user \(uid {owner}\)"):
        use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_behind_a_link_counts(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to("open")
    with pytest.raises(ConfigurationError, match=r"--output .*/link is writable"):
        check_private_folder(tmp_path / "link", "--output")


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o2775])
def test_a_volume_of_root_that_a_group_may_write_to_is_taken(tmp_path: Path, mode: int, monkeypatch) -> None:
    tmp_path.chmod(mode)
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(private_folder, "ROOT", owner)
    monkeypatch.setattr(private_folder.os, "geteuid", lambda: owner + 1)
    make_private_folder(tmp_path, "--state")
    assert tmp_path.stat().st_mode & 0o7777 == mode, "it is the user's own"


def test_a_state_folder_that_all_may_write_to_within_a_safe_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"--output {tmp_path}/state is writable"):
        lock_folder(tmp_path)


def test_only_the_owner_may_read_a_store_in_a_folder_that_others_may_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    store = Store(tmp_path / "store.sqlite")
    files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    store.close()
    assert files == dict.fromkeys(("store.sqlite", "store.sqlite-wal", "store.sqlite-shm"), 0o600)
