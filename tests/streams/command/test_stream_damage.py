"""State that is damaged is named, and nothing is read."""

import pytest
from e2e.harness import order, simulator, wait_until

from .test_stream import sent


@pytest.mark.parametrize("file", ["log.jsonl", "store.sqlite"])
def test_state_that_is_damaged_is_named(stream_command, file):
    with simulator() as api:
        stream = stream_command(api, "--settle", 0)
        stream.subscribe("orders")
        stream.start()
        stream.publish([sent("orders", order("o-1", "c-1"))])
        wait_until(lambda: stream.requests() == 1, "it is sent", timeout=60)
        assert stream.stop() == 0
        damaged = stream.folder / "state" / file
        damaged.write_bytes(b"\xff\xfe damage\n" * 500)
        stream.start()
        stream.publish([sent("orders", order("o-2", "c-2"))])
        assert stream.process.wait(60) == 2
        assert stream.stderr().strip().splitlines()[-1].startswith(f"beam-talonone: {damaged} is damaged ")
        assert damaged.read_bytes().startswith(b"\xff\xfe damage"), "it is left as it is"
        stream.assert_no_leftovers()
        assert stream.requests() == 1
        assert [
            message.json()["order_id"] for message in stream.pubsub.pull_all(stream.subscriptions["orders"], least=1)
        ] == ["o-2"]
