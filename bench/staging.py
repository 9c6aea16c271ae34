"""The disk that mapped documents take: Shopify orders, staged as a backfill with `--mapping shopify` stages them.

    python bench/staging.py [--orders 20000]

Prints the bytes of the input, of the staging database, of the packed requests, and of the packed documents.
"""

import argparse
import tempfile
from contextlib import closing
from pathlib import Path

from common.shopify_orders import orders

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import ingest
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.sources.opening import FileInfo


def main() -> None:
    """Stage the orders, and print what they take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=20_000)
    count = parser.parse_args().orders
    with tempfile.TemporaryDirectory() as folder:
        source, database = Path(folder) / "orders.jsonl", Path(folder) / "spool.sqlite"
        source.write_bytes(b"\n".join(orders(count)))
        size = source.stat().st_size
        options = InputOptions({"orders": str(source)}, mapping=resolve_mapping("shopify"))
        ingest(database, options, {"orders": [FileInfo(str(source), size)]}, "bench", ())
        print(f"{count:,} orders, {size / 1e6:,.1f} MB; staging database {database.stat().st_size / 1e6:,.1f} MB")
        with closing(staging.reopen(database)) as connection:
            for kind, number in connection.execute("SELECT kind, COUNT(*) FROM records GROUP BY kind"):
                print(f"{kind:10} {number:8,}")
            for table in ("works", "documents"):
                (size,) = connection.execute(f"SELECT SUM(LENGTH(block)) FROM {table}").fetchone()
                print(f"{table:10} {size / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
