"""One engine for a process and its settings: all steps of a pipeline that send share one rate."""

import os
import threading
from dataclasses import dataclass

from beam_talonone.talonone.engine import Engine, EngineSettings
from beam_talonone.talonone.errors import ConfigurationError

DEFAULT_KEY_ENV = "TALONONE_API_KEY"


@dataclass(frozen=True)
class EngineConfig:
    """What a worker needs to make an engine. It travels in graphs, so it names the key and never holds it."""

    settings: EngineSettings
    api_key_env: str = DEFAULT_KEY_ENV


_engines: dict[EngineConfig, Engine] = {}
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


def close_engine(config: EngineConfig) -> None:
    """End this process's engine for `config`, if there is one."""
    with _lock:
        engine = _engines.pop(config, None)
    if engine is not None:
        engine.close()
