"""The commands that may follow a run."""

import json
import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions, SendingOptions
from beam_talonone.pipelines.terminal.next_commands import next_commands
from beam_talonone.schemas.decoding.account_attributes import AccountAttributes
from beam_talonone.talonone.http.client_choice import HttpSettings
from beam_talonone.talonone.http.tls import Tls

URL = "https://shop.talon.one"
COMMANDS = ("backfill", "replay", "verify", "dead-letters")


def options(folder, command="backfill", secret=None, **more):
    selected = InputOptions({"orders": ("a b.jsonl", "c.jsonl"), "events": "e.jsonl"}, **more)
    return BackfillOptions(selected, SendingOptions(URL, api_key_secret=secret), folder / "out", command=command)


def report(dead=0, applied=5, **more):
    return {"kinds": {"orders": {"dead_lettered": dead, "applied": applied}}, "remaining": 0, **more}


AGAIN = "to send them again, corrected"


class Named:
    """A mapping of which only the name counts."""

    table = None
    fingerprint = "f"

    def __init__(self, name):
        self.name = name


def said(options_, report_, *, commands=COMMANDS, replayable=True, environment=None, **more):
    """What each line is for, with the words of its command."""
    environment = {"TALONONE_BASE_URL": URL} if environment is None else environment
    lines = next_commands(options_, report_, commands, replayable=replayable, environment=environment, **more)
    parts = [line.split(": beam-talonone ", 1) for line in lines]
    return {what: shlex.split(command) for what, command in parts}


def test_after_a_good_end_the_comparison(tmp_path):
    assert said(options(tmp_path), report()) == {
        "to compare Talon.One with the input": [
            "verify", "--orders", "a b.jsonl", "--orders", "c.jsonl", "--output", f"{tmp_path}/out-verify",
        ]
    }  # fmt: skip


def test_after_dead_letters_looking_and_sending_again(tmp_path):
    commands = said(options(tmp_path, mapping=Named("my map.yaml")), report(dead=1))
    assert commands["to look at the dead letters"] == ["dead-letters", f"{tmp_path}/out"]
    assert commands["to send them again, corrected"] == [
        "replay", f"{tmp_path}/out/dead-letters/*.jsonl", "--output", f"{tmp_path}/out-replay",
        "--mapping", "my map.yaml",
    ]  # fmt: skip
    assert commands["to compare Talon.One with the input"][-4:-2] == ["--mapping", "my map.yaml"]


def test_records_are_sent_again_as_the_same_requests(tmp_path):
    words = said(options(tmp_path, events_api="v3", profile_mode="bulk", unknown_fields="ignore"), report(dead=1))
    assert words["to send them again, corrected"][-4:] == ["--unknown-fields", "ignore", "--events-api", "v3"]


def test_a_command_that_this_version_lacks_is_not_named(tmp_path):
    assert "to look at the dead letters" not in said(options(tmp_path), report(dead=1), commands=("replay",))


def test_the_deployment_is_named_where_the_environment_does_not(tmp_path):
    secret = "projects/p/secrets/s"
    for words in said(options(tmp_path, secret=secret), report(dead=1), environment={}).values():
        if words[0] != "dead-letters":
            assert words[words.index("--base-url") + 1] == URL
            assert words[words.index("--api-key-secret") + 1] == secret


def test_what_shapes_the_records_shapes_the_comparison(tmp_path):
    more = {
        "format": "csv", "assume_timezone": "Europe/Berlin", "since": datetime(2026, 5, 1, tzinfo=UTC),
        "joins": {"items": ("i1.csv", "i2.csv")}, "unknown_fields": "ignore",
    }  # fmt: skip
    words = said(options(tmp_path, **more), report())["to compare Talon.One with the input"]
    text = shlex.join(words)
    assert "--join items=i1.csv --join items=i2.csv --format csv --assume-timezone Europe/Berlin" in text
    assert "--unknown-fields ignore --since 2026-05-01T00:00:00+00:00" in text


@pytest.mark.parametrize(
    ("changes", "of_report", "replayable"),
    [({"command": "replay"}, {}, True), ({}, {"applied": 0}, True), ({}, {"remaining": 5}, True), ({}, {}, False)],
    ids=["replay", "nothing applied", "limit", "demo"],
)
def test_when_there_is_nothing_to_compare(tmp_path, changes, of_report, replayable):
    assert said(options(tmp_path, **changes), report(**of_report), replayable=replayable) == {}


