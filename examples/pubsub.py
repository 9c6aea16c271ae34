"""Handle messages of a Pub/Sub subscription, and acknowledge each after that: `python pubsub.py SUBSCRIPTION`.

It runs until you stop it, on Prism, Beam's local engine. You can append options of Beam.
"""

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_talonone import ReadFromPubSubAtLeastOnce, Received


def handle(message: Received) -> None:
    """Process one message, then acknowledge it."""
    print(message.attributes, message.data.decode(), flush=True)  # your own code
    message.ack()  # not earlier: a message that is not acknowledged is delivered again


if __name__ == "__main__":
    options = PipelineOptions(["--runner=PrismRunner", "--environment_type=LOOPBACK", "--streaming", *sys.argv[2:]])
    with beam.Pipeline(options=options) as pipeline:
        handled = pipeline | ReadFromPubSubAtLeastOnce([sys.argv[1]]) | beam.Map(handle)
        _ = (handled,) | beam.Flatten()  # a stage without an output keeps a core busy on Prism
