"""Input of a few kilobytes that claims gigabytes, each decoded in a process with little memory.

`make fuzz ARGS=--bombs` prints a line for each bomb, and exits with 1 if one needs more memory or time than allowed.
"""

import gzip
import io
import os
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from beam_talonone.pipelines.backfill.sending.journal import read_journal
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.reading import Unreadable, unpacked
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.sealed_lines import sealed
from beam_talonone.talonone.state.sqlite_damage import is_damage
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.messages.unpack import MessageReader
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.prepare import prepare
from beam_talonone.transforms.sources.shards import plan_shards, read_shard
from fuzz.corpus import KINDS, RECORDS, avro_file
from fuzz.damage import json_text
from fuzz.endings import OPTIONS, check_end, check_line

MEMORY: Final = 640 << 20
"""Bytes of address space for a bomb, beyond what the process has before it."""

SECONDS: Final = 120
"""Processor time for a bomb."""

CHECKED: Final = 10_000
"""Records of a file whose ends are all checked; of those after them, one of SAMPLE is. A check takes 200 µs, and
reading a row of CSV 9 µs: the checks of two million rows would take the time of the bomb."""

SAMPLE: Final = 100

GIB: Final = 1 << 30
DEEP: Final = 5_000_000


def packed(head: bytes, middle: bytes, tail: bytes = b"", size: int = 2 * GIB) -> bytes:
    """gzip data of `head`, `middle` over and over up to `size` bytes, and `tail`."""
    out = io.BytesIO()
    piece = middle * max(1, (1 << 20) // len(middle))
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        file.write(head)
        for _ in range(size // len(piece)):
            file.write(piece)
        file.write(tail)
    return out.getvalue()


def read_file(name: str, kind: str, data: bytes) -> int:
    """Read a file with this content, prepare each record, and check the ends of many; returns how many it has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        count = 0
        for source in inputs_of(kind, match_files(str(path))):
            for shard in plan_shards(source):
                for raw in read_shard(shard):
                    prepared = prepare(raw, OPTIONS)
                    if count < CHECKED or count % SAMPLE == 0:
                        check_end(prepared)
                    count += 1
        return count


def _avro(codec: bytes, block: bytes) -> bytes:
    whole = avro_file(codec.decode())
    sync = whole[-16:]
    return whole[: whole.index(sync) + 16] + b"\x02" + _long(len(block)) + block + sync


def _long(number: int) -> bytes:
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def _raw_deflate(size: int) -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(pack.compress(bytes(1 << 20)) for _ in range(size >> 20)) + pack.flush()


def message(data: bytes) -> int:
    """Unpack a message, and end each of its records."""
    raws = MessageReader().unpack("orders", "s", data, {})
    for raw in raws:
        check_end(prepare(raw, OPTIONS))
    return len(raws)


def line(data: bytes) -> int:
    """End one line of each kind, and as a dead letter."""
    for kind in KINDS:
        check_end(prepare(Raw(kind, "f", 1, "jsonl", data, None, None), OPTIONS))
    check_end(open_dead_letter(Raw(LETTERS, "f", 1, "jsonl", data, None, None), OPTIONS))
    return 1


def answer(body: bytes, encoding: str) -> int:
    """Unpack the body of an answer."""
    try:
        return len(unpacked(body, encoding))
    except Unreadable:
        return 0


def mapped(expression: str, variables: str = "{}") -> int:
    """Map a document with an expression."""
    document = {"list": list(range(3_000)), "text": "a" * 1_000}
    fields = f'{{event_id: "{expression}", event_time: text, type: text, customer_id: text}}'
    result = FileMapping("bomb", f"version: 1\nlet: {variables}\nevents:\n  fields: {fields}\n")(document)
    return len(result.records)


def state_file(name: str, begin: bytes, size: int = 0, middle: bytes = b"", end: bytes = b"") -> Path:
    """A file with these bytes: `begin`, `middle` over and over up to `size` bytes, or a hole, and `end`."""
    path = Path(tempfile.mkdtemp(prefix="fuzz-"), name)
    with path.open("wb") as file:
        file.write(begin)
        while middle and file.tell() < size:
            file.write(middle * max(1, (1 << 20) // len(middle)))
        file.truncate(max(size, file.tell()))
        file.seek(0, os.SEEK_END)
        file.write(end)
    return path


STATE_FILES: Final[dict[str, dict[str, Any]]] = {
    "one line of 512 MiB": {"begin": b'["d",1,"', "size": GIB // 2, "middle": b"x", "end": b'"]\n'},
    "a line of 512 MiB that is torn": {"begin": b'["d",1,"', "size": GIB // 2, "middle": b"x"},
    "2 GiB of zeros": {"begin": b"", "size": 2 * GIB},
    "a hole of 2 GiB": {"begin": b'["d",1', "size": 2 * GIB, "end": b'"]\n'},
    "67 million empty lines": {"begin": b"", "size": 1 << 26, "middle": b"\n"},
    "a million lines": {"begin": b"", "size": 20 << 20, "middle": b'["s",1,0,0,100.0]\n'},
    "deep arrays": {"begin": b'["d",' + b"[" * DEEP + b"]" * DEEP + b"]\n"},
    "deep arrays with a checksum": {"begin": sealed(b'["d",' + b"[" * DEEP + b"]" * DEEP + b"]")[0]},
    "a number of 10 million digits": {"begin": sealed(b'["d",' + b"9" * 10_000_000 + b",1,1]")[0]},
}
"""Each as a journal, and as a write-ahead log."""


def journal(data: dict[str, Any]) -> None:
    """Read a journal: whole, or one line calls it damaged."""
    path = state_file("journal-slice-000001.jsonl", **data)
    try:
        read_journal(path)
    except ConfigurationError as error:
        check_line(error, path)
    finally:
        shutil.rmtree(path.parent)


def log(data: dict[str, Any]) -> None:
    """Open a write-ahead log: all is recovered, or one line calls it damaged."""
    path = state_file("log.jsonl", **data)
    try:
        WriteAheadLog(path, PendingOverlay(Store())).close()
    except ConfigurationError as error:
        check_line(error, path)
    finally:
        shutil.rmtree(path.parent)


def store(items: str, pages: bytes = b"") -> None:
    """Read a return with these items from a state store whose header claims `pages`."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder, "store.sqlite")
        with closing(Store(path)) as whole:
            whole._connection.execute("INSERT INTO returned VALUES (x'00', 'o', ?, 0)", (items,))
        if pages:
            with path.open("r+b") as file:
                file.seek(28)
                file.write(pages)
        try:
            with closing(Store(path)) as opened:
                opened.returned_of("o")
        except ConfigurationError as error:
            check_line(error, path)
        except sqlite3.DatabaseError as error:
            check_line(error)
            if not is_damage(error):
                raise


_RECORD = json_text(RECORDS["profiles"])
BOMBS: Final[dict[str, Callable[[], object]]] = {
    "a line of 2 GiB": lambda: read_file("a.jsonl", "orders", packed(b'{"order_id":"', b"x", b'"}\n')),
    "blank lines of 64 MiB": lambda: read_file("a.jsonl", "orders", packed(_RECORD, b"\n", b"", GIB >> 4)),
    "an array that never ends": lambda: read_file("a.json", "orders", packed(b"[", b" ", b"")),
    "an array of brackets": lambda: read_file("a.json", "orders", packed(b"[", b"[", b"", GIB // 4)),
    "a text that never ends in an array": lambda: read_file(
        "a.json", "orders", packed(b'["', b"\\\\", b"", GIB // 4)
    ),
    "a quoted cell of 2 GiB": lambda: read_file(
        "a.csv", "profiles", packed(b'customer_id,event_time\n"', b"x" * 999 + b"\n")
    ),
    "a header of 2 GiB": lambda: read_file("a.csv", "profiles", packed(b"customer_id,", b"x,")),
    "an Avro block of 2 GiB": lambda: read_file("a.avro", "profiles", _avro(b"deflate", _raw_deflate(2 * GIB))),
    "an Avro text of 2 GiB": lambda: read_file("a.avro", "profiles", _avro(b"null", _long(2 * GIB) + b"x")),
    "a message that unpacks to 2 GiB": lambda: message(packed(b'{"order_id":"', b"x")),
    "a message packed in itself": lambda: message(gzip.compress(packed(b"[", b" "))),
    "a message of 3 million records": lambda: message(b"[" + b"{}," * 3_000_000 + b"{}]"),
    "a message that unpacks to 22 million records": lambda: message(packed(b"[", b"{},", b"{}]", 60 << 20)),
    "deep arrays": lambda: line(b"[" * DEEP + b"]" * DEEP),
    "deep objects": lambda: line(b'{"a":' * (DEEP // 2) + b"1" + b"}" * (DEEP // 2)),
    "deep attributes": lambda: line(_RECORD[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "a number of 10 million digits": lambda: line(_RECORD[:-1] + b',"attributes":{"a":' + b"9" * 10_000_000 + b"}}"),
    "an exponent of 18 digits": lambda: line(_RECORD.replace(b"3", b"1e999999999999999999")),
    "an answer that unpacks to 2 GiB": lambda: answer(packed(b"", b" "), "gzip"),
    "an answer packed four times": lambda: answer(_four_times(), "gzip, gzip, gzip, gzip"),
    "a text that grows as it is replaced": lambda: mapped(_replaced(6)),
    "a product of lists": lambda: mapped("map(&map(&map(&@, $.list), $.list), $.list)"),
    "variables that double a text": lambda: mapped("$v40", _doubling("concat({0}, {0})", "text")),
    "variables that double a list": lambda: mapped("to_string($v40)", _doubling("[{0}, {0}]", "list")),
    **{
        f"{what} of {content}": partial(read, data)
        for what, read in (("a journal", journal), ("a write-ahead log", log))
        for content, data in STATE_FILES.items()
    },
    "a state store that claims 17 TB": lambda: store("", pages=b"\xff\xff\xff\xff"),
    "a state store with deep items": lambda: store("[" * DEEP + "]" * DEEP),
    "a state store with items that break off": lambda: store('["' + "x" * (100 << 20)),
}


def _replaced(levels: int) -> str:
    return "text" if not levels else f"replace({_replaced(levels - 1)}, 'a', '{'a' * 100}')"


def _doubling(rule: str, first: str) -> str:
    names = [first, *(f"$v{number}" for number in range(41))]
    rules = ", ".join(f'v{number}: "{rule.format(before)}"' for number, before in enumerate(names[:-1]))
    return f"{{{rules}}}"


def _four_times() -> bytes:
    body = packed(b"", b" ")
    for _ in range(3):
        body = gzip.compress(body)
    return body


def explode(name: str) -> tuple[bool, str]:
    """Decode one bomb in a process of its own; returns whether that went well, and what it took."""
    bomb = BOMBS[name]
    began = time.monotonic()
    child = os.fork()
    if not child:
        _limit()
        try:
            bomb()
        except BaseException as error:  # the process ends here
            print(f"{name}: {type(error).__name__}: {str(error)[:500]}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    wall, processor = time.monotonic() - began, used.ru_utime + used.ru_stime
    end = "well" if code == 0 else signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return code == 0, f"{name:45} {wall:6.1f} s {processor:6.1f} s CPU {used.ru_maxrss >> 10:6,} MiB  {end}"


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def explode_all(words: list[str]) -> int:
    """Decode the bombs whose names contain all words, and print what became of each; returns how many went wrong."""
    wrong = 0
    for name in [name for name in BOMBS if all(word in name for word in words)]:
        good, text = explode(name)
        print(text, flush=True)
        wrong += not good
    return wrong
