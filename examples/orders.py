"""Send orders to Talon.One: `python orders.py INPUT DEAD_LETTERS`. Set TALONONE_BASE_URL and TALONONE_API_KEY."""

import json
import sys

import apache_beam as beam

from beam_talonone import WriteToTalonOne

with beam.Pipeline(runner="FnApiRunner") as pipeline:
    orders = pipeline | beam.io.ReadFromText(sys.argv[1]) | beam.Map(json.loads)
    written = orders | WriteToTalonOne("orders", rate=50)
    written.dead_letters | beam.Map(json.dumps) | beam.io.WriteToText(sys.argv[2])
