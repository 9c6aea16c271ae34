"""What docs/ says is held against the code: examples are run, lists are compared, the generated page is current."""

import importlib.util
import inspect
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from beam_talonone import __version__
from beam_talonone.pipelines.cli.command_table import COMMANDS
from beam_talonone.pipelines.cli.group import actions_of, function_of
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason, Skip, Stage
from beam_talonone.schemas.records import MODELS
from beam_talonone.simulator.server import control
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.transforms.formats.csv import unflatten

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md")), ROOT / "runner_configs" / "README.md"]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The text under the heading `## title`."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the table rows in a text, heads and rules left out."""
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in cells]


def codes(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def load(text: str):
    return json.loads(text, parse_float=Decimal)


def load_all(text: str):
    """The JSON values of a text, one after the other, each over as many lines as it takes."""
    decoder, values, at = json.JSONDecoder(parse_float=Decimal), [], 0
    while text := text[at:].lstrip():
        value, at = decoder.raw_decode(text)
        values.append(value)
    return values


def requests_of(kind: str, fields) -> list[dict[str, object]]:
    work = build(kind, parse(kind, fields).record, BuildOptions())
    requests = [part.request for part in work.parts]
    return [{"operation": r.operation, "path": r.path, "query": r.query, "body": r.body_json()} for r in requests]


EXAMPLES = [
    (kind, example, becomes)
    for kind in MODELS
    for example, becomes in re.findall(
        r"```json\n(.*?)```\n\nbecomes\n\n```jsonl\n(.*?)```", section(page("records.md"), kind[:-1]), re.DOTALL
    )
]


@pytest.mark.parametrize(("kind", "example", "becomes"), EXAMPLES)
def test_examples_become_what_the_page_says(kind, example, becomes):
    assert requests_of(kind, load(example)) == load_all(becomes)


def test_every_kind_has_an_example():
    assert {kind for kind, _, _ in EXAMPLES} == set(MODELS)
    assert len(codes(page("records.md"), "json")) == len(EXAMPLES)


def test_the_csv_example_is_valid():
    [text] = codes(section(page("records.md"), "profile"), "csv")
    header, tier, erasure = text.strip().replace('"Lyon, France"', "Lyon; France").splitlines()
    names = header.split(",")
    first, second = (unflatten(dict(zip(names, row.split(","), strict=True))) for row in (tier, erasure))
    assert [r["operation"] for r in requests_of("profiles", first)] == ["update_customer_profiles_v2"]
    assert [r["operation"] for r in requests_of("profiles", second)] == ["delete_customer_data"]


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_of_a_record_is_described(kind):
    named = {name for row in rows(section(page("records.md"), kind[:-1])) for name in re.findall(r"`(\w+)`", row[0])}
    assert named == set(MODELS[kind].model_fields)


def test_dead_letter_has_the_fields_of_the_page():
    [example] = codes(section(page("dead-letters.md"), "Shape"), "json")
    outcome = Outcome(End.DEAD, Reason.REFUSED.value, first_sent=1.0)
    made = dead_letter("orders", "1", Shown({}), {}, outcome, "job", 2.0)
    assert list(load(example)) == list(made)
    described = [name for row in rows(section(page("dead-letters.md"), "Shape")) for name in row[0].split(", ")]
    assert [name.strip("`") for name in described] == list(made)


def test_stages_of_the_page_are_those_of_the_code():
    [stage] = [row for row in rows(section(page("dead-letters.md"), "Shape")) if row[0] == "`stage`"]
    assert re.findall(r"`(\w+)`", stage[1]) == [stage.value for stage in Stage]


def test_unclear_reasons_are_named_where_replay_is_explained():
    documented = section(page("dead-letters.md"), "Replay")
    assert {reason.value for reason in Reason if f"`{reason}`" in documented} == {
        r.value for r in Reason if not r.definite
    }


def test_skips_of_the_page_are_those_of_the_code():
    listed = rows(section(page("dead-letters.md"), "Skipped records"))
    assert [row[0].strip("`") for row in listed] == [skip.value for skip in Skip]


def script(name: str):
    """A module of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_operations_page_is_current():
    generate = script("generate")
    assert generate.PAGE.read_text(encoding="utf-8") == generate.page(OPERATIONS), "run `make docs`"


def test_the_options_page_is_current():
    generate = script("generate_options")
    assert generate.PAGE.read_text(encoding="utf-8") == generate.options_page(), "run `make docs`"


def test_the_options_page_has_every_option_of_every_command():
    listed = rows(page("reference/options.md"))
    for name in COMMANDS:
        taken = [row[0] for row in listed if {name, "all"} & set(row[2].split(", "))]
        words = {word for spelling in taken for word in re.findall(r"--[a-z-]+", spelling)}
        functions = [function_of(name), *actions_of(name).values()]
        parameters = {parameter for function in functions for parameter in inspect.signature(function).parameters}
        positional = {
            "replay": {"dead_letters"},
            "dead-letters": {"places"},
            "report": {"folder"},
            "mappings": {"name", "mapping", "sample"},
        }
        arguments = {"operation", "beam_args"} | positional.get(name, set())
        assert {f"--{parameter.replace('_', '-')}" for parameter in parameters - arguments} <= words


