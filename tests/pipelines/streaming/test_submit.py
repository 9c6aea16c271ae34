"""A stream handed over to Dataflow: what is checked before, and what is reported of the job. Nothing leaves here."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from apache_beam.options.pipeline_options import StandardOptions
from e2e.harness import KEY

from beam_talonone.pipelines.runners.runner import beam_options
from beam_talonone.pipelines.streaming import run, submit
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.submit import submit_stream
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.runtime import engines
from beam_talonone.transforms.runtime.rate_service import NotReached

SUBSCRIPTION, TOPIC = "projects/some-project/subscriptions/orders", "projects/some-project/topics/letters"
WORDS = (
    "--runner=DataflowRunner", "--no_auth", "--project=some-project", "--region=europe-west1", "--job_name=stream",
    "--temp_location=gs://some-bucket/temp", "--staging_location=gs://some-bucket/staging",
    "--sdk_container_image=image",
)  # fmt: skip


class Job:
    """A pipeline that is only noted, and the job that it becomes."""

    def __init__(self, has_job: bool = True) -> None:
        self.has_job, self.runs = has_job, 0
        self.built: list[Any] = []

    def create(self, options: StreamOptions, runner: Any, settings: Any) -> "Job":
        self.built.append((options, type(runner).__name__, settings.view_as(StandardOptions).streaming))
        return self

    def run(self) -> "Job":
        self.runs += 1
        return self

    def job_id(self) -> str:
        return "2026-11-29_01_02_03-4"


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Job:
    made = Job()
    monkeypatch.setattr(submit, "create_pipeline", made.create)
    return made


def options(**more: Any) -> StreamOptions:
    given = {"base_url": "https://api.example", "dead_letters": TOPIC, **more}
    return StreamOptions({"orders": (SUBSCRIPTION,)}, job="the-job", **given)


def test_an_option_of_this_machine_is_refused_before_anything_is_asked(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beam may look for its bucket for minutes."""
    monkeypatch.setattr(submit, "check_code", lambda settings: pytest.fail("it went on"))
    files = replace(options(), subscriptions={"files": (SUBSCRIPTION,)})
    with pytest.raises(ConfigurationError, match="--files reads files only in a stream on this machine"):
        submit_stream(files, beam_options(WORDS), lambda line: None)
    assert job.built == []


def test_a_job_is_started_and_left_to_run(job: Job) -> None:
    notices: list[str] = []
    wanted = options()
    submit_stream(wanted, beam_options(WORDS), notices.append)
    assert job.built == [(wanted, "DataflowRunner", True)]
    assert job.runs == 1
    assert notices == ["the job 2026-11-29_01_02_03-4 was started on Dataflow; `gcloud dataflow jobs drain` stops it"]


def test_tables_are_checked_before_a_job_is_started(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(submit, "check_tables", lambda letters, results, notice: checked.append((letters, results)))
    wanted = options(results="some-project:shop.results")
    job.has_job = False
    submit_stream(wanted, beam_options([word for word in WORDS if word != "--no_auth"]), pytest.fail)
    assert checked == [(TOPIC, "some-project:shop.results")]


def test_nothing_is_asked_of_bigquery_without_a_login(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "check_tables", pytest.fail)
    job.has_job = False
    submit_stream(options(results="some-project:shop.results"), beam_options(WORDS), pytest.fail)
    assert job.runs == 1


def test_a_template_has_no_job_to_report(job: Job) -> None:
    job.has_job = False
    notices: list[str] = []
    submit_stream(options(), beam_options(WORDS), notices.append)
    assert (job.runs, notices) == (1, [])


def test_a_key_in_clear_text_is_noticed(job: Job) -> None:
    notices: list[str] = []
    submit_stream(options(base_url="http://api.example"), beam_options(WORDS), notices.append)
    assert notices[0] == "http://api.example is not https: the API key travels in clear text"


def test_workers_without_the_code_are_refused(job: Job) -> None:
    with pytest.raises(ConfigurationError, match="the workers would not have the code of beam-talonone"):
        submit_stream(options(), beam_options(WORDS[:-1]), print)
    assert (job.built, job.runs) == ([], 0)


def test_a_rate_service_that_only_the_workers_reach_is_noticed(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(config: Any) -> Any:
        raise NotReached("rates:8081: it does not answer")

    notices: list[str] = []
    monkeypatch.setattr(engines, "rate_service", unreachable)
    submit_stream(options(rate_service="rates:8081"), beam_options(WORDS), notices.append)
    assert notices[0] == "not from here: rates:8081: it does not answer; the workers ask again"
    assert job.runs == 1


def test_a_rate_service_without_a_limit_is_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(config: Any) -> Any:
        raise ConfigurationError("rates:8081: the service knows no limit")

    monkeypatch.setattr(engines, "rate_service", unknown)
    with pytest.raises(ConfigurationError, match="knows no limit"):
        submit_stream(options(rate_service="rates:8081"), beam_options(WORDS), print)
    assert job.runs == 0


def test_missing_options_of_beam_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> Any:
        raise ValueError("Pipeline has validations errors: \nMissing required option: region.")

    monkeypatch.setattr(submit, "create_pipeline", refuse)
    with pytest.raises(ConfigurationError) as raised:
        submit_stream(options(), beam_options(WORDS), print)
    assert str(raised.value) == "--runner=DataflowRunner: Missing required option: region."


def test_the_runner_decides_where_a_stream_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    local = SimpleNamespace(run=lambda: started.append("here"))
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.setattr(run, "submit_stream", lambda *given: started.append("Dataflow"))
    monkeypatch.setattr(run, "StreamRun", lambda *given: local)
    assert run.run_stream(options(beam_args=WORDS)) == 0
    assert run.run_stream(options()) == 0
    assert started == ["Dataflow", "here"]
