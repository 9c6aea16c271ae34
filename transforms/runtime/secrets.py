"""The API key from Google's Secret Manager, by the name of a secret.

Beam's own GcpSecret has no deadline, and reports every failure in the same way. Its client also logs the secret if
Google's loggers are at DEBUG.
"""

import logging
import os
from typing import Any

from beam_talonone.talonone.errors import ConfigurationError, StopRun, TalonOneError
from beam_talonone.talonone.telemetry.error_text import error_text

EMULATOR = "SECRET_MANAGER_EMULATOR_HOST"
"""Environment variable: host:port of a service to read from instead of Google's, in plain text. For tests."""

READ_WITHIN = 10.0
"""Seconds, with retries."""

ROLE = "roles/secretmanager.secretAccessor"


def read_secret(name: str, setting: str = "--api-key-secret") -> bytes:
    """The payload of the secret `name` (projects/P/secrets/S[/versions/V]), of its latest version if `name` has none.

    `setting` is the option or argument that holds the name, for errors. Raises ConfigurationError for a problem that
    a person must fix, and StopRun if a later try may work.
    """
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    version = name if "/versions/" in name else f"{name}/versions/latest"
    try:
        return _payload(version)
    except RetryError as error:
        raise secret_error(f"{setting} {version}", error.cause or error) from None
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise secret_error(f"{setting} {version}", error) from None


def _payload(version: str) -> bytes:
    import grpc
    from google.api_core.exceptions import ResourceExhausted, ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    from google.cloud.secretmanager_v1.services.secret_manager_service import transports

    # at DEBUG the client logs each answer, and so the secret
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


def secret_error(where: str, error: Exception) -> TalonOneError:
    """Our error for `error` of Secret Manager's client. `where` names the setting and the secret."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    reason = error_text(error, 300)
    match error:
        case exceptions.NotFound():
            return ConfigurationError(f"{where}: there is no such secret, or no such version of it ({reason})")
        case exceptions.PermissionDenied():
            return ConfigurationError(f"{where}: no permission to read it; grant {ROLE} to who runs this ({reason})")
        case exceptions.FailedPrecondition():
            return ConfigurationError(f"{where}: this version is disabled or destroyed; name another one ({reason})")
        case exceptions.Unauthenticated() | GoogleAuthError():
            return ConfigurationError(
                f"{where}: no Google credentials that work; use a service account that has {ROLE}, or `gcloud auth"
                f" application-default login` ({reason})"
            )
        case exceptions.InvalidArgument():
            return ConfigurationError(f"{where}: Secret Manager does not take this name ({reason})")
    return StopRun(f"{where}: Secret Manager cannot be read: {reason}")
