"""Snapshots of a run for the tests of what shows them."""

from beam_talonone.pipelines.terminal.progress.api_state import NONE, OK, ApiState
from beam_talonone.pipelines.terminal.progress.snapshot import KindCount, RunSnapshot

SENDING = RunSnapshot(
    "sending", "records", 2150, 5000, percent=43, elapsed=21.4, left=28.9,
    kinds=(KindCount("orders", 1900, 4000), KindCount("profiles", 250, 1000)), things_per_second=101.2,
    requests_per_second=99.6, rate=100.0, in_flight=64, concurrency=64, requests=2200, retries=1,
    retries_waiting=0, next_retry_in=0.0, dead_letters=3,
    api=OK,
)  # fmt: skip
READING = RunSnapshot(
    "reading", "records", 12_345, 0, percent=None, elapsed=3.0, left=None, kinds=(), things_per_second=4100.0,
    requests_per_second=None, rate=None, in_flight=0, concurrency=0, requests=0, retries=0,
    retries_waiting=0, next_retry_in=0.0, dead_letters=0, api=NONE,
)  # fmt: skip
STORM = ApiState("slowed", "429: slowed to 83/s")
OUTAGE = ApiState("down", "unreachable for 12 s, trying again (cannot connect to 127.0.0.1:9); gives up in 288 s")
