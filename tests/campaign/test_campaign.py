"""The command of the campaign without its runs: the choice of plans, the table and the exit code."""

import json
import sys

import pytest
from support.audit.verdict import LOST, WRONG, clean

from campaign import __main__ as command
from campaign.campaign import Campaign, Result, markdown, rows
from campaign.plan import BackfillPlan
from campaign.plans import PLANS

PLAN, OTHER = (BackfillPlan(name=name, effect="nothing") for name in ("one", "two"))


def test_names_are_words_and_unique() -> None:
    names = [plan.name for plan in PLANS]
    assert len(set(names)) == len(names)
    assert not [name for name in names if " " in name]


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


@pytest.mark.parametrize(("lost", "code"), [([], 0), (["a record"], 1)])
def test_the_exit_code(monkeypatch, tmp_path, lost: list[str], code: int) -> None:
    result = Result(PLANS[0], 0, clean() | {LOST: lost})
    monkeypatch.setattr(Campaign, "run", lambda *_: [result])
    monkeypatch.setattr(sys, "argv", ["campaign", "--json", str(tmp_path / "out" / "figures.json")])
    assert command.main() == code
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["plans"][0][LOST] == len(lost)
