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

from common.runs import keep
from rich.console import Console
from stream_parts import drain, latency, memory, throughput
from stream_parts.setup import Missing

PARTS = {
    "latency": latency,
    "throughput": throughput,
    "memory": memory,
    "drain": drain,
}


WIDTH = 110


def main() -> int:
    """Measure the part that the arguments name; returns 1 if a tool is missing, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, part in PARTS.items():
        subparser = parts.add_parser(
            name, description=part.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        part.options(subparser)
        subparser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    arguments = parser.parse_args()
    console = Console(width=WIDTH)
    try:
        figures, tables = PARTS[arguments.part].measure(arguments, Console(stderr=True, highlight=False).print)
    except Missing as reason:
        print(reason, file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({"part": arguments.part, **figures}))
    else:
        for table in tables:
            console.print(table)
    keep(f"stream-{arguments.part}", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