@pytest.mark.parametrize("name", ["backfill", "stream"])
def test_the_metadata_of_the_templates_is_current(name):
    generate = script("generate_options")
    template = generate.TEMPLATES[name]
    text = generate.template_file(template).read_text(encoding="utf-8")
    assert text == generate.template_text(template), "run `make docs`"


def test_the_tree_of_the_development_page_is_current():
    generate = script("generate")
    text = generate.TREE_PAGE.read_text(encoding="utf-8")
    assert text == generate.with_tree(text, ROOT), "run `make docs`"


def test_every_package_folder_says_in_one_sentence_what_belongs_there():
    generate = script("generate")
    inits = [init for name in generate.PACKAGES for init in (ROOT / name).rglob("__init__.py")]
    assert len(inits) >= len(generate.folders(ROOT)) > len(generate.PACKAGES)
    assert [str(init.parent) for init in inits if not generate.summary(init.parent)] == []


def test_the_tree_knows_every_folder_of_the_repository():
    generate = script("generate")
    there = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.*"))}
    built = {"build", "dist", "demo-output", "demo-stream-output", "site"}
    plain = {name for name in there if not name.startswith(".") and not name.endswith(".egg-info")} - built
    assert plain == {*generate.PACKAGES, *generate.OTHERS}


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ('"""One. Two."""', "One."),
        ('"""A file.name\nin two lines.\n\nMore."""', "A file.name in two lines."),
        ('"""No end"""', ""),
        ("", ""),
    ],
)
def test_summary_is_the_first_sentence(tmp_path, doc, expected):
    (tmp_path / "__init__.py").write_text(doc)
    assert script("generate").summary(tmp_path) == expected


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        led = (path.parent / file).resolve() if file else path
        if not led.exists() or (anchor and anchor not in anchors(led)):
            broken.append(target)
    assert broken == []


def named_paths(text: str) -> set[str]:
    """The code spans of a page that name a file or folder of the repository."""
    spans = re.findall(r"`([\w./-]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return {span for span in spans if re.match(r"(\.?\w[\w-]*)/", span) and (ROOT / span.split("/")[0]).is_dir()}


def test_paths_of_the_pages_exist():
    assert named_paths("`tests/gone.py`, `.ci/run`, `/healthz`, `a/b` and `make`") == {"tests/gone.py", ".ci/run"}
    named = {(path.name, name) for path in PAGES for name in named_paths(path.read_text(encoding="utf-8"))}
    made = (".tools/", ".venv/")
    assert {pair for pair in named if not (ROOT / pair[1]).exists() and not pair[1].startswith(made)} == set()


def test_messages_of_the_troubleshooting_page_are_those_of_the_code():
    folders = ("schemas", "talonone", "transforms", "pipelines")
    texts = [path.read_text(encoding="utf-8") for name in folders for path in sorted((ROOT / name).rglob("*.py"))]
    code = " ".join(re.sub(r'"\s+f?"', "", text) for text in texts)
    heads = re.findall(r"^\| `([^`]+)` \|", page("troubleshooting.md"), re.MULTILINE)
    messages = [head for head in heads if " " in head]
    assert len(messages) > 5
    assert [message for message in messages if message not in code] == []
    assert {head for head in heads if " " not in head} <= {reason.value for reason in Reason}


def test_the_simulator_page_lists_all_endpoints():
    named = " ".join(row[0] for row in rows(section(page("simulator.md"), "What happened")))
    assert set(re.findall(r"`(?:GET |POST )?([\w-]+)`", named)) == {*control.LINES, "summary", *control.POSTS}


def test_every_make_target_of_the_docs_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documented = {
        target for path in PAGES for target in re.findall(r"`make ([a-z]+)", path.read_text(encoding="utf-8"))
    }
    assert documented <= targets


def test_the_diffs_are_of_what_is_there():
    shown = "\n".join(codes(page("development.md"), "diff"))
    files = re.split(r"^--- a/.*\n\+\+\+ b/(.*)\n", shown, flags=re.MULTILINE)[1:]
    assert files[::2] == [
        "schemas/operations/audiences.py", "simulator/bodies/shapes.py", "simulator/operations/audiences.py",
        "simulator/operations/handlers.py",
    ]  # fmt: skip
    for name, diff in zip(files[::2], files[1::2], strict=True):
        added = "\n".join(line.removeprefix("+") for line in diff.strip("\n").splitlines())
        assert added in (ROOT / name).read_text(encoding="utf-8"), name


def test_image_tags_of_the_pages_are_the_version():
    paths = [
        *PAGES,
        *(ROOT / "runner_configs").glob("*.yaml"),
        *ROOT.glob("templates/*.*"),
        *(path for path in ROOT.glob("examples/*/*.*") if path.parent.name != "__pycache__"),
    ]
    shown = r"(?:beam-talonone(?:/\w+)?:|\bTAG=|__version__ = .)(\d+\.\d+\.\d+)"
    tags = {(path.name, tag) for path in paths for tag in re.findall(shown, path.read_text(encoding="utf-8"))}
    assert {tag for _, tag in tags} == {__version__}, tags


def test_the_changelog_has_a_dated_section_for_the_version():
    heads = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == ("Unreleased", "")
    assert heads[1][0] == __version__
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", date) for _, date in heads[1:])
