"""One engine for a process and its settings: all steps of a pipeline that send share one rate."""

import os
import threading
from dataclasses import dataclass

from beam_talonone.talonone.engine import Engine, EngineSettings
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.once import Once
from beam_talonone.talonone.transport import check_base_url

DEFAULT_KEY_ENV = "TALONONE_API_KEY"


@dataclass(frozen=True)
class EngineConfig:
    """What a worker needs to make an engine. It travels in graphs, so it names the key and never holds it."""

    settings: EngineSettings
    api_key_env: str = DEFAULT_KEY_ENV


def engine_config(
    base_url: str | None, api_key_env: str, rate: float, concurrency: int, give_up_after: float
) -> EngineConfig:
    """The settings of a step, checked; without `base_url` that of TALONONE_BASE_URL. Raises ConfigurationError."""
    url = base_url or os.environ.get("TALONONE_BASE_URL")
    if not url:
        raise ConfigurationError("no base URL: give base_url or set TALONONE_BASE_URL")
    for name, value in (("rate", rate), ("concurrency", concurrency), ("give_up_after", give_up_after)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"{name} is a number, not {value!r}")
    if not rate > 0 or concurrency < 1:
        raise ConfigurationError("rate and concurrency must be above 0")
    return EngineConfig(EngineSettings(check_base_url(url), rate, concurrency, give_up_after), api_key_env)


_engines: dict[EngineConfig, Engine] = {}
_once: dict[str, Once] = {}
_lock = threading.Lock()


def read_key(env: str) -> str:
    """The API key from the environment variable `env`. Raises ConfigurationError when it holds none."""
    key = os.environ.get(env, "").strip()
    if not key:
        raise ConfigurationError(f"no API key: set the environment variable {env}")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(f"the environment variable {env} does not hold an API key: it has odd characters")
    return key


def engine_for(config: EngineConfig) -> Engine:
    """This process's engine for `config`, made when it is first asked for."""
    with _lock:
        engine = _engines.get(config)
        if engine is not None and engine.failure is not None:
            engine.close()  # what stopped it may be mended: another try begins anew
            engine = None
        if engine is None:
            engine = _engines[config] = Engine(config.settings, read_key(config.api_key_env))
        return engine


def once_for(base_url: str) -> Once:
    """What this process remembers of requests to a deployment that must not go twice, whatever becomes of engines."""
    with _lock:
        return _once.setdefault(base_url, Once())


def close_engine(config: EngineConfig) -> None:
    """End this process's engine for `config`, if there is one."""
    with _lock:
        engine = _engines.pop(config, None)
    if engine is not None:
        engine.close()
