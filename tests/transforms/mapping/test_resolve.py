"""What --mapping names: presets, files, Python functions."""

import sys

import pytest

from beam_talonone.transforms.mapping.errors import MappingFileError
from beam_talonone.transforms.mapping.mapping import FileMapping, FunctionMapping
from beam_talonone.transforms.mapping.resolve import preset_text, presets, resolve_mapping

MINE = "version: 1\nprofiles: {fields: {customer_id: id, event_time: at}}\n"


def test_presets_are_loaded_by_name():
    assert "shopify" in presets()
    for name in presets():
        assert isinstance(resolve_mapping(name), FileMapping)
        assert preset_text(name).startswith("#")


def test_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    assert resolve_mapping(str(path))({"id": 1, "at": "t"}).records[0].fields == {"customer_id": 1, "event_time": "t"}


def test_a_path_that_exists_is_that_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shopify").write_text(MINE)
    assert resolve_mapping("shopify")({"id": 1, "at": "t"}).records[0].kind == "profiles"


def test_a_function(tmp_path, monkeypatch):
    (tmp_path / "my_shop_maps.py").write_text("def orders(doc):\n    return [('events', doc)]\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    mapping = resolve_mapping("my_shop_maps:orders")
    assert isinstance(mapping, FunctionMapping)
    assert mapping({"a": 1}).records[0].fields == {"a": 1}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("shopfy", "no preset is called shopfy: did you mean shopify?; there are "),
        ("missing.yaml", "missing.yaml: no such mapping file"),
        ("no/such", "no/such: no such mapping file"),
        ("no_such_module_here:f", "no_such_module_here cannot be imported"),
        ("json:no_such", "json has no function no_such"),
        ("json:__name__", "json has no function __name__"),
        ("a" * 300, f"no preset is called {'a' * 300}"),
    ],
)
def test_what_cannot_be_resolved(given, message):
    with pytest.raises(MappingFileError) as raised:
        resolve_mapping(given)
    assert message in str(raised.value)


def test_a_fault_names_the_file_and_the_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace("customer_id", "customer"))
    with pytest.raises(MappingFileError) as raised:
        resolve_mapping(str(path))
    assert str(raised.value) == f"{path}:2: profiles: unknown field `customer`: did you mean customer_id?"


def test_a_file_in_another_encoding_names_the_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"version: 1\n# Gr\xf6\xdfe\n" + MINE.encode())
    with pytest.raises(MappingFileError) as raised:
        resolve_mapping(str(path))
    assert str(raised.value) == f"{path}:2: not UTF-8 text: save the file as UTF-8"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 300_000])
def test_files_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(MappingFileError, match=r"mine\.yaml"):
        resolve_mapping(str(path))
