"""Send the orders of a Kafka topic to Talon.One, on Flink or Dataflow:
`python kafka.py --brokers=HOST:9092 --topic=orders --dead_letter_topic=orders-dead-letters`.

Append the options of the runner: `--runner=FlinkRunner --flink_master=HOST:8081 --checkpointing_interval=10000`.
Set TALONONE_BASE_URL here, and TALONONE_API_KEY where the workers run. Beam's Kafka source needs Java here.
"""

import json
from typing import Any

import apache_beam as beam
from apache_beam.io.kafka import ReadFromKafka, WriteToKafka
from apache_beam.options.pipeline_options import PipelineOptions

from beam_talonone import WriteToTalonOne

Message = tuple[bytes, bytes]


class KafkaOptions(PipelineOptions):
    """The options of this pipeline."""

    @classmethod
    def _add_argparse_args(cls, parser):
        parser.add_argument("--brokers", default="localhost:9092", help="HOST:PORT, with commas between several")
        parser.add_argument("--topic", default="orders")
        parser.add_argument("--dead_letter_topic", default="orders-dead-letters")


def decode(message: Message) -> Any:
    """The order in the value of a message. Text that is not JSON stays text, and becomes a dead letter."""
    try:
        return json.loads(message[1])
    except ValueError:
        return message[1].decode("utf-8", "replace")


def as_message(line: dict[str, Any]) -> Message:
    """A dead letter as a message of Kafka, by the id of its record."""
    return str(line.get("id") or "").encode(), json.dumps(line).encode()


def create_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """Build the pipeline without running it."""
    kafka = options.view_as(KafkaOptions)
    config = {"bootstrap.servers": kafka.brokers, "group.id": "talonone", "auto.offset.reset": "earliest"}
    pipeline = beam.Pipeline(options=options)
    written = (
        pipeline
        | ReadFromKafka(consumer_config=config, topics=[kafka.topic])
        | beam.Map(decode).with_output_types(Any)
        | WriteToTalonOne("orders", rate=50)
    )
    _ = (
        written.dead_letters
        | beam.Map(as_message).with_output_types(Message)
        | WriteToKafka(producer_config={"bootstrap.servers": kafka.brokers}, topic=kafka.dead_letter_topic)
    )
    return pipeline


if __name__ == "__main__":
    create_pipeline(PipelineOptions(streaming=True)).run().wait_until_finish()
