"""The group lists its commands from a table, and imports a command's module only when the command is called."""

import inspect
import json
import platform
import resource
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median

import pytest
import typer

import beam_talonone
from beam_talonone.pipelines.cli import commands
from beam_talonone.pipelines.cli.command_table import COMMANDS
from beam_talonone.pipelines.cli.group import PROGRAM, actions_of, called, function_of
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
    listed = capsys.readouterr().out.split("Commands:\n")[1].split("\n\n")[0]
    assert listed.split() == [word for name, row in COMMANDS.items() for word in (name, *row.help.split())]


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("Usage: beam-talonone ")
    assert "backfill" in shown.err
    assert not shown.out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    first, python, beam, *sending = capsys.readouterr().out.splitlines()
    assert first == f"beam-talonone {beam_talonone.__version__}"
    assert python == f"Python {platform.python_version()}"
    assert beam == f"apache-beam {version('apache-beam')}"
    assert sending == [f"httptools {version('httptools')}", f"uvloop {version('uvloop')}"]


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


WORDS = [(name,) for name in COMMANDS] + [("mappings", action) for action in actions_of("mappings")]


@pytest.mark.parametrize("words", [(), *WORDS], ids=" ".join)
def test_each_help_fits_a_terminal_of_80_columns(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*words, "--help"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_each_help_ends_with_an_example_and_the_page(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    listed = capsys.readouterr().out
    examples = listed.split("\nExamples:\n")[1].split("\n\n")[0].splitlines()
    assert examples
    assert all(line.startswith(f"  {PROGRAM} {' '.join(words)}") for line in examples)
    page = listed.splitlines()[-1].removeprefix("Documentation: ")
    assert (Path(__file__).parents[3] / page).is_file()


@pytest.mark.parametrize("line", [line for row in COMMANDS.values() for line in row.examples])
def test_each_example_can_be_parsed(line: str) -> None:
    words = shlex.split(line.split(" > ")[0])
    context = typer.main.get_command(app).make_context(PROGRAM, list(words))
    while context.command.__class__.__name__.endswith("Group"):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    assert context.info_name == words[1 if words[0] == "mappings" else 0]


COMPLETED = [
    (["ver"], ["verify"]),
    (["dead-letters", "--re"], ["--reason"]),
    (["backfill", "--or"], ["--orders"]),
    (["mappings", ""], ["list", "show", "draft", "try"]),
    (["mappings", "show", "shopify-"], ["shopify-csv"]),
    (["check", "--mapping", "woo"], ["woocommerce"]),
    (["check", "--format", "p"], ["parquet"]),
    (["replay", "--only", "unknown_a"], ["unknown_attribute"]),
    (["replay", "--kind", "ret"], ["returns"]),
    (["lookup", "get_loyalty_b"], ["get_loyalty_balances"]),
]


@pytest.mark.parametrize(("words", "offered"), COMPLETED, ids=[" ".join(words) for words, _ in COMPLETED])
def test_a_shell_is_offered_what_fits(
    words: list[str], offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_BEAM_TALONONE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join([PROGRAM, *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    with pytest.raises(SystemExit) as ended:
        run([])
    assert (ended.value.code, capsys.readouterr().out.split()) == (0, offered)


def test_a_shell_is_offered_all_commands() -> None:
    group = typer.main.get_command(app)
    context = group.make_context("beam-talonone", ["check"])
    assert [one.value for one in group.shell_complete(context, "")] == list(COMMANDS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["backfill", "--ordrs", "x"], "No such option: --ordrs. Did you mean --orders?"),
        (["check", "--zzyzx"], "No such option: --zzyzx"),
        (["check", "--profile-mode", "rule"], "'rule' is not one of 'bulk', 'rules'. Did you mean 'rules'?"),
        (["check", "--format", "xml"], "'xml' is not one of 'jsonl', 'json', 'avro', 'csv', 'parquet'."),
        (["mappings", "shw"], "'shw' is not one of 'list', 'show', 'draft', 'try'. Did you mean 'show'?"),
        (["dead-letters"], "Missing argument 'DIR|GLOB'. Usage: beam-talonone dead-letters [OPTIONS]"),
    ],
)
def test_an_error_suggests_what_was_meant(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert run(words) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("Did you mean") == message.count("Did you mean")
    assert shown.count("\n") == 1


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
