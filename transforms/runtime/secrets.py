"""The API key from Google's Secret Manager, by the name of a secret.

Beam's own GcpSecret reads it too, but tells every failure the same way and without a deadline, and where Google's
loggers are at DEBUG the client logs the secret with it.
"""

import logging
import os
from typing import Any

from beam_talonone.talonone.errors import ConfigurationError, StopRun, TalonOneError
from beam_talonone.talonone.telemetry.error_text import error_text

EMULATOR = "SECRET_MANAGER_EMULATOR_HOST"
"""Environment variable: host:port of a service to read from instead of Google's, in plain text. For tests."""

READ_WITHIN = 10.0
"""Seconds for a reading, with its retries."""

ROLE = "roles/secretmanager.secretAccessor"


def read_secret(name: str, setting: str = "--api-key-secret") -> bytes:
    """The payload of the secret `name` (projects/P/secrets/S[/versions/V]), of its latest version unless it says one;
    `setting` is what gave the name, for errors.

    Raises ConfigurationError where somebody has to put something right, StopRun where it may work later.
    """
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    version = name if "/versions/" in name else f"{name}/versions/latest"
    try:
        return _payload(version)
    except RetryError as error:
        raise told(f"{setting} {version}", error.cause or error) from None
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise told(f"{setting} {version}", error) from None


def _payload(version: str) -> bytes:
    import grpc
    from google.api_core.exceptions import ResourceExhausted, ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    from google.cloud.secretmanager_v1.services.secret_manager_service import transports

    # at DEBUG it logs each answer, and the secret with it
    logging.getLogger(transports.SecretManagerServiceGrpcTransport.__module__).setLevel(logging.INFO)
    host = os.environ.get(EMULATOR)
    if host:
        transport = transports.SecretManagerServiceGrpcTransport(channel=grpc.insecure_channel(host))
        client: Any = SecretManagerServiceClient(transport=transport)
    else:
        client = SecretManagerServiceClient()
    again = Retry(
        if_exception_type(ServiceUnavailable, ResourceExhausted), initial=0.2, maximum=2.0, timeout=READ_WITHIN
    )
    with client:  # a channel that stays open does not survive a fork
        answer = client.access_secret_version(name=version, retry=again, timeout=READ_WITHIN)
    return bytes(answer.payload.data)


def told(where: str, error: Exception) -> TalonOneError:
    """What to say of `error`, met when the secret was read; `where` names it and the setting that it stands in."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    said = error_text(error, 300)
    match error:
        case exceptions.NotFound():
            return ConfigurationError(f"{where}: there is no such secret, or no such version of it ({said})")
        case exceptions.PermissionDenied():
            return ConfigurationError(f"{where}: no permission to read it; grant {ROLE} to who runs this ({said})")
        case exceptions.FailedPrecondition():
            return ConfigurationError(f"{where}: this version is disabled or destroyed; name another one ({said})")
        case exceptions.Unauthenticated() | GoogleAuthError():
            return ConfigurationError(
                f"{where}: no Google credentials that work; use a service account that has {ROLE}, or `gcloud auth"
                f" application-default login` ({said})"
            )
        case exceptions.InvalidArgument():
            return ConfigurationError(f"{where}: Secret Manager does not take this name ({said})")
    return StopRun(f"{where}: Secret Manager cannot be read: {said}")
