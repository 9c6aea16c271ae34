"""One engine for a process and its settings: made once, again after a failure, and closed."""

from types import SimpleNamespace

import pytest

from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.runtime import engines
from beam_talonone.transforms.runtime.engines import EngineConfig, close_engine, deduplication_cache_for, engine_for
from beam_talonone.transforms.runtime.process_registry import Kind

CONFIG = EngineConfig(EngineSettings("http://127.0.0.1:1", rate=10.0))
OTHER = EngineConfig(EngineSettings("http://127.0.0.1:1", rate=20.0))


@pytest.fixture
def made(monkeypatch):
    """The engines that are made, in place of real ones."""
    engines_made = []

    def make(config):
        engine = SimpleNamespace(failure=None, worked=False, closed=0, accepted=False)
        engine.was_accepted_before = lambda: setattr(engine, "accepted", True)
        engines_made.append(engine)
        return engine

    def close(engine):
        engine.closed += 1

    monkeypatch.setattr(engines, "ENGINES", Kind("engine", close))
    monkeypatch.setattr(engines, "make_engine", make)
    yield engines_made
    for config in (CONFIG, OTHER):
        close_engine(config)


def test_each_settings_have_one_engine(made):
    assert engine_for(CONFIG) is engine_for(CONFIG)
    assert engine_for(OTHER) is not engine_for(CONFIG)
    assert len(made) == 2


def test_a_closed_engine_is_made_anew(made):
    first = engine_for(CONFIG)
    close_engine(CONFIG)
    close_engine(CONFIG)
    assert first.closed == 1
    assert engine_for(CONFIG) is not first


@pytest.mark.parametrize("worked", [True, False])
def test_a_failed_engine_is_closed_and_its_successor_inherits_that_the_key_was_accepted(made, worked):
    first = engine_for(CONFIG)
    first.failure, first.worked = RuntimeError("the API is down"), worked
    second = engine_for(CONFIG)
    assert second is not first
    assert first.closed == 1
    assert second.accepted is worked
    assert engine_for(CONFIG) is second


def test_an_engine_that_cannot_be_made_leaves_nothing_behind(made, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(engines, "make_engine", lambda config: (_ for _ in ()).throw(ConfigurationError("no key")))
        with pytest.raises(ConfigurationError, match="no key"):
            engine_for(CONFIG)
    assert engine_for(CONFIG) is made[0]


def test_the_deduplication_cache_of_a_deployment_outlives_engines(made):
    engine_for(CONFIG)
    cache = deduplication_cache_for(CONFIG.settings.base_url)
    close_engine(CONFIG)
    assert deduplication_cache_for(CONFIG.settings.base_url) is cache
    assert deduplication_cache_for("http://127.0.0.1:2") is not cache


def test_a_rate_service_is_closed_when_its_engine_cannot_be_made(monkeypatch):
    service = SimpleNamespace(closed=0)
    service.close = lambda: setattr(service, "closed", service.closed + 1)

    def refuse(*given, **more):
        raise ConfigurationError("no way to the API")

    monkeypatch.setenv("TALONONE_API_KEY", "a-key")
    monkeypatch.setattr(engines, "rate_service", lambda config: service)
    monkeypatch.setattr(engines, "Engine", refuse)
    with pytest.raises(ConfigurationError, match="no way to the API"):
        engines.make_engine(CONFIG)
    assert service.closed == 1
