"""How fast, how late and how large is a stream, and how does it end? `beam-talonone stream` against the simulator.

    python bench/stream.py latency [--seconds 60] [--pace 100]
    python bench/stream.py throughput [--rounds 3] [--scale 1.0] [--latency 0|50]
    python bench/stream.py memory [--messages 300000]
    python bench/stream.py drain [--messages 5000] [--rounds 3]

Each part starts the Pub/Sub emulator and Prism as the tests of streams do, and needs them (`make tools`). Tables go
to stdout, with --json one line of JSON instead; progress goes to stderr. Exit code 1 without the tools.
"""

import argparse
import json
import sys

import stream_drain
import stream_latency
import stream_memory
import stream_throughput
from rich.console import Console
from runs import keep
from stream_setup import Missing

PARTS = {
    "latency": stream_latency,
    "throughput": stream_throughput,
    "memory": stream_memory,
    "drain": stream_drain,
}


WIDTH = 110


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, part in PARTS.items():
        one = parts.add_parser(name, description=part.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        part.options(one)
        one.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    given = parser.parse_args()
    console = Console(width=WIDTH)
    try:
        figures, tables = PARTS[given.part].measure(given, Console(stderr=True, highlight=False).print)
    except Missing as reason:
        print(reason, file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps({"part": given.part, **figures}))
    else:
        for table in tables:
            console.print(table)
    keep(f"stream-{given.part}", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
