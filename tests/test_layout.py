"""The house's rules, held by reading the source: who imports whom, how long a file is, where the links lead."""

import ast
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("pipelines", "simulator", "talonone", "transforms", "schemas")
LINKS = (*ROOMS, "runner_configs")
LONGEST_FILE = 320
MOST_FILES = 15
"""Of a folder: its listing is to tell what the software does."""

MAY_IMPORT = {
    "schemas": {"schemas"},
    "talonone": {"talonone", "schemas"},
    "transforms": {"transforms", "talonone", "schemas"},
    "pipelines": {"pipelines", "transforms", "talonone", "schemas", "simulator"},
    "simulator": {"simulator", "schemas"},
}
"""pipelines -> transforms -> talonone -> schemas. The simulator stands beside them; its command is a pipeline's."""

SIMULATOR_KNOWS = {"schemas.operation", "schemas.operations"}
"""What both the sender and the simulator believe wrongly, no test finds: they share the table's rows and no more."""

SIMULATOR_COMMAND = "pipelines.cli.entry"

FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported(source: str) -> set[str]:
    """The modules that a source imports anywhere, with the names taken from them: `a.b` and `a.b.c`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def ours(names: set[str]) -> set[str]:
    """Those of our own modules, without the package's name: `schemas.operations`."""
    return {name.removeprefix("beam_talonone.") for name in names if name.startswith("beam_talonone.")}


def breaches(room: str, file: str, source: str) -> list[str]:
    """What a file of `room` imports against the rules."""
    names = imported(source)
    found = [f"{name}: relative" for name in names if name.startswith(".")]
    found += [f"{name}: bare" for name in names if name.split(".")[0] in LINKS]
    if room not in ("pipelines", "transforms"):
        found += [f"{name}: Beam below transforms/" for name in names if name.split(".")[0] == "apache_beam"]
    for name in ours(names):
        if room == "simulator" and file == "__main__.py" and name.startswith(SIMULATOR_COMMAND):
            continue
        if name.split(".")[0] not in MAY_IMPORT[room]:
            found.append(f"{name}: not in this direction")
        elif room == "simulator" and name.startswith("schemas") and not _known_to_simulator(name):
            found.append(f"{name}: the simulator shares the operation table only")
    return sorted(found)


def _known_to_simulator(name: str) -> bool:
    return name == "schemas" or any(name == known or name.startswith(known + ".") for known in SIMULATOR_KNOWS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    assert breaches(room, path.name, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source", "found"),
    [
        ("schemas", "import apache_beam as beam", "apache_beam: Beam below transforms/"),
        ("talonone", "def f():\n    from apache_beam.io import fileio", "apache_beam.io: Beam below transforms/"),
        (
            "talonone",
            "from beam_talonone.transforms.sink.send import Send",
            "transforms.sink.send: not in this direction",
        ),
        ("talonone", "from beam_talonone import pipelines", "pipelines: not in this direction"),
        ("schemas", "import schemas.types", "schemas.types: bare"),
        ("transforms", "from . import send", "..send: relative"),
        ("simulator", "from beam_talonone.talonone.rate import pacer", "talonone.rate.pacer: not in this direction"),
        (
            "simulator",
            "from beam_talonone.schemas.body import Product",
            "schemas.body: the simulator shares the operation table only",
        ),
    ],
)
def test_each_breach_is_found(room, source, found):
    assert found in breaches(room, "module.py", source)


def test_all_rooms_have_files():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("room", LINKS)
def test_links_lead_to_the_folders(room):
    link = ROOT / "beam_talonone" / room
    assert link.is_symlink(), "a link, not a copy: is core.symlinks off in git?"
    assert link.readlink() == Path("..", room)
    assert link.resolve() == ROOT / room


@pytest.mark.parametrize("room", ROOMS)
def test_every_folder_with_code_is_a_package(room):
    folders = {path.parent for path in (ROOT / room).rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_the_public_face_holds_no_code_but_its_own():
    found = {path.name for path in (ROOT / "beam_talonone").iterdir()} - {"__pycache__"}
    assert found == {"__init__.py", "py.typed", *LINKS}


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_folders_are_small(room):
    assert crowded(ROOT / room) == {}


def test_a_crowded_folder_is_found(tmp_path):
    for number in range(MOST_FILES + 1):
        (tmp_path / f"module_{number}.py").touch()
    assert crowded(tmp_path) == {str(tmp_path): MOST_FILES + 1}


def crowded(root: Path) -> dict[str, int]:
    """The folders below `root`, and itself, with more than MOST_FILES modules, and how many each has."""
    counts = Counter(str(path.parent) for path in root.rglob("*.py"))
    return {folder: count for folder, count in counts.items() if count > MOST_FILES}


@pytest.mark.parametrize("room", ROOMS)
def test_each_folder_says_what_belongs_there(room):
    inits = sorted((ROOT / room).rglob("__init__.py"))
    silent = [str(init) for init in inits if not ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))]
    assert silent == []


def cycles(imports: dict[str, set[str]]) -> list[str]:
    """The modules of the first cycle that is found among `imports`; nothing where there is none."""
    try:
        list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def imports_at_the_top() -> dict[str, set[str]]:
    """Each module of ours and those that it imports when it is imported itself."""
    modules = {_module(path): path for path in FILES}
    found = {}
    for name, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        at_top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        found[name] = {other for other in ours(imported(ast.unparse(at_top))) if other in modules} - {name}
        # the names of a package are its own: `from package import module` needs the module, not a way round
        found[name] -= {other for other in found[name] if name.startswith(f"{other}.")}
    return found


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_modules_import_each_other_in_a_circle():
    assert cycles(imports_at_the_top()) == []


def test_a_circle_of_imports_is_found():
    assert set(cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    assert cycles({"a": {"b"}, "b": set()}) == []
