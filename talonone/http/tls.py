"""The certificates that encrypted connections use."""

import ssl
from dataclasses import dataclass

from beam_talonone.talonone.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM format.

    `client_cert` holds a certificate, which the server is shown, and its key; `ca_bundle` holds the authorities that
    are trusted instead of the system's."""

    client_cert: str | None = None
    ca_bundle: str | None = None

    def context(self) -> ssl.SSLContext:
        """What connections are encrypted with. Raises ConfigurationError for a file that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_bundle)
        except OSError as error:
            raise ConfigurationError(f"the CA bundle {self.ca_bundle} cannot be used: {_why(error)}") from None
        if self.client_cert is not None:
            try:
                context.load_cert_chain(self.client_cert, password=_no_password)
            except OSError as error:
                raise ConfigurationError(
                    f"the client certificate {self.client_cert} cannot be used: {_why(error)}; it must hold a"
                    " certificate and its unencrypted private key, in PEM format"
                ) from None
        return context


def _no_password() -> bytes:
    """OpenSSL would ask for one at the terminal."""
    return b""


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "it holds nothing of the kind"
    return error.strerror or str(error)
