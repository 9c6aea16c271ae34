"""The settings of a run as its page shows them: by the names of the command line, and without secrets."""

from collections.abc import Sequence
from typing import Any

from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.terminal.command_line import command_line
from beam_talonone.talonone.telemetry.redact import without_keys

COMMAND_LINE = "command line"
API_KEY = "API key"
API_KEY_SECRET = "--api-key-secret"  # nosec B105


def run_settings(options: BackfillOptions, words: Sequence[str]) -> dict[str, Any]:
    """All settings of a run. `words` is how the process was started (sys.argv): the command line is among the
    settings where it is that of this command."""
    sending, mapping, attributes = options.sending, options.input.mapping, options.input.attributes
    secret, tls = sending.api_key_secret, sending.http.tls
    key = (
        {API_KEY: f"from the environment variable {sending.api_key_env}"}
        if secret is None
        else {API_KEY_SECRET: secret}
    )
    settings = {
        **options.fixed(),
        **({} if mapping is None else {"--mapping": mapping.name}),
        **({} if attributes is None else {"--attributes": attributes.path}),
        "--rate": sending.rate,
        "--rate-service": sending.rate_service,
        "--concurrency": sending.concurrency,
        "--give-up-after": sending.give_up_after,
        "--api-is-up": sending.api_is_up,
        "--max-dead-letters": sending.max_dead_letters.text,
        "--http-client": sending.http.client,
        **({} if tls.client_cert is None else {"--client-cert": tls.client_cert}),
        **({} if tls.ca_bundle is None else {"--ca-bundle": tls.ca_bundle}),
        "--insecure": sending.http.insecure,
        "--limit": options.limit,
        **key,
    }
    if options.command in words[1:]:
        settings[COMMAND_LINE] = command_line(words[1:])
    # a key may have been pasted into another option
    return {name: _without_keys(value) for name, value in settings.items()}


def _without_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_keys(part) for part in value]
    return without_keys(value) if isinstance(value, str) else value
