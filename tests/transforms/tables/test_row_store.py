"""The file of the rows: private, and gone however the process ends."""

import os
from pathlib import Path

from beam_talonone.transforms.tables.row_store import DOCUMENTS, StoredRow, row_store


def test_its_file_is_private_and_has_no_name_while_it_grows(tmp_path: Path) -> None:
    with row_store(tmp_path, lambda: False) as store:
        for number in range(50_000):
            store.add(DOCUMENTS, b"%d" % (number % 100), StoredRow("orders.csv", number, b"x" * 500))
        store.end()
        assert list(tmp_path.iterdir()) == []
        [descriptor] = [name for name in os.listdir("/proc/self/fd") if _is_ours(name, tmp_path / "rows-")]
        assert os.stat(f"/proc/self/fd/{descriptor}").st_mode & 0o777 == 0o600
        assert os.stat(f"/proc/self/fd/{descriptor}").st_size > 10_000_000
        groups = list(store.groups())
        assert [len(list(store.rows(DOCUMENTS, key))) for key, _ in groups] == [500] * 100


def _is_ours(name: str, prefix: Path) -> bool:
    link = f"/proc/self/fd/{name}"
    return os.path.lexists(link) and os.readlink(link).startswith(str(prefix))
