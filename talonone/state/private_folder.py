"""Folders and files that hold personal data: only their owner may read and write them."""

import os
import stat
from pathlib import Path

from beam_talonone.talonone.errors import ConfigurationError

ROOT = 0


def make_private_folder(folder: Path, setting: str) -> None:
    """Create `folder` with mode 0700, or check the existing one as `check_private_folder` does.

    Missing folders above it are created under the umask. Raises ConfigurationError and OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private_folder(folder, setting)


def check_private_folder(folder: Path, setting: str) -> None:
    """Raises ConfigurationError, which begins with `setting`, if another user could exchange files in `folder`.

    The folder must belong to this user or to root, and must not be writable for all users. Root owns the volumes of
    Kubernetes, and their group (`fsGroup`) may write to them. So neither is refused.
    """
    status = folder.stat()
    if status.st_uid not in (os.geteuid(), ROOT):
        raise ConfigurationError(
            f"{setting} {folder} belongs to another user (uid {status.st_uid}), who could exchange its files:"
            " name a folder of your own"
        )
    if status.st_mode & stat.S_IWOTH:
        raise ConfigurationError(
            f"{setting} {folder} is writable for every user of this machine, who could exchange its files: run"
            " `chmod o-w` on it, or name a new folder in it"
        )


def make_private_file(path: Path) -> None:
    """Create an empty file of mode 0600 for what would create it under the umask, such as SQLite. An existing file
    stays as it is. SQLite gives its journals the mode of the database.

    Raises OSError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
