"""Send the orders of a subscription to Talon.One, on Dataflow:
`python dataflow.py --subscription=projects/P/subscriptions/S --dead_letters=projects/P/topics/T
--secret=projects/P/secrets/S --runner=DataflowRunner --max_num_workers=1
--experiments=no_use_multiple_sdk_containers`.

Append the other options of Dataflow (docs/deploy-dataflow.md), and set TALONONE_BASE_URL here. The workers read the
API key from the secret.
"""

import json
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import ReadFromPubSub, WriteToPubSub
from apache_beam.options.pipeline_options import PipelineOptions

from beam_talonone import WriteToTalonOne


class DataflowOptions(PipelineOptions):
    """The options of this pipeline."""

    @classmethod
    def _add_argparse_args(cls, parser):
        parser.add_argument("--subscription")
        parser.add_argument("--dead_letters", help="topic of the dead letters")
        parser.add_argument("--secret", help="projects/P/secrets/S with the API key")


def decode(message: bytes) -> Any:
    """The order in a message. Text that is not JSON stays text, and becomes a dead letter."""
    try:
        return json.loads(message)
    except ValueError:
        return message.decode("utf-8", "replace")


def create_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """Build the pipeline without running it."""
    stream = options.view_as(DataflowOptions)
    pipeline = beam.Pipeline(options=options)
    written = (
        pipeline
        | ReadFromPubSub(subscription=stream.subscription)
        | beam.Map(decode).with_output_types(Any)
        | WriteToTalonOne("orders", rate=50, api_key_secret=stream.secret)
    )
    lines = written.dead_letters | beam.Map(lambda line: json.dumps(line).encode()).with_output_types(bytes)
    _ = lines | WriteToPubSub(stream.dead_letters)
    return pipeline


if __name__ == "__main__":
    create_pipeline(PipelineOptions(streaming=True)).run()
