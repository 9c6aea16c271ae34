"""One engine for a process and its settings: all steps of a pipeline that send share one rate."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from beam_talonone.talonone.engine.deduplication import DeduplicationCache
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.address import check_base_url, in_clear
from beam_talonone.talonone.http.api_key import KeySource, check_secret_name
from beam_talonone.talonone.http.client_choice import CLIENTS, DEFAULT, HttpSettings, route_to
from beam_talonone.talonone.http.tls import Tls
from beam_talonone.talonone.telemetry.redact import keep_secret
from beam_talonone.transforms.runtime.arguments import (
    file_name,
    flag,
    number,
    one_of,
    shown_variable,
    text,
    variable,
    whole,
)
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind
from beam_talonone.transforms.runtime.rate_service import EnvoyService, NotReached, check_address
from beam_talonone.transforms.runtime.secrets import read_secret

DEFAULT_KEY_ENV = "TALONONE_API_KEY"
BASE_URL_ENV = "TALONONE_BASE_URL"
SECRET_ARGUMENT, SECRET_OPTION = "api_key_secret", "--api-key-secret"
"""The setting that names the secret with the key: in code (Python or YAML), and on the command line."""


@dataclass(frozen=True)
class EngineConfig:
    """The settings from which a worker makes an engine. Graphs contain them, so they name the key, and never hold it.

    With a `rate_service` (HOST:PORT), many processes share one rate, and the rate of the settings is the most that
    this process may use of it. `among` is the number of these processes, None if it is unknown.

    >>> config = EngineConfig(EngineSettings("https://yourcompany.europe-west1.talon.one", rate=50.0))
    >>> config.api_key_env
    'TALONONE_API_KEY'
    """

    settings: EngineSettings
    api_key_env: str = DEFAULT_KEY_ENV
    api_key_secret: str | None = None
    rate_service: str | None = None
    among: int | None = None
    in_code: bool = field(default=False, compare=False)
    """True if the settings are arguments of a step, and not options of the command line. Messages name them so."""


def engine_config(
    base_url: str | None,
    api_key_env: str,
    rate: float,
    concurrency: int,
    give_up_after: float,
    api_key_secret: str | None = None,
    rate_service: str | None = None,
    http: HttpSettings = DEFAULT,
) -> EngineConfig:
    """The checked settings of a step. Without `base_url`, the URL is that of TALONONE_BASE_URL.

    Raises ConfigurationError that names the argument.
    """
    if api_key_secret is not None:
        check_secret_name(text("api_key_secret", api_key_secret), "api_key_secret")
    if rate_service is not None:
        check_address(text("rate_service", rate_service), "rate_service")
    settings = EngineSettings(
        _base_url(base_url),
        number("rate", rate),
        whole("concurrency", concurrency),
        number("give_up_after", give_up_after),
        http=http,
        in_code=True,
    )
    route_to(settings.base_url, http, in_code=True)
    key_names = variable("api_key_env", api_key_env), api_key_secret
    return EngineConfig(settings, *key_names, rate_service, in_code=True)


def http_settings(http_client: Any, client_cert: str | None, ca_bundle: str | None, insecure: Any) -> HttpSettings:
    """The checked connection settings of a step. The files need to exist only where the step runs.

    Raises ConfigurationError.
    """
    one_of("http_client", http_client, CLIENTS)
    for name, path in (("client_cert", client_cert), ("ca_bundle", ca_bundle)):
        if path is not None:
            file_name(name, path)
    return HttpSettings(http_client, Tls(client_cert, ca_bundle), flag("insecure", insecure))


def check_here(config: EngineConfig, notice: Callable[[str], None], *, elsewhere: bool = False) -> None:
    """Check the connection to the API, and call `notice` with each line for the user. Raises ConfigurationError.

    If the requests leave from `elsewhere`, the files and the proxies are those of the workers, and are not checked.
    """
    settings = config.settings
    if elsewhere:
        if in_clear(settings.base_url):
            notice(f"{settings.base_url} is not https: the API key travels in clear text")
        return
    for line in route_to(settings.base_url, settings.http, in_code=config.in_code).notices:
        notice(line)
    if settings.base_url.startswith("https:"):
        settings.http.tls.context()


def _base_url(argument: str | None) -> str:
    """The base URL of a step. The error names the setting that a wrong one comes from."""
    name, url = (BASE_URL_ENV, os.environ.get(BASE_URL_ENV)) if argument is None else ("base_url", argument)
    if url is None or (argument is None and not url):
        raise ConfigurationError(f"no base URL: give base_url or set {BASE_URL_ENV}")
    text(name, url)
    try:
        return check_base_url(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def display_data(config: EngineConfig) -> dict[str, Any]:
    """The settings that Beam shows beside a step, without those of the key."""
    settings = config.settings
    shown = {
        "base_url": settings.base_url,
        "rate": settings.rate,
        "concurrency": settings.concurrency,
        "give_up_after": settings.give_up_after,
    }
    return shown if config.rate_service is None else {**shown, "rate_service": config.rate_service}


ENGINES = Kind[EngineConfig, Engine]("engine", Engine.close)
DEDUPLICATION_CACHES = Kind[str, DeduplicationCache]("deduplication cache")
"""By the base URL of the deployment."""


SCHEMES = ("ApiKey-v1", "ManagementKey-v1", "Bearer")
"""What stands before a key in the header of a request, as people copy it from examples."""


def read_key(env: str, secret: str | None = None, *, in_code: bool = False) -> str:
    """The API key, from `secret` of Secret Manager if it is set, else from the environment variable `env`.

    With `in_code`, errors name the arguments of a step, else the options of a command. Raises ConfigurationError if
    there is no key, or no permission to read it, and StopRun if it cannot be read at the moment.
    """
    option = SECRET_ARGUMENT if in_code else SECRET_OPTION
    if secret is None:
        held_by = shown_variable("api_key_env", env)
        key = os.environ.get(env, "").strip()
        if not key:
            where = " where the step runs" if in_code else ""
            raise ConfigurationError(f"no API key: set {held_by}{where}, or name a secret with {option}")
    else:
        held_by, key = f"{option} {secret}", read_secret(secret, option).decode("utf-8", "replace").strip()
        if not key:
            raise ConfigurationError(f"no API key: {held_by} is empty")
    scheme, _, rest = key.partition(" ")
    if rest and scheme in SCHEMES:
        raise ConfigurationError(f"{held_by} begins with {scheme}: give the key alone")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(f"{held_by} does not hold an API key: it has odd characters")
    return keep_secret(key)


def key_source(env: str, secret: str | None = None, *, in_code: bool = False) -> KeySource:
    """The source from which an engine reads its key again when the API refuses the key: only a secret can change."""
    if secret is None:
        return KeySource(env)
    option = SECRET_ARGUMENT if in_code else SECRET_OPTION
    return KeySource(f"{option} {secret}", partial(read_key, env, secret, in_code=in_code))


def rate_service(config: EngineConfig) -> EnvoyService | None:
    """A connection to the service that grants the shared rate, or None without one. The caller closes it.

    Raises ConfigurationError if the service does not answer, or does not know the deployment.
    """
    if config.rate_service is None:
        return None
    setting = "rate_service" if config.in_code else "--rate-service"
    return EnvoyService(config.rate_service, config.settings.base_url, config.among, setting)


def check_rate_service(config: EngineConfig, elsewhere: Callable[[str], None] | None = None) -> None:
    """Check that the rate service grants a rate. Raises ConfigurationError.

    If workers in another network send the requests, pass `elsewhere`: an unreachable service is then no error, and
    `elsewhere` is called with a line about it.
    """
    try:
        service = rate_service(config)
    except NotReached as error:
        if elsewhere is None:
            raise
        elsewhere(f"not from here: {error}; the workers ask again")
        return
    if service is not None:
        service.close()


def make_engine(config: EngineConfig) -> Engine:
    """A new engine. The caller closes it.

    Raises ConfigurationError if there is no key, or if the rate service grants no rate.
    """
    names = config.api_key_env, config.api_key_secret
    key, source = read_key(*names, in_code=config.in_code), key_source(*names, in_code=config.in_code)
    service = rate_service(config)
    try:
        return Engine(config.settings, key, key_source=source, rate_service=service)
    except BaseException:
        if service is not None:
            service.close()
        raise


def engine_for(config: EngineConfig) -> Engine:
    """This process's engine for `config`. It is made by the first call, and by the first call after it has failed.

    Raises ConfigurationError as `make_engine` does.
    """
    with ENGINES.lock:
        failed = PROCESS.find(ENGINES, config)
        if failed is None or failed.failure is None:
            return PROCESS.obtain(ENGINES, config, lambda: make_engine(config))
        PROCESS.close(ENGINES, config)  # the cause may have gone: try again
        engine = PROCESS.obtain(ENGINES, config, lambda: make_engine(config))
        if failed.worked:
            engine.was_accepted_before()
        return engine


def deduplication_cache_for(base_url: str) -> DeduplicationCache:
    """This process's cache of the requests to a deployment that must not be sent twice. It outlives the engines."""
    return PROCESS.obtain(DEDUPLICATION_CACHES, base_url, DeduplicationCache)


def close_engine(config: EngineConfig) -> None:
    """End this process's engine for `config`, if there is one."""
    PROCESS.close(ENGINES, config)
