"""The group lists its commands from a table, and imports a command's module only when the command is called."""

import inspect
import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
import typer

import beam_talonone
from beam_talonone.pipelines.cli import commands
from beam_talonone.pipelines.cli.group import COMMANDS, called, function_of
from beam_talonone.pipelines.cli.main import app, run

HEAVY = {"apache_beam", "asyncio", "grpc", "httpx", "msgspec", "pyarrow", "pydantic", "uvicorn", "yaml"}
"""What takes long to import, and what no help needs."""

MODULES = "beam_talonone.pipelines.cli.commands."

IMPORTED = """
import json, sys
from beam_talonone.pipelines.cli.main import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def imported(*words: str) -> set[str]:
    """The modules of a process that ran `beam-talonone` with these words, which must end with 0."""
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words], capture_output=True, text=True, timeout=60, check=True
    )
    code, modules = json.loads(ended.stderr.splitlines()[-1])
    assert code == 0, ended.stdout
    return set(modules)


@pytest.mark.parametrize("option", ["--version", "--help", "-h"])
def test_the_group_alone_imports_no_command(option: str) -> None:
    found = imported(option)
    assert found & HEAVY == set()
    assert {name for name in found if name.startswith(MODULES)} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_that_command_only(name: str) -> None:
    found = imported(name, "--help")
    assert found & HEAVY - {"pydantic"} == set()  # which newer versions of typer import for the types of options
    assert "beam_talonone.schemas.types" not in found, "that needs pydantic, whatever typer does"
    assert {module for module in found if module.startswith(MODULES)} == {MODULES + name.replace("-", "_")}


@pytest.mark.slow
def test_what_is_heavy_is_noticed(tmp_path: Path) -> None:
    orders = tmp_path / "orders.jsonl"
    orders.write_text(
        '{"order_id": "o", "customer_id": "c", "status": "open", "event_time": "2026-01-01T00:00:00Z"}\n'
    )
    assert {"apache_beam", "pydantic", "msgspec", MODULES + "check"} <= imported("check", "--orders", str(orders))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_has_the_first_paragraph_of_each_command(name: str) -> None:
    paragraph = (inspect.getdoc(function_of(name)) or "").split("\n\n")[0]
    assert " ".join(paragraph.split()) == COMMANDS[name].help
    assert function_of(name).__name__ == name.replace("-", "_")


def test_each_module_of_a_command_is_in_the_table() -> None:
    files = {path.stem for path in Path(commands.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == {name.replace("-", "_") for name in COMMANDS}


def test_the_help_lists_all_commands_in_order(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out.split("Commands:\n")[1]
    assert listed.split() == [word for name, row in COMMANDS.items() for word in (name, *row.help.split())]


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("Usage: beam-talonone ")
    assert "backfill" in shown.err
    assert not shown.out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"beam-talonone {beam_talonone.__version__}\n"


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("backfil", "No such command 'backfil'. Did you mean 'backfill'?"),
        ("veryfy", "No such command 'veryfy'. Did you mean 'verify'?"),
        ("unheard-of", "No such command 'unheard-of'."),
    ],
)
def test_an_unknown_command_is_told_with_its_likeness(
    capsys: pytest.CaptureFixture[str], word: str, line: str
) -> None:
    assert run([word]) == 2
    assert capsys.readouterr().err == f"beam-talonone: {line}\n"


def test_a_shell_is_offered_the_commands() -> None:
    group = typer.main.get_command(app)
    context = group.make_context("beam-talonone", ["check"])
    assert [one.value for one in group.shell_complete(context, "ver")] == ["verify"]
    assert [one.value for one in group.shell_complete(context, "")] == list(COMMANDS)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["backfill", "--yes"], "backfill"),
        (["--debug", "stream", "replay"], "stream"),
        (["--version"], None),
        (["--", "check"], "check"),
        (["unheard-of", "check"], None),
        ([], None),
    ],
)
def test_which_command_is_called(words: list[str], name: str | None) -> None:
    assert called(words) == name


def processor_time(*words: str) -> float:
    """Seconds of processor time that Python took for `words`: of the clock's, other processes take their part."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_group_takes_at_most_twice_what_typer_and_rich_take(option: str) -> None:
    ratios = []
    for _ in range(9):  # one after the other, so that a machine that is slow for a while is so for both
        reference = processor_time("-c", "import typer, rich")
        ratios.append(processor_time("-m", "beam_talonone.pipelines.cli.entry", option) / reference)
    assert median(ratios) <= 2, ratios