def test_a_dry_run_is_not_compared_and_says_what_it_was(tmp_path):
    run = options(tmp_path)
    dry = replace(run, input=replace(run.input, dry=True))
    assert next_commands(dry, report(), COMMANDS, replayable=True, environment={}) == [
        "this was a dry run: nothing was changed in Talon.One"
    ]


def test_the_attributes_the_connection_and_the_pace_are_named(tmp_path):
    account = AccountAttributes({}, drop=True, path="my attributes.txt")
    run = options(tmp_path, attributes=account, results=True)
    http = HttpSettings("httpx", Tls("client.pem", "ca.pem"), insecure=True)
    run = replace(run, sending=replace(run.sending, rate=20.0, rate_service="limits:8081", http=http))
    for words in (said(run, report(dead=1))[what] for what in (AGAIN, "to compare Talon.One with the input")):
        text = shlex.join(words)
        assert "--attributes 'my attributes.txt' --unknown-attributes drop" in text
        assert (
            "--client-cert client.pem --ca-bundle ca.pem --http-client httpx --rate 20 --rate-service limits" in text
        )
        assert "--insecure" in text
        assert ("--results" in text) == (words[0] == "replay")


def letter(**more):
    return {
        "kind": "orders", "record": {"order_id": "1"}, "source": {"file": "a.jsonl", "position": 1},
        "stage": "validate", "reason": "missing_field", **more,
    }  # fmt: skip


MADE = letter(source={"file": "a.jsonl", "position": 1, "part": "orders/0/0"})
PLAIN = letter()
UNREADABLE = letter(record=None, stage="decode", reason="unreadable_file")
NOT_JSON = letter(record="{", stage="decode", reason="not_json")
ALTERED = letter(record="{", stage="decode", reason="not_json", altered=True)


@pytest.mark.parametrize(
    ("letters", "mapping", "expected"),
    [
        ([MADE], "m.yaml", {AGAIN: "m.yaml"}),
        ([MADE, NOT_JSON], "m.yaml", {AGAIN: "m.yaml"}),
        ([NOT_JSON], "m.yaml", {AGAIN: "m.yaml"}),
        ([NOT_JSON, ALTERED], None, {AGAIN: None}),
        ([MADE], None, {AGAIN: "MAPPING"}),
        ([PLAIN], "m.yaml", {AGAIN: None}),
        ([PLAIN, ALTERED], "m.yaml", {AGAIN: None}),
        ([PLAIN, NOT_JSON], None, {AGAIN: None}),
        (
            [PLAIN, MADE],
            "m.yaml",
            {
                "to send those of a mapping again, corrected": "m.yaml",
                "to send those that no mapping made again, corrected": None,
            },
        ),
        ([UNREADABLE], None, {}),
    ],
)
def test_a_replay_has_the_mapping_that_its_dead_letters_need(tmp_path, letters, mapping, expected):
    run = options(tmp_path, command="replay", mapping=None if mapping is None else Named(mapping))
    folder = run.output / "dead-letters"
    folder.mkdir(parents=True)
    (folder / "input.jsonl").write_text("".join(json.dumps(line) + "\n" for line in letters))
    commands = said(run, report(dead=1))
    del commands["to look at the dead letters"]
    named = {what: words[words.index("--mapping") + 1] if "--mapping" in words else None
             for what, words in commands.items()}  # fmt: skip
    assert named == expected


def test_documents_of_a_preset_are_sent_with_its_mapping(tmp_path):
    run = options(tmp_path)
    (run.output / "dead-letters").mkdir(parents=True)
    line = letter(record={"id": 1, "line_items": [], "financial_status": "paid"}, reason="misnamed_field")
    (run.output / "dead-letters" / "input.jsonl").write_text(json.dumps(line) + "\n")
    typed = ["backfill", "--orders", "a b.jsonl", "--output", str(run.output), "--yes"]
    commands = said(run, report(dead=1), typed=typed)
    assert commands["orders look like documents of Shopify: begin again with --mapping shopify"] == [
        "backfill", "--orders", "a b.jsonl", "--output", f"{tmp_path}/out-mapped", "--mapping", "shopify",
    ]  # fmt: skip


def test_after_a_limit_the_command_that_goes_on(tmp_path):
    typed = ["backfill", "--orders", "a b.jsonl", "--output", "out"]
    for limited in (["--limit", "5"], ["--limit=5"], ["--resume", "--limit", "5"]):
        commands = said(options(tmp_path), report(remaining=3), typed=[*typed, *limited, "--", "--limit=5"])
        assert commands == {"to send the rest": [*typed, "--resume", "--", "--limit=5"]}, "without --limit"
