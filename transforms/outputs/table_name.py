"""The names of BigQuery tables, as people write them."""

import re
from typing import NamedTuple

_PROJECT = r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"
_TABLE = re.compile(
    rf"(?P<scheme>bq://)?(?P<project>{_PROJECT})(?P<between>[:.])(?P<dataset>[A-Za-z0-9_]{{1,1024}})"
    r"\.(?P<table>[\w-]{1,1024})"
)

FORMS = "PROJECT:DATASET.TABLE"
"""How messages show the form of a table; it is that of Dataflow's own templates and of bq."""


class TableName(NamedTuple):
    """A table of BigQuery. Its text is the form that Beam, Java and bq take.

    >>> str(table_name("bq://some-project.shop.results"))
    'some-project:shop.results'
    """

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"


def table_name(text: str) -> TableName | None:
    """The table that `text` names: `PROJECT:DATASET.TABLE`, `PROJECT.DATASET.TABLE` or `bq://PROJECT.DATASET.TABLE`.

    None for other texts, also for a table without its project, or with a decorator of a partition.
    """
    match = _TABLE.fullmatch(text)
    return None if match is None else TableName(match["project"], match["dataset"], match["table"])


def is_table_not_folder(text: str) -> bool:
    """True for what can only be meant as a table: `bq://...` or `PROJECT:DATASET.TABLE`, well-formed or not.

    `a.b.c` is not, because a folder may have that name.
    """
    match = _TABLE.fullmatch(text)
    return text.startswith("bq:") or (match is not None and match["between"] == ":")
