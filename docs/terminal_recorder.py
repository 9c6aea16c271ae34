"""A command in a terminal of its own: what its screen shows, what a person types, and one screen as a picture."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

import pyte

COLUMNS, ROWS = 80, 40

LINE, WIDTH, PAD = 20, 8.4, 16
"""Pixels of the picture: the height of a row, the width of a column, and the space around all rows."""

COLOURS = {
    "default": "#d0d7de", "green": "#7ee787", "brown": "#e3b341", "yellow": "#e3b341", "cyan": "#56d4dd",
    "unfilled": "#57606a",
}  # fmt: skip


NO_BREAK = "\u00a0"
"""In place of a space: a row of spaces in an SVG is shown as one."""

FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"


@dataclass(frozen=True)
class Cell:
    """A character on the screen, and its colour in COLOURS."""

    text: str
    colour: str


class Terminal:
    """Runs `words` in `folder` in a terminal. Times are in seconds since the first output of the command."""

    def __init__(self, words: list[str], folder: str | Path, **environment: str) -> None:
        """Start the command. Its process ends with the terminal."""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            size = {"COLUMNS": "", "LINES": "", "TERM": "xterm-256color", "NO_COLOR": "", "TTY_COMPATIBLE": ""}
            kept = {name: value for name, value in {**os.environ, **size, **environment}.items() if value}
            os.execve(words[0], words, kept)
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self.resize(COLUMNS)
        self._began: float | None = None

    def resize(self, columns: int) -> None:
        """Give the terminal another width, in characters."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self._screen.resize(ROWS, columns)

    def type(self, text: str) -> None:
        """Press keys. "\\x03" is Ctrl-C."""
        os.write(self._terminal, text.encode())

    def wait(self) -> bool:
        """Take in output until a pause of 50 ms, as a frame may be half drawn. False at the end of the command."""
        while select.select([self._terminal], [], [], 0.05)[0]:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # the command has ended
                data = b""
            if not data:
                os.waitpid(self._pid, 0)
                return False
            self._began = self._began or time.monotonic()
            self._stream.feed(data)
        return True

    @property
    def seconds(self) -> float:
        """The time since the first output; 0.0 before it."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def rows(self) -> list[str]:
        """The rows of the screen that are not empty."""
        return [row.rstrip() for row in self._screen.display if row.strip()]

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows that are not empty, as the characters that have something to show."""
        rows = []
        for number, row in enumerate(self._screen.display):
            line = [self._screen.buffer[number][column] for column in range(len(row.rstrip()))]
            if line:
                rows.append([Cell(cell.data, "unfilled" if cell.data == "─" else cell.fg) for cell in line])
        return rows


def as_svg(rows: list[list[Cell]], title: str) -> str:
    """A picture of a screen. It names fonts that machines have, and fetches nothing."""
    width, height = COLUMNS * WIDTH + 2 * PAD, len(rows) * LINE + 2 * PAD
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" role="img">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
        f'<g font-family="{FONTS}" font-size="14">',
    ]
    for number, row in enumerate(rows):
        column, y = 0, PAD + number * LINE + 15
        for colour, group in groupby(row, lambda cell: cell.colour):
            text = "".join(cell.text for cell in group)
            x, length = PAD + column * WIDTH, len(text) * WIDTH
            column += len(text)
            if text.strip():
                fill = COLOURS.get(colour, COLOURS["default"])
                shown = escape(text.replace(" ", NO_BREAK))
                lines.append(f'<text x="{x:.1f}" y="{y}" fill="{fill}" textLength="{length:.1f}">{shown}</text>')
    return "\n".join([*lines, "</g>", "</svg>"]) + "\n"
