"""--attributes and --unknown-attributes of check, from the file to the exit code."""

import json

import pytest

from beam_talonone.pipelines.cli.main import run

PROFILE = {"customer_id": "c", "event_time": "2026-05-01T12:00:00Z", "attributes": {"City": "Bern", "Town": "Bern"}}


@pytest.fixture
def check(tmp_path, capsys):
    """Check one profile against a list of attributes; returns the exit code, the output and what was said."""
    records, listed = tmp_path / "profiles.jsonl", tmp_path / "attributes.txt"
    records.write_text(json.dumps(PROFILE))
    listed.write_text("CustomerProfile.City\n")

    def check_with(*words):
        words = [str(listed) if word == "LIST" else word for word in words]
        code = run(["check", "--profiles", str(records), "--show", "1", *words])
        return code, *capsys.readouterr()

    return check_with


def attributes_in(shown):
    return json.loads(shown)["body"]["customerProfiles"][0]["attributes"]


def test_without_a_list_nothing_is_checked(check):
    code, shown, _ = check()
    assert code == 0
    assert attributes_in(shown) == PROFILE["attributes"]


def test_an_attribute_that_the_account_lacks_is_a_dead_letter(check):
    code, shown, output = check("--attributes", "LIST")
    assert (code, shown) == (3, "")
    assert "profiles.jsonl:1: the account lacks CustomerProfile.Town" in output


def test_or_is_left_out(check):
    code, shown, output = check("--attributes", "LIST", "--unknown-attributes", "drop")
    assert code == 0
    assert attributes_in(shown) == {"City": "Bern"}
    assert "CustomerProfile.Town" in output


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--unknown-attributes", "drop"), "--unknown-attributes goes with --attributes"),
        (("--attributes", "missing.txt"), "--attributes missing.txt cannot be read: the file does not exist"),
        (("--attributes", "."), "--attributes . cannot be read: this is a folder, not a file"),
    ],
)
def test_what_cannot_be_used_is_one_line(check, words, why):
    code, shown, output = check(*words)
    assert (code, shown) == (2, "")
    assert output == f"beam-talonone: {why}{', which lists those of the account' if words[0][2] == 'u' else ''}\n"


@pytest.mark.parametrize("text", ['{"data": null}', '{"data": 5}', '{"data": {}}', "{}", '{"data": "CartItem.a"}'])
def test_a_list_of_another_shape_is_one_line(check, tmp_path, text):
    path = tmp_path / "attributes.json"
    path.write_text(text)
    code, shown, output = check("--attributes", str(path))
    assert (code, shown) == (2, "")
    assert output == (
        f"beam-talonone: --attributes {path}: expected an array of attributes, or an object with one in `data`\n"
    )
