"""The command that fuzzes.

```
    make fuzz                                        each surface for a minute
    make fuzz ARGS="--seconds 600 --only decoding"   one surface for ten minutes
    make fuzz ARGS="--bombs"                         small input that claims gigabytes, with little memory
    make fuzz ARGS="--list"                          the surfaces and their properties
    make fuzz ARGS="--one decoding NAME --input F"   the one example that a file describes
```

It exits with 1 if a property fails. It prints why, shortened, and names a file with all that was printed. Without
atheris, that has the smallest example. With atheris, the choice of examples follows the code that they reach, and the
bytes of the example are in a file of their own, for `--input`. `--plain` leaves atheris out.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib import import_module, util
from pathlib import Path

from fuzz.failure import digest
from fuzz.fuzzed import Fuzzed

SURFACES = Path(__file__).parent / "surfaces"

EXAMPLES = re.compile(r"stat::number_of_executed_units: (\d+)")
"""How many examples a process has checked, as atheris prints it."""


def surfaces() -> list[str]:
    """The names of the surfaces: `decoding` for surfaces/test_decoding.py."""
    return sorted(path.stem.removeprefix("test_") for path in SURFACES.glob("test_*.py"))


def properties(surface: str) -> list[Fuzzed]:
    """The properties of a surface, in the order of its file."""
    module = import_module(f"fuzz.surfaces.test_{surface}")
    return [value.fuzzed for value in vars(module).values() if isinstance(getattr(value, "fuzzed", None), Fuzzed)]


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="SURFACE", choices=surfaces(), help="only these surfaces")
    parser.add_argument("--property", metavar="NAME", help="only properties whose names contain this")
    parser.add_argument("--seconds", type=float, default=60.0, help="time for each surface (default: 60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first seed (default: the time)")
    parser.add_argument("--plain", action="store_true", help="without atheris")
    parser.add_argument("--bombs", nargs="*", metavar="WORD", help="decode the bombs whose names have these words")
    parser.add_argument("--list", action="store_true", help="print the surfaces and exit")
    parser.add_argument("--one", nargs=2, metavar=("SURFACE", "NAME"), help="only this property, in this process")
    parser.add_argument("--input", type=Path, metavar="FILE", help="with --one: the example in a file of atheris")
    return parser.parse_args(words)


def fuzz(surface: str, options: argparse.Namespace) -> int:
    """Fuzz a surface for its time, each property in a process of its own; returns how many failed."""
    chosen = [each for each in properties(surface) if (options.property or "") in each.name]
    guided = not options.plain and util.find_spec("atheris") is not None
    failed = 0
    for each in chosen:
        seconds = options.seconds / len(chosen)
        words = ["--one", surface, each.name, "--seconds", str(seconds), "--seed", str(options.seed)]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "fuzz", *words, *([] if guided else ["--plain"])],
            check=False, capture_output=True, text=True, errors="replace",
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )  # fmt: skip
        found = EXAMPLES.search(done.stdout + done.stderr)
        end = f"{int(found[1]):,} examples" if found and done.returncode == 0 else "FAILED"
        print(f"{surface:14} {each.name:60} {time.monotonic() - began:6.0f} s  {end}", flush=True)
        if done.returncode:
            failed += 1
            output = Path(f"{kept(surface, each.name)}{options.seed}.txt")
            output.write_text(done.stdout + done.stderr)
            print(digest(done.stdout + done.stderr), f"all that was printed: {output}", sep="\n", flush=True)
    return failed


def kept(surface: str, name: str) -> str:
    """The begin of the paths of files about a failure of a property."""
    return f"{tempfile.gettempdir()}/fuzz-{surface}-{name}-"


def fuzz_one(each: Fuzzed, seconds: float, first_seed: int) -> None:
    """Check examples of one property until the time is over. Raises what it raises."""
    until, number = time.monotonic() + seconds, first_seed
    while time.monotonic() < until:
        each.round(number)
        number += 1
    print(f"stat::number_of_executed_units: {each.checked}")


def fuzz_guided(surface: str, name: str, seconds: float, seed: int) -> None:
    """As `fuzz_one`, with atheris, which ends the process. The code that is tested is instrumented when imported."""
    import atheris

    with atheris.instrument_imports(include=["beam_talonone"]):
        [each] = [found for found in properties(surface) if found.name == name]
    limits = ["-rss_limit_mb=4096", "-timeout=60", "-max_len=16384", "-len_control=0", "-print_final_stats=1"]
    run = [f"-max_total_time={max(1, round(seconds))}", f"-seed={seed & 0x7FFFFFFF}"]
    atheris.Setup([sys.argv[0], *limits, *run, f"-artifact_prefix={kept(surface, name)}"], each.from_bytes())
    atheris.Fuzz()


def main() -> int:
    """Run the command; returns the exit code."""
    options = arguments()
    if options.one:
        surface, name = options.one
        if not options.plain and options.input is None:
            fuzz_guided(surface, name, options.seconds, options.seed)
        [each] = [found for found in properties(surface) if found.name == name]
        if options.input is not None:
            each.from_bytes()(options.input.read_bytes())
            return 0
        fuzz_one(each, options.seconds, options.seed)
        return 0
    if options.bombs is not None:
        from fuzz.bombs import explode_all

        return int(explode_all(options.bombs) > 0)
    chosen = options.only or surfaces()
    if options.list:
        for surface in chosen:
            print(surface, *(f"  {each.name}" for each in properties(surface)), sep="\n")
        return 0
    return int(sum(fuzz(surface, options) for surface in chosen) > 0)


if __name__ == "__main__":
    sys.exit(main())
