"""Messages of a Pub/Sub subscription, acknowledged when they are done: `python pubsub.py SUBSCRIPTION`.

It goes on until it is stopped. The runner is Prism, Beam's local engine; Beam's own options may follow.
"""

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_talonone import ReadFromPubSubAtLeastOnce, Received


def handle(message: Received) -> None:
    print(message.attributes, message.data.decode(), flush=True)  # what you do with it
    message.ack()  # not before: what is not acknowledged comes again


if __name__ == "__main__":
    options = PipelineOptions(["--runner=PrismRunner", "--environment_type=LOOPBACK", "--streaming", *sys.argv[2:]])
    with beam.Pipeline(options=options) as pipeline:
        handled = pipeline | ReadFromPubSubAtLeastOnce([sys.argv[1]]) | beam.Map(handle)
        _ = (handled,) | beam.Flatten()  # a stage without an output keeps a core busy on Prism
