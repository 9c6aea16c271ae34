"""The command of the campaign without its runs: the choice of plans, the table and the exit code."""

import json
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from support.audit.verdict import LOST, WRONG, clean

from campaign import __main__ as command
from campaign import plans
from campaign.campaign import Campaign, Result, line, markdown, remarks, rows
from campaign.plan import BackfillPlan
from campaign.plans import PLANS

PLAN, OTHER = (BackfillPlan(name=name, effect="nothing") for name in ("one", "two"))


def test_names_are_words_and_unique() -> None:
    names = [plan.name for plan in PLANS]
    assert len(set(names)) == len(names)
    assert not [name for name in names if " " in name]


def test_each_file_of_plans_is_in_the_table() -> None:
    files = [path.stem for path in Path(plans.__file__).parent.glob("[a-z]*.py")]
    tables = [getattr(import_module(f"campaign.plans.{name}"), "PLANS", ()) for name in files]
    assert {plan.name for table in tables for plan in table} == {plan.name for plan in PLANS}


def test_the_choice() -> None:
    assert [plan.name for plan in command.chosen(["5xx"], long=False)] == ["5xx"]
    assert command.chosen(None, long=True) == [*PLANS]
    assert not [plan for plan in command.chosen(None, long=False) if plan.long]
    with pytest.raises(SystemExit, match="no plan is called quake"):
        command.chosen(["5xx", "quake"], long=False)


def test_a_row_sums_the_seeds_of_a_plan() -> None:
    results = [
        Result(PLAN, 0, clean() | {LOST: ["a", "b"]}, 1.25),
        Result(PLAN, 1, clean() | {LOST: ["c"]}, 2.0),
        Result(OTHER, 0, skipped="no network"),
    ]
    first, second = rows(results)
    assert (first["plan"], first["seeds"], first[LOST], first[WRONG], first["seconds"]) == ("one", 2, 3, 0, 3.2)
    assert [failure["seed"] for failure in first["failures"]] == [0, 1]
    assert (second["seeds"], second["skipped"]) == (0, "no network")
    assert markdown([first, second]).splitlines()[2:] == [
        "| one | backfill | 2 | 3 | 0 | 0 | 0 | 0 | 0 | 3.2 |",
        "| two (skipped: no network) | backfill | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0.0 |",
    ]


def test_a_seed_that_misses_a_phase_is_not_shown() -> None:
    plan = BackfillPlan(name="twice", effect="nothing", phases=("sending", "sending", "folding"))
    results = [
        Result(plan, 0, stall=0.02, hits=Counter(sending=2, folding=1)),
        Result(plan, 1, clean() | {LOST: ["a"]}, stall=0.31, hits=Counter(sending=1, reading=1, folding=1)),
        Result(OTHER, 0, skipped="no network"),
    ]
    (row, skipped) = table = rows(results)
    assert (row["seeds"], row[LOST], row["stall"]) == (1, 1, 0.31)
    assert row["hits"] == {"sending": 3, "folding": 2, "reading": 1}
    assert row["not_shown"] == [{"seed": 1, "missed": ["sending"]}]
    assert skipped["not_shown"] == []
    assert [line(result) for result in results[:2]] == [
        "twice, seed 0: 0.0 s (sending 2, folding 1): right",
        "twice, seed 1: 0.0 s (sending 1, reading 1, folding 1): NOT SHOWN, it missed sending: WRONG\n    lost: a",
    ]
    assert remarks(table) == [
        "worst stall of the machine: 0.31 s; the verdict on the rate allows for that of each run",
        "skipped: two: no network",
        "not shown: twice, seed 1: it missed sending",
    ]


def test_an_exception_is_wrong() -> None:
    def play(scene: object) -> None:
        raise AssertionError("still running")

    class Broken(Campaign):
        def _verdict(self, *_: object) -> dict[str, list[str]]:
            play(None)
            return clean()

    (result,) = Broken().run([PLAN], [3], parallel=1)
    assert result.failed
    assert (result.seed, result.verdict[WRONG]) == (3, ["AssertionError: still running"])


@pytest.mark.parametrize(
    ("result", "words", "code"),
    [
        (Result(PLAN, 0), (), 0),
        (Result(PLAN, 0), ("--strict",), 0),
        (Result(PLAN, 0, clean() | {LOST: ["a record"]}), (), 1),
        (Result(PLAN, 0, skipped="no network"), (), 0),
        (Result(PLAN, 0, skipped="no network"), ("--strict",), 1),
        (Result(replace(PLAN, phases=("sending",)), 0), (), 0),
        (Result(replace(PLAN, phases=("sending",)), 0), ("--strict",), 1),
    ],
)
def test_the_exit_code(monkeypatch, tmp_path, result: Result, words: tuple[str, ...], code: int) -> None:
    monkeypatch.setattr(Campaign, "run", lambda *_: [result])
    monkeypatch.setattr(sys, "argv", ["campaign", "--json", str(tmp_path / "out" / "figures.json"), *words])
    assert command.main() == code
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["plans"] == rows([result])
