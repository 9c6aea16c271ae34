"""State that is damaged is named, and nothing is read."""

import pytest
from e2e.harness import order, simulator, wait_until

from .test_stream import sent


@pytest.mark.parametrize("file", ["log.jsonl", "store.sqlite"])
def test_state_that_is_damaged_is_named(rig, file):
    with simulator() as api:
        made = rig(api, "--settle", 0)
        made.subscribe("orders")
        made.start()
        made.publish([sent("orders", order("o-1", "c-1"))])
        wait_until(lambda: made.requests() == 1, "it is sent", timeout=60)
        assert made.stop() == 0
        damaged = made.folder / "state" / file
        damaged.write_bytes(b"\xff\xfe damage\n" * 500)
        made.start()
        made.publish([sent("orders", order("o-2", "c-2"))])
        assert made.process.wait(60) == 2
        assert made.said().strip().splitlines()[-1].startswith(f"beam-talonone: {damaged} is damaged ")
        assert damaged.read_bytes().startswith(b"\xff\xfe damage"), "it is left as it is"
        made.assert_no_leftovers()
        assert made.requests() == 1
        assert [
            message.json()["order_id"] for message in made.pubsub.pull_all(made.subscriptions["orders"], least=1)
        ] == ["o-2"]
