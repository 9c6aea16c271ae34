"""The API key from Secret Manager by name, read with Google's own client from a service that the tests start."""

import logging
import pickle

import grpc
import pytest
from apache_beam.internal import pickler
from google.auth.exceptions import DefaultCredentialsError
from support.servers.secretmanager import SECRET, secret_manager

from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.reads.lookup import LookUp, LookupTalonOne
from beam_talonone.transforms.runtime import secrets
from beam_talonone.transforms.runtime.engines import (
    EngineConfig,
    close_engine,
    engine_config,
    engine_for,
    key_source,
    read_key,
)
from beam_talonone.transforms.sink.write import WriteToTalonOne
from beam_talonone.transforms.sink.write_steps import SendLanes

KEY = "secret-key-77ab10"
ENV = "SOME_API_KEY"
URL = "http://127.0.0.1:9"


@pytest.fixture
def fake(monkeypatch):
    with secret_manager(KEY) as made:
        monkeypatch.setenv(secrets.EMULATOR, made.host)
        yield made


@pytest.mark.parametrize(
    ("name", "expected"),
    [(SECRET, f"{SECRET}/versions/latest"), (f"{SECRET}/versions/1", f"{SECRET}/versions/1")],
)
def test_the_key_is_read_by_name(fake, name, expected):
    assert read_key(ENV, name) == KEY
    assert fake.reads == [expected]


def test_the_latest_version_is_read_unless_one_is_named(fake):
    fake.add("another")
    assert read_key(ENV, SECRET) == "another"
    assert read_key(ENV, f"{SECRET}/versions/1") == KEY


def test_a_secret_goes_before_the_variable(fake, monkeypatch):
    monkeypatch.setenv(ENV, "from-the-variable")
    assert read_key(ENV, SECRET) == KEY
    assert read_key(ENV) == "from-the-variable"
    assert len(fake.reads) == 1


@pytest.mark.parametrize("payload", [f"{KEY}\n", f"  {KEY}\r\n"])
def test_what_stands_around_a_key_is_no_part_of_it(fake, payload):
    fake.add(payload)
    assert read_key(ENV, SECRET) == KEY


@pytest.mark.parametrize("scheme", ["ApiKey-v1", "ManagementKey-v1", "Bearer"])
def test_a_key_that_is_copied_with_its_scheme_is_told(fake, scheme):
    fake.add(f"{scheme} {KEY}")
    with pytest.raises(ConfigurationError, match=f"{SECRET} begins with {scheme}: give the key alone$"):
        read_key(ENV, SECRET)


@pytest.mark.parametrize("payload", ["", " \n", "two words", "kéy", b"\xff\xfe", "a\nb", "a\x00b"])
def test_what_is_no_key_is_refused_and_not_shown(fake, payload):
    fake.add(payload)
    with pytest.raises(ConfigurationError) as raised:
        read_key(ENV, SECRET)
    assert SECRET in str(raised.value)
    assert payload == "" or str(payload) not in str(raised.value)


def missing(fake):
    fake.secrets.clear()


def denied(fake):
    fake.denied.add(SECRET)


def disabled(fake):
    fake.secrets[SECRET][0].enabled = False


def unauthenticated(fake):
    fake.refuses = grpc.StatusCode.UNAUTHENTICATED


def broken(fake):
    fake.refuses = grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("spoil", "kind", "says"),
    [
        (missing, ConfigurationError, "there is no such secret, or no such version"),
        (denied, ConfigurationError, "grant roles/secretmanager.secretAccessor"),
        (disabled, ConfigurationError, "disabled or destroyed"),
        (unauthenticated, ConfigurationError, "gcloud auth application-default login"),
        (broken, StopRun, "cannot be read"),
    ],
)
def test_what_is_wrong_is_told_with_the_secret_and_the_option(fake, spoil, kind, says):
    spoil(fake)
    with pytest.raises(kind) as raised:
        read_key(ENV, SECRET)
    message = str(raised.value)
    assert message.startswith(f"--api-key-secret {SECRET}/versions/latest: ")
    assert says in message
    assert "\n" not in message


def test_a_passing_failure_is_tried_again(fake):
    fake.refuses, fake.times = grpc.StatusCode.UNAVAILABLE, 2
    assert read_key(ENV, SECRET) == KEY
    assert len(fake.reads) == 3


@pytest.mark.parametrize("silent", [True, False])
def test_a_service_that_does_not_answer_is_given_up(fake, monkeypatch, silent):
    monkeypatch.setattr(secrets, "READ_WITHIN", 1.0)
    if silent:
        fake.answers.clear()
    else:
        fake.refuses = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(StopRun, match="Secret Manager cannot be read"):
        read_key(ENV, SECRET)


