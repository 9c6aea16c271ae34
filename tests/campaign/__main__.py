"""The command of the campaign.

    make campaign                                              20 seeds of each plan, as a table
    make campaign ARGS="--plans 5xx '429' --seeds 3"           three seeds of two plans
    make campaign ARGS="--list"                                the plans

It exits with 1 if anything was lost, doubled, out of order, wrong, over the rate or unaccounted. With --strict, it
also exits with 1 if a plan was skipped, or a seed missed a phase that its plan disturbs.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from support.audit.verdict import COLUMNS

from beam_talonone.pipelines.terminal.words import counted
from campaign.campaign import Campaign, markdown, remarks, rows, show, unshown
from campaign.plan import Plan
from campaign.plans import PLANS


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plans", nargs="+", metavar="NAME", help="only these plans (default: all but long ones)")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of each plan (default: 20)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--parallel", type=int, default=2, help="runs at a time (default: 2)")
    parser.add_argument("--long", action="store_true", help="also the plans that take minutes")
    parser.add_argument("--json", type=Path, default=Path("bench/out/campaign.json"), help="file for the figures")
    parser.add_argument("--keep", type=Path, help="folder for the files of failed runs")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for skipped plans and missed phases, too")
    parser.add_argument("--list", action="store_true", help="print the plans and exit")
    return parser.parse_args(words)


def chosen(names: list[str] | None, long: bool) -> list[Plan]:
    """The plans with these names, or all. Raises SystemExit for an unknown name."""
    if names is None:
        return [plan for plan in PLANS if long or not plan.long]
    unknown = set(names) - {plan.name for plan in PLANS}
    if unknown:
        raise SystemExit(f"campaign: no plan is called {', '.join(sorted(unknown))}; --list shows the plans")
    return [plan for plan in PLANS if plan.name in names]


def main() -> int:
    """Run the campaign; returns the exit code."""
    options = arguments()
    if options.list:
        for plan in PLANS:
            print(f"{plan.name:28} {plan.command:9} {plan.effect}{' (long)' if plan.long else ''}")
        return 0
    plans = chosen(options.plans, options.long)
    began, date = time.monotonic(), datetime.now(UTC).date().isoformat()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    table = rows(Campaign(options.keep, show).run(plans, seeds, options.parallel))
    print(markdown(table), *remarks(table), sep="\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    figures = {"date": date, "seconds": round(time.monotonic() - began, 1), "plans": table}
    options.json.write_text(json.dumps(figures, indent=2) + "\n")
    show(f"{options.json}: {counted(sum(row['seeds'] for row in table), 'run')} in {figures['seconds']} s")
    wrong = any(row[column] for row in table for column in COLUMNS)
    return int(wrong or (options.strict and bool(unshown(table))))


if __name__ == "__main__":
    sys.exit(main())
