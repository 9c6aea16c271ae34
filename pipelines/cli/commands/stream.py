"""`beam-talonone stream`: what arrives on Pub/Sub, until stopped."""

import time
import uuid

from beam_talonone.pipelines.cli.numbers import within
from beam_talonone.pipelines.cli.parameters.api import ApiParameters
from beam_talonone.pipelines.cli.parameters.files import MappingParameters
from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.program import BeamParameters
from beam_talonone.pipelines.cli.parameters.records import (
    AttributeParameters,
    EditParameters,
    ReadingParameters,
    RequestParameters,
)
from beam_talonone.pipelines.cli.parameters.streams import (
    HealthParameters,
    MessageParameters,
    PrismParameters,
    SinkParameters,
    StreamLimitParameters,
    SubscriptionParameters,
    WaitingParameters,
)
from beam_talonone.talonone.errors import ConfigurationError, Interrupted

LOOPBACK = "127.0.0.1"
MONTH = 31 * 86_400.0


@with_groups
def stream(
    *,
    inputs: SubscriptionParameters,
    sinks: SinkParameters,
    mapping: MappingParameters,
    messages: MessageParameters,
    waiting: WaitingParameters,
    reading: ReadingParameters,
    attributes: AttributeParameters,
    requests: RequestParameters,
    edit: EditParameters,
    api: ApiParameters,
    limits: StreamLimitParameters,
    health: HealthParameters,
    prism: PrismParameters,
    beam: BeamParameters,
) -> int:
    """Apply what arrives on Pub/Sub within seconds, until stopped. SIGTERM or Ctrl-C drains and ends with 0."""
    from beam_talonone.pipelines.backfill.options import parse_max_dead_letters, reading_of
    from beam_talonone.pipelines.cli.settings import (
        attributes_of,
        beam_arguments,
        mapping_of,
        row_by_row,
        sending_options,
        subscriptions_of,
    )

    reading_of(reading.assume_timezone, reading.ambiguous_time, reading.max_future, reading.unknown_fields)
    subscriptions = subscriptions_of(vars(inputs))
    sending = sending_options(api, edit=edit)
    if health.health_host is not None and health.health_port is None:
        raise ConfigurationError("--health-host needs --health-port")
    most = limits.max_dead_letters
    allowed = None if most is None else parse_max_dead_letters(most)
    from beam_talonone.pipelines.streaming.avro_schema import read_avro_schema
    from beam_talonone.pipelines.streaming.options import StreamOptions

    options = StreamOptions(
        subscriptions,
        sending.base_url,
        f"stream-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:6]}",
        api_key_secret=sending.api_key_secret,
        rate=sending.rate,
        rate_service=sending.rate_service,
        http=sending.http,
        concurrency=sending.concurrency,
        **vars(sinks),
        settle=within("--settle", waiting.settle, 3600.0),
        wait_for_order=within("--wait-for-order", waiting.wait_for_order, MONTH),
        bulk_age=within("--bulk-age", waiting.bulk_age, 3600.0),
        remember=within("--remember", waiting.remember, 12 * MONTH),
        exit_on_auth_error=limits.exit_on_auth_error,
        max_dead_letters=allowed,
        health_port=health.health_port,
        health_host=health.health_host or LOOPBACK,
        edit_closed=edit.edit_closed,
        **vars(requests),
        **vars(reading),
        attributes=attributes_of(attributes),
        mapping=row_by_row(mapping_of(mapping.mapping), "a stream"),
        avro_schema=None if messages.avro_schema is None else read_avro_schema(messages.avro_schema),
        prism_location=prism.prism_location,
        beam_args=beam_arguments(beam),
    )
    try:
        from beam_talonone.pipelines.streaming.run import run_stream

        return run_stream(options)
    except (Interrupted, KeyboardInterrupt):
        return 0  # stopped before anything was read
