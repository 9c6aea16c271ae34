"""The tables and indexes of a staging database, of this version and of earlier ones.

The names on disk are those of version 0.1, because its jobs must still open. The file is `spool.sqlite`. The table
`queue` is the send order. `fates` holds the outcomes, and its column `letter` the dead letters. `tried` is the
attempt history. `documents` has the records as they came, and `works` their works, in blocks (see `packed`). The
column `file` has a number of the table `files`. Earlier versions had none of these, and the path in each row.
"""

from beam_talonone.schemas.kinds import ERASURE

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
  rec INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, id TEXT, session TEXT, customer TEXT, identity BLOB, content BLOB,
  phase INTEGER, event_us INTEGER, rank INTEGER, version INTEGER, status TEXT,
  file TEXT NOT NULL, file_no INTEGER NOT NULL, position INTEGER NOT NULL, format TEXT NOT NULL,
  unknown_fields INTEGER NOT NULL, raw BLOB, work BLOB, origin BLOB, work_check INTEGER
);
CREATE TABLE IF NOT EXISTS documents (first INTEGER PRIMARY KEY, block BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS works (number INTEGER PRIMARY KEY, block BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS files (number INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS queue (number INTEGER PRIMARY KEY, rec INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS fates (
  rec INTEGER PRIMARY KEY, end TEXT NOT NULL, stage TEXT, reason TEXT, letter BLOB, result BLOB
);
CREATE TABLE IF NOT EXISTS replayed (
  kind TEXT NOT NULL, identity BLOB NOT NULL, content BLOB NOT NULL, session TEXT, customer TEXT,
  event_us INTEGER NOT NULL, rank INTEGER NOT NULL, version INTEGER NOT NULL, work BLOB NOT NULL,
  PRIMARY KEY (kind, identity)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tried (
  identity BLOB PRIMARY KEY, done TEXT NOT NULL, unknown INTEGER NOT NULL, first_sent REAL, attempt TEXT NOT NULL,
  generation INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unknown (
  kind TEXT NOT NULL, name TEXT NOT NULL, records INTEGER NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unknown_api (
  operation TEXT NOT NULL, name TEXT NOT NULL, records INTEGER NOT NULL, PRIMARY KEY (operation, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stats (slice INTEGER NOT NULL, process INTEGER NOT NULL, value BLOB NOT NULL,
  seconds REAL NOT NULL,
  PRIMARY KEY (slice, process)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (
  slice INTEGER NOT NULL, kind TEXT NOT NULL, end TEXT NOT NULL, stage TEXT NOT NULL, reason TEXT NOT NULL,
  mapped INTEGER NOT NULL, records INTEGER NOT NULL, unknown_fields INTEGER NOT NULL,
  PRIMARY KEY (slice, kind, end, stage, reason, mapped)
) WITHOUT ROWID;
"""

SESSION_INDEXES = """
CREATE INDEX IF NOT EXISTS orders_by_session ON records (session) WHERE kind = 'orders';
CREATE INDEX IF NOT EXISTS returns_by_session ON records (session) WHERE kind = 'returns';
"""
"""For records that depend on what became of their order: returns, and orders that are cancelled."""

ERASURE_INDEX = f"""
CREATE INDEX IF NOT EXISTS erasures ON records (customer, event_us, rank, version)
  WHERE kind = 'profiles' AND rank = {ERASURE};
"""
"""For profile changes that are sent first, unless they follow an erasure."""

CUSTOMER_INDEX = "CREATE INDEX IF NOT EXISTS by_customer ON records (customer) WHERE kind = 'profiles';"

REPLAY_INDEXES = f"""
{SESSION_INDEXES}
{CUSTOMER_INDEX}
CREATE INDEX IF NOT EXISTS by_identity ON records (identity) WHERE identity IS NOT NULL;
"""
"""For a replay of the dead letters of the job, which asks what else became of their records."""

TARGETS = """
CREATE TABLE IF NOT EXISTS targets (
  number INTEGER PRIMARY KEY, sort TEXT NOT NULL, id TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS differences (
  target INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, field TEXT NOT NULL, line BLOB NOT NULL,
  PRIMARY KEY (target, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasures (customer TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;
"""
"""What a verification reads, and what it found."""

TARGET_INDEXES = f"{SESSION_INDEXES}{CUSTOMER_INDEX}CREATE UNIQUE INDEX IF NOT EXISTS by_rec ON queue (rec);"
"""Each chunk of targets looks up its records, and the places of these in the order of sending."""

FORMS = (
    SCHEMA + REPLAY_INDEXES + ERASURE_INDEX,
    SCHEMA + TARGETS + TARGET_INDEXES,
    SCHEMA.replace(", work_check INTEGER", ""),
)
"""Schemas besides SCHEMA: of a job whose dead letters were replayed, of a verification, and of a job of version 0.1,
whose records have no checksum."""

ADDED = frozenset({"documents", "works", "files", "unknown_api", "counts"})
"""The tables that a job of version 0.1 lacks."""

CHECKSUMS = "ALTER TABLE records ADD COLUMN work_check INTEGER;"
"""What makes the third of these forms the first."""


def table(name: str) -> str:
    """The statement that makes a table of SCHEMA."""
    return next(statement for statement in SCHEMA.split(";") if f" {name} (" in statement).strip()
