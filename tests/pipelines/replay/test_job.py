"""A replay from its dead letters to its report, called as a function."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.staged_job import at, event, order, written

from beam_talonone.pipelines.backfill.job import JobRun
from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions, SendingOptions
from beam_talonone.pipelines.replay.changes import parse_change
from beam_talonone.pipelines.replay.job import PULLED, ReplayOptions, replay_job
from beam_talonone.pipelines.replay.selection import CHANGES_NOTHING_AMBIGUOUS, ReplaySelection
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state.store import Store

if TYPE_CHECKING:
    from e2e.harness import Simulator

Json = dict[str, Any]
Run = Callable[..., tuple[Json, list[str]]]


@pytest.fixture
def sending(api: "Simulator", monkeypatch: pytest.MonkeyPatch) -> SendingOptions:
    from e2e.harness import KEY

    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    return SendingOptions(api.url, rate=1000.0)


@pytest.fixture
def replay(sending: SendingOptions, tmp_path: Path) -> Run:
    """Replays the dead letters of a glob into one output folder; gives the report and the notices."""

    def run(glob: Path | str, **options: Any) -> tuple[Json, list[str]]:
        notices: list[str] = []
        selected = InputOptions({LETTERS: str(glob)})
        output = tmp_path / "replayed"
        return replay_job(ReplayOptions(selected, sending, output, **options), notices.append).run(), notices

    return run


def backfill(sending: SendingOptions, folder: Path, **kinds: list[Json]) -> Path:
    """Run a backfill; returns its output folder."""
    folder.mkdir()
    JobRun(BackfillOptions(InputOptions(written(folder, **kinds)), sending, folder / "out"), print).run()
    return folder / "out"


def dead_letter(record: Json, **more: Any) -> Json:
    return {
        "kind": "events", "record": record, "source": {"file": "events.jsonl", "position": 1}, "stage": "send",
        "reason": "refused", "detail": "", "job": "elsewhere", "failed_at": at(0), **more,
    }  # fmt: skip


def test_a_corrected_dead_letter_is_sent_and_noted_in_its_job(
    api: "Simulator", sending: SendingOptions, replay: Run, tmp_path: Path
) -> None:
    output = backfill(
        sending, tmp_path / "job", events=[event(1, attributes={"bad": 1}), event(2)], orders=[order("o1", 1)]
    )
    [path] = (output / "dead-letters").glob("slice-*.jsonl")
    path.write_text(path.read_text().replace('"bad"', '"good"'))
    report, notices = replay(path)
    assert report["kinds"]["events"]["applied"] == 1
    assert (report["unaccounted"], report["remaining"]) == (0, 0)
    assert notices == ["reading and checking the input"], "the job is beside its dead letters"
    bodies = [row["body"] for row in api.acted("track_event_v2")]
    assert [body["profileId"] for body in bodies] == ["c2", "c1"]
    assert bodies[1]["attributes"] == {"good": 1}
    again = replay_job(
        ReplayOptions(InputOptions({LETTERS: str(path)}), sending, tmp_path / "again"), notices.append
    ).run()
    assert again["kinds"]["events"]["duplicate"] == 1, "the job knows what its replay has applied"


def test_dead_letters_away_from_their_job_are_sent_with_a_notice(
    api: "Simulator", replay: Run, tmp_path: Path
) -> None:
    path = tmp_path / "moved.jsonl"
    path.write_text(json.dumps(dead_letter(event(1))) + "\n")
    report, notices = replay(path)
    assert report["kinds"]["events"]["applied"] == 1
    [lost] = [notice for notice in notices if "is not beside it" in notice]
    assert lost.startswith(f"the job of {path} is not beside it")
    assert len(api.acted("track_event_v2")) == 1


def test_altered_dead_letters_are_counted_and_not_sent(api: "Simulator", replay: Run, tmp_path: Path) -> None:
    path = tmp_path / "altered.jsonl"
    lines = [dead_letter(event(1), altered=True), dead_letter(event(2), altered=True), dead_letter(event(3))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report, notices = replay(path)
    assert report["reasons"] == {"events": {"altered_record": 2}}
    assert report["kinds"]["events"]["applied"] == 1
    [altered] = [notice for notice in notices if "altered_record" in notice]
    assert altered.startswith("2 dead letters do not hold the record as it came and are not sent")
    assert str(tmp_path / "replayed" / "dead-letters") in altered
    assert [row["body"]["profileId"] for row in api.acted("track_event_v2")] == ["c3"]


def test_the_dead_letters_that_are_not_selected_are_counted_and_stay(
    api: "Simulator", sending: SendingOptions, tmp_path: Path
) -> None:
    path = tmp_path / "letters.jsonl"
    lines = [
        dead_letter(event(1)),
        dead_letter(event(2), reason="not_found"),
        dead_letter(order("o3", 3), kind="orders"),
        dead_letter(event(4, attributes="none")),
        dead_letter(event(5), reason="retries_exhausted", first_sent_at=at(1), key={"attempt": "", "generation": 0}),
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = path.read_bytes()
    selection = ReplaySelection(("refused", "retries_exhausted"), ("events",), (parse_change("attributes.n=7"),))
    selected = InputOptions({LETTERS: str(path)}, replay_selection=selection)
    notices: list[str] = []
    options = ReplayOptions(selected, sending, tmp_path / "replayed")
    report = replay_job(options, notices.append).run()
    events = report["kinds"]["events"]
    assert (events["read"], events["applied"], events["filtered"], events["dead_lettered"]) == (4, 1, 2, 1)
    assert (report["kinds"]["orders"]["filtered"], report["unaccounted"]) == (1, 0)
    assert report["filtered_by"] == {
        "events": {"--only refused retries_exhausted": 1, CHANGES_NOTHING_AMBIGUOUS: 1},
        "orders": {"--kind events": 1},
    }
    assert report["selection"] == {
        "only": ["refused", "retries_exhausted"], "kind": ["events"], "set": ["/attributes/n=7"],
    }  # fmt: skip
    assert "1 dead letter stays in its file, left out by --kind events" in notices
    assert [row["body"]["attributes"] for row in api.acted("track_event_v2")] == [{"n": 7}]
    assert path.read_bytes() == before
    other = ReplayOptions(InputOptions({LETTERS: str(path)}), sending, tmp_path / "replayed", resume=True)
    with pytest.raises(ConfigurationError, match="--kind was"):
        replay_job(other, print).run()


def test_the_state_of_a_stream_decides_for_its_dead_letters(
    api: "Simulator", sending: SendingOptions, replay: Run, tmp_path: Path
) -> None:
    state, path = tmp_path / "state", tmp_path / "pulled.jsonl"
    state.mkdir()
    path.write_text(json.dumps(dead_letter(event(1))) + "\n")
    with pytest.raises(ConfigurationError, match=f"--state: there is no state of a stream in {state}"):
        replay(path, state=state)
    assert not (tmp_path / "replayed").exists()
    Store(state / "store.sqlite").close()
    (state / "stream.json").write_text(json.dumps({"--base-url": sending.base_url}))
    report, notices = replay(path, state=state)
    assert report["kinds"]["events"]["applied"] == 1
    assert not any("taken into account" in notice for notice in notices)
    again = replay_job(
        ReplayOptions(InputOptions({LETTERS: str(path)}), sending, tmp_path / "again", state=state), print
    ).run()
    assert again["kinds"]["events"]["duplicate"] == 1
    assert len(api.acted("track_event_v2")) == 1


def test_a_folder_with_pulled_dead_letters_of_another_replay_is_refused(
    sending: SendingOptions, tmp_path: Path
) -> None:
    output = tmp_path / "replayed"
    (output / PULLED).mkdir(parents=True)
    options = ReplayOptions(InputOptions({}), sending, output, subscription="projects/p/subscriptions/s")
    with pytest.raises(ConfigurationError, match=f"{output / PULLED} exists already: name another --output"):
        replay_job(options, print).run()


def test_the_options_of_a_resumed_replay_are_those_of_a_job_and_its_own(
    sending: SendingOptions, tmp_path: Path
) -> None:
    plain = ReplayOptions(InputOptions({LETTERS: "a"}), sending, tmp_path).fixed()
    assert (plain["DEAD_LETTERS_GLOB"], plain["--state"], plain["--base-url"]) == ("a", None, sending.base_url)
    pulled = ReplayOptions(
        InputOptions({LETTERS: "in/file"}), sending, tmp_path, subscription="projects/p/subscriptions/s",
        state=tmp_path / "x" / ".." / "state",
    ).fixed()  # fmt: skip
    assert pulled["DEAD_LETTERS_GLOB"] == "projects/p/subscriptions/s"
    assert pulled["--state"] == str(tmp_path / "state")
