"""The examples in docstrings run, and every name that the pages tell users to import has one."""

import doctest
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import beam_talonone

ROOT = Path(__file__).parents[1]
FOLDERS = ("schemas", "talonone", "transforms", "pipelines", "simulator")
PAGES = [
    ROOT / "README.md",
    *(path for at in ("docs/*.md", "examples/**/*.py", "examples/**/*.yaml") for path in ROOT.glob(at)),
]
OPTIONS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL

MORE = {
    *(f"beam_talonone.schemas.records.{name}" for name in ("Order", "Return", "Profile", "Event", "Call", "Lookup")),
    "beam_talonone.schemas.operation.Operation",
    "beam_talonone.schemas.avro.avro_schema",
    "beam_talonone.talonone.hooks.Sent",
    "beam_talonone.transforms.runtime.engines.EngineConfig",
}
"""Names that users meet without an import on a page: records, rows of the table, what a hook receives."""


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("beam_talonone", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def has_example(path: Path) -> bool:
    return re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


MODULES = [
    module_of(path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) if has_example(path)
]


def imports(text: str) -> set[str]:
    """The names of this package in a text, with their modules: those imported, and those written out with dots."""
    imported = {
        f"{module}.{name}"
        for module, names in re.findall(r"\bfrom (beam_talonone[\w.]*) import (\w+(?:, \w+)*)", text)
        for name in names.replace(" ", "").split(",")
    }
    return imported | set(re.findall(r"\bbeam_talonone(?:\.[a-z_]+)+\.[A-Za-z_]+\b", text))


def resolve(name: str) -> Any:
    """The object of a dotted name; None where the name leads to nothing, as `beam_talonone.schemas.x` does."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None


def named() -> list[str]:
    """The classes and functions that the pages name, that the package exports, and MORE."""
    names = {f"beam_talonone.{name}" for name in beam_talonone.__all__} | MORE
    for page in PAGES:
        names |= imports(page.read_text(encoding="utf-8"))
    return sorted(name for name in names if inspect.isclass(found := resolve(name)) or inspect.isfunction(found))


def run(module: ModuleType) -> doctest.TestResults:
    return doctest.testmod(module, optionflags=OPTIONS)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    results = run(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("name", named())
def test_a_name_that_users_import_has_an_example(name):
    assert ">>> " in (resolve(name).__doc__ or "")


def test_names_are_read_from_imports_and_dotted_names():
    text = "from beam_talonone import A, B\nsee `beam_talonone.talonone.hooks.on_request`, from beam_talonone.x"
    assert imports(text) == {"beam_talonone.A", "beam_talonone.B", "beam_talonone.talonone.hooks.on_request"}


def test_the_pages_name_what_they_are_known_to_name():
    assert {
        "beam_talonone.LookupTalonOne",
        "beam_talonone.schemas.request.Request",
        "beam_talonone.talonone.hooks.on_request",
        "beam_talonone.talonone.tracing.trace_requests",
        "beam_talonone.transforms.yaml.WriteToTalonOne",
    } <= set(named())


def test_an_example_that_fails_is_noticed():
    module = ModuleType("broken", ">>> 1 + 1\n3\n")
    assert run(module) == (1, 1)