def test_without_credentials(monkeypatch):
    def none_there(*_, **__):
        raise DefaultCredentialsError("Your default credentials were not found.")

    monkeypatch.delenv(secrets.EMULATOR, raising=False)
    monkeypatch.setattr("google.auth.default", none_there)
    with pytest.raises(ConfigurationError, match=r"no Google credentials that work.*were not found"):
        read_key(ENV, SECRET)


def test_no_logger_tells_the_key(fake, caplog):
    """Google's client logs whole answers where its loggers are at DEBUG."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="google")
    logging.getLogger("google").addHandler(caplog.handler)
    try:
        assert read_key(ENV, SECRET) == KEY
    finally:
        logging.getLogger("google").removeHandler(caplog.handler)
    assert [record for record in caplog.records if "Received response" in record.getMessage()] == []
    assert all(KEY not in str(record.__dict__) for record in caplog.records)


@pytest.mark.parametrize(
    "name", ["", "talonone", f"{SECRET}/", f"{SECRET}/versions/", f"/{SECRET}", f"{SECRET}\n", KEY]
)
def test_a_name_that_cannot_be_is_refused_where_the_pipeline_is_built(fake, name):
    with pytest.raises(ConfigurationError, match="api_key_secret takes projects/P/secrets/S") as raised:
        engine_config(URL, ENV, 10.0, 1, 1.0, name)
    assert KEY not in str(raised.value)
    assert fake.reads == []


def test_the_engine_reads_it_once_and_can_read_it_again(fake):
    config = EngineConfig(EngineSettings(URL), ENV, SECRET)
    try:
        assert engine_for(config) is engine_for(config)
        assert len(fake.reads) == 1
    finally:
        close_engine(config)
    fake.add("another")
    again = key_source(ENV, SECRET).read
    assert again is not None
    assert again() == "another"
    assert key_source(ENV).read is None, "the environment of a process does not change"


@pytest.mark.parametrize(
    ("in_code", "says"),
    [
        (False, f"no API key: set the environment variable {ENV}, or name a secret with --api-key-secret"),
        (
            True,
            f"no API key: set the environment variable {ENV} where the step runs, or name a secret with"
            " api_key_secret",
        ),
    ],
)
def test_without_a_key_the_words_are_those_of_who_reads_them(monkeypatch, in_code, says):
    monkeypatch.delenv(ENV, raising=False)
    with pytest.raises(ConfigurationError) as raised:
        read_key(ENV, in_code=in_code)
    assert str(raised.value) == says


@pytest.mark.parametrize("key", ["f0e1d2c3b4a5968778695a4b3c2d1e0f", "A1B2C3D4E5F60718293A4B5C6D7E", "Secret_9f8e"])
def test_a_key_that_was_given_for_a_name_is_not_shown(key):
    with pytest.raises(ConfigurationError) as raised:
        read_key(key, in_code=True)
    assert key not in str(raised.value)
    assert "the environment variable that api_key_env names" in str(raised.value)


def test_a_step_that_has_no_key_names_its_arguments(fake, monkeypatch):
    monkeypatch.delenv(ENV, raising=False)
    config = engine_config(URL, ENV, 10.0, 1, 1.0)
    with pytest.raises(ConfigurationError, match=r"or name a secret with api_key_secret$"):
        engine_for(config)
    with pytest.raises(ConfigurationError, match=r"or name a secret with --api-key-secret$"):
        engine_for(EngineConfig(EngineSettings(URL, 10.0, 1, 1.0), ENV))
    fake.add("two words")
    with pytest.raises(ConfigurationError, match=f"^api_key_secret {SECRET} does not hold an API key"):
        engine_for(engine_config(URL, ENV, 10.0, 1, 1.0, SECRET))
    assert key_source(ENV, SECRET, in_code=True).name == f"api_key_secret {SECRET}"


@pytest.mark.parametrize("step", [SendLanes, LookUp])
def test_workers_read_it_in_setup_and_no_step_holds_it(fake, step):
    config = EngineConfig(EngineSettings(URL), ENV, SECRET)
    made = (
        SendLanes(config, None, "s", "j")
        if step is SendLanes
        else LookUp("get_coupons", None, config, "s", "j", BuildOptions(), AS_USUAL)
    )
    try:
        for dump in (pickler.dumps, pickle.dumps):
            dump(made)
        assert fake.reads == []
        made.setup()
        assert len(fake.reads) == 1
        dumped = pickle.dumps(made)
        assert SECRET.encode() in dumped
        assert KEY.encode() not in dumped
    finally:
        close_engine(config)


@pytest.mark.parametrize(
    "make",
    [
        lambda: WriteToTalonOne("orders", base_url=URL, api_key_secret=SECRET),
        lambda: LookupTalonOne("get_customer_session", base_url=URL, api_key_secret=SECRET),
    ],
)
def test_building_a_pipeline_reads_nothing(fake, make):
    assert make()._config == EngineConfig(EngineSettings(URL), api_key_secret=SECRET)
    assert fake.reads == []
