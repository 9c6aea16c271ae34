"""`beam-talonone dead-letters`, as it is typed."""

import csv
import io
import json
import sys

import pytest

from beam_talonone.pipelines.cli.main import run


@pytest.fixture
def out(write, tmp_path, dead_letter):
    """The output folder of a job with five dead letters, of three reasons."""
    write(
        "out/dead-letters/input.jsonl",
        dead_letter(id=None, stage="decode", reason="not_json", record="{", pointer=None),
        dead_letter(
            kind="events", id="e-1", stage="decode", reason="bad_row", source={"file": "e.csv", "format": "joined"}
        ),
    )
    write("out/dead-letters/slice-000001.jsonl", *(dead_letter(id=f"R-{number}") for number in range(1, 4)))
    return tmp_path / "out"


def test_the_summary_says_what_is_to_be_done(out, capsys):
    assert run(["dead-letters", str(out), "--show", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[:6] == [
        "5 dead letters",
        "",
        "count  kind    stage   reason",
        "    3  orders  send    unknown_attribute",
        "    1  events  decode  bad_row",
        "    1  orders  decode  not_json",
    ]
    for line in (
        "orders, send, unknown_attribute: the attribute is not defined in Talon.One",
        "  field /customerSession/attributes/size 3",
        "  file orders.jsonl 3",
        "  example R-2 at orders.jsonl:2: Unknown: attribute size",
        "  example (no id) at orders.jsonl:2: Unknown: attribute size",
        "  not replayed 1: one row of a document of several rows: correct the file, and bring its rows in with a new"
        " job",
    ):
        assert line in shown.splitlines()
    assert "R-3" not in shown


def test_without_examples_the_counts_remain(out, capsys):
    assert run(["dead-letters", str(out), "--show", "0"]) == 0
    assert "example" not in capsys.readouterr().out


def test_reasons_and_kinds_narrow_down(out, capsys):
    assert run(["dead-letters", str(out), "--kind", "orders", "--reason", "not_json", "--reason", "bad_row"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        "1 dead letter of 5", "", "count  kind    stage   reason", "    1  orders  decode  not_json",
    ]  # fmt: skip


def test_the_export_of_jsonl_is_the_lines_of_the_files(out, capfdbinary, tmp_path):
    lines = b"".join(path.read_bytes() for path in sorted((out / "dead-letters").iterdir()))
    assert run(["dead-letters", str(out), "--export", "jsonl"]) == 0
    exported = capfdbinary.readouterr()
    assert exported.out == lines
    assert exported.err == b"beam-talonone: 5 dead letters exported\n"
    file = tmp_path / "new" / "export.jsonl"
    assert run(["dead-letters", str(out), "--export", "jsonl", "--output", str(file)]) == 0
    assert file.read_bytes() == lines
    assert capfdbinary.readouterr().out == b""


def test_an_export_to_csv_has_a_row_each(out, tmp_path):
    file = tmp_path / "export.csv"
    assert run(["dead-letters", str(out), "--export", "csv", "--output", str(file), "--reason", "bad_row"]) == 0
    [row] = csv.DictReader(io.StringIO(file.read_text()))
    assert (row["kind"], row["id"]) == ("events", "e-1")


def test_an_export_overwrites_nothing(out, capsys):
    file = out / "dead-letters" / "input.jsonl"
    before = file.read_bytes()
    assert run(["dead-letters", str(out), "--export", "jsonl", "--output", str(file)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_bad_lines_are_named_on_stderr_and_end_with_3(out, write, capsys):
    path = write("out/dead-letters/z.jsonl", *[b'{"torn'] * 25)
    assert run(["dead-letters", str(out)]) == 3
    shown = capsys.readouterr()
    assert shown.out.startswith("5 dead letters\n")
    lines = shown.err.splitlines()
    assert lines[0].startswith(f"beam-talonone: {path}:1: not a dead letter")
    assert (len(lines), lines[-1]) == (21, "beam-talonone: 25 lines in all are no dead letters")


def test_a_terminal_gets_text_and_no_control_characters(write, dead_letter, tmp_path, capsys):
    write("d.jsonl", dead_letter(id="\x1b[2Jx", detail="two\nlines", source={"file": "\x1b]0;t\x07", "position": 1}))
    assert run(["dead-letters", str(tmp_path / "d.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "two\\nlines" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--reason", "unknown_atribute"],
            "--reason unknown_atribute: no such reason; did you mean unknown_attribute",
        ),
        (["--kind", "order"], "--kind order: no such kind; did you mean orders?"),
        (["--kind", "xyz"], "the kinds are orders, returns, profiles, events, calls, records, lookups, dead_letters"),
        (["--output", "x"], "add --export csv or --export jsonl"),
    ],
)
def test_a_wrong_option_is_a_usage_error(out, capsys, words, message):
    assert run(["dead-letters", str(out), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_job_without_dead_letters_ends_with_0(write, tmp_path, capsys):
    write("out/job.json", {})
    assert run(["dead-letters", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == "no dead letters\n"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_terminal_gets_an_export_as_text(form, write, dead_letter, tmp_path, capfdbinary, monkeypatch):
    """The file of an export is unchanged, and a terminal would carry out what a record contains."""
    letter = dead_letter(id="a\x9b31mb", detail="\x1b[2J\u202e")
    write("out/dead-letters/input.jsonl", json.dumps(letter, ensure_ascii=False).encode())
    words = ["dead-letters", str(tmp_path / "out"), "--export", form]
    assert run(words) == 0
    piped = capfdbinary.readouterr().out.decode()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(words) == 0
    shown = capfdbinary.readouterr().out.decode()
    assert "\x9b" in piped
    assert not {"\x1b", "\x9b", "\u202e", "\r"} & {*shown}
    if form == "jsonl":
        assert json.loads(shown) == json.loads(piped)
