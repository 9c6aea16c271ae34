"""The folder of a local stream (`--state`): its files, its lock, and whether the last stream ended in order."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state.private_folder import make_private_folder
from beam_talonone.talonone.state.whole_file import write_whole_file

MANIFEST, STORE, LOG, UNCLEAN, ENDS = "stream.json", "store.sqlite", "log.jsonl", "running", "ends.json"


@dataclass
class StateFolder:
    """An open and locked state folder. `unclean` is True if the last process in it did not end in order."""

    root: Path
    unclean: bool
    _lock: int

    @property
    def store(self) -> Path:
        """The SQLite file of the state store."""
        return self.root / STORE

    @property
    def log(self) -> Path:
        """The write-ahead log."""
        return self.root / LOG

    @property
    def dead_letters(self) -> Path:
        """The folder of dead letters without --dead-letters."""
        return self.root / "dead-letters"

    def last_ends(self) -> dict[str, str]:
        """How the last records of each kind ended, in the form of LastEnds. Empty for a new folder.

        Raises ConfigurationError if the file is damaged.
        """
        path = self.root / ENDS
        try:
            kept = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            kept = None
        if not isinstance(kept, dict) or not all(
            isinstance(ends, str) and not set(ends) - {"0", "1"} for ends in kept.values()
        ):
            raise ConfigurationError(
                f"{path} is damaged: delete it. It only counts the dead letters among the last records, for"
                " --max-dead-letters"
            )
        return kept

    def keep_last_ends(self, ends: dict[str, str]) -> None:
        """Write what `last_ends` returns in the next process. Raises OSError when the disk is full."""
        write_whole_file(self.root / ENDS, json.dumps(ends).encode())

    def begins(self) -> None:
        """Mark the folder as in use, before messages are read. Raises OSError when the disk is full."""
        write_whole_file(self.root / UNCLEAN, b"%d\n" % os.getpid())

    def ended_in_order(self) -> None:
        """Take the mark away: no messages are held, so the next process need not wait for their leases."""
        (self.root / UNCLEAN).unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock the folder for another process."""
        os.close(self._lock)


def open_state(root: Path, base_url: str, setting: str = "--state") -> StateFolder:
    """Create or open the folder `root`, and lock it for a stream to `base_url`. Errors name the `setting`.

    Raises ConfigurationError if the folder cannot be used, if another user could exchange its files, or if another
    process has locked it. Also if it belongs to a stream to another deployment.
    """
    if ":/" in str(root):
        raise ConfigurationError(f"{setting} {root} is not a folder of this machine: name one that survives a crash")
    try:
        make_private_folder(root, setting)  # it holds personal data of the records
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{setting} {root} cannot be used: {error.strerror}") from None
    try:
        return _locked(root, base_url, lock, setting)
    except BaseException:
        os.close(lock)
        raise


def _locked(root: Path, base_url: str, lock: int, setting: str) -> StateFolder:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError(
            f"{setting} {root}: another stream uses this folder; stop it, or name another folder"
        ) from None
    before = _deployment(root / MANIFEST, setting)
    if before is None:
        write_whole_file(root / MANIFEST, json.dumps({"--base-url": base_url}).encode() + b"\n")
    elif before != base_url:
        raise ConfigurationError(
            f"{setting} {root} belongs to a stream to {before}, not to {base_url}: name another folder"
        )
    return StateFolder(root, (root / UNCLEAN).exists(), lock)


def _deployment(manifest: Path, setting: str) -> str | None:
    """The base URL in the manifest of a folder, None for a new folder. Raises ConfigurationError if it is damaged."""
    try:
        return str(json.loads(manifest.read_text())["--base-url"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(f"{manifest} was not written by a stream: is {setting} the right folder?") from None
