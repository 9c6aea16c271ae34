"""`beam-talonone stream` on the real emulator and the real Prism, against the simulator."""

import json
import resource
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from e2e.commands.test_private import leaves_no_core_file, listening_addresses, without_core_limit
from e2e.harness import KEY, order, returned, simulator, wait_until
from prometheus_client.parser import text_string_to_metric_families
from support.audit.traffic_check import check_traffic
from support.servers.ports import free_port

from beam_talonone.pipelines.streaming.health import OUTAGE
from streams.harness.stream_command import halves
from streams.harness.traffic import FAULTS, START, Sent, make_traffic


def sent(kind, record, session=""):
    return Sent(kind, json.dumps(record).encode(), 0, "", session=session)


def test_mixed_traffic_with_faults_is_accounted_for_to_the_last_message(stream_command):
    """20,000 messages: versions in disorder, returns before their orders, repeats of both sorts, poison."""
    traffic = make_traffic(20_000, seed=5, customers=2_000, disorder=3_000)
    with simulator(faults=FAULTS, unknown_attributes=("unknown_one",)) as api:
        stream = stream_command(api, "--rate", 3000, "--settle", 5, retain=True)
        stream.subscribe(*traffic.kinds)
        stream.start()
        portions = halves(traffic, 20)
        for portion in portions[:-1]:
            stream.publish(portion)
        last = datetime.now(UTC)
        stream.publish(portions[-1])  # a twentieth comes again by Pub/Sub itself
        stream.wait_until_quiet(12)
        for subscription in stream.subscriptions.values():
            stream.pubsub.repeat(subscription, last - timedelta(milliseconds=1))
        stream.wait_until_quiet(8)
        assert stream.stop() == 0, stream.stderr()
        check = check_traffic(traffic, stream.ledger(), stream.dead_letters())
        assert check.wrong() == {}
        stream.assert_empty()
        stream.assert_no_leftovers()
        counts = accounts(stream.stderr())
        assert sum(kind["read"] for kind in counts.values()) >= len(traffic.records) + len(portions[-1])
        for kind, ends in counts.items():
            assert ends.pop("read") == sum(ends.values()), kind
        assert sum(kind.get("duplicate", 0) for kind in counts.values()) >= len(portions[-1])


def accounts(stderr: str) -> dict[str, dict[str, int]]:
    """The last account of each kind that was said."""
    found = {}
    for line in stderr.splitlines():
        kind, _, rest = line.removeprefix("beam-talonone: ").partition(": ")
        if rest.startswith("read "):
            pairs = (entry.rsplit(" ", 1) for entry in rest.split(", "))
            found[kind] = {name: int(count) for name, count in pairs}
    return found


def test_an_outage_is_waited_out_and_told(stream_command):
    traffic = make_traffic(400, seed=6, poison=0.0)
    port = free_port()
    with simulator() as api:
        stream = stream_command(api, "--rate", 400, "--settle", 0, "--health-port", port)
        stream.subscribe(*traffic.kinds)
        stream.start()
        stream.publish(traffic.records[:100])
        stream.wait_until_quiet(2)
        api.faults("outage:kind=cut")
        stream.publish(traffic.records[100:])
        wait_until(lambda: "has succeeded for" in stream.stderr(), "it says so", timeout=60)
        status, why = health(port)
        assert status == 503
        assert "has succeeded for" in why
        figures = metrics(port)
        assert (figures["talonone_healthy"], figures["talonone_key_refused"]) == (0.0, 0.0)
        assert figures["talonone_api_down_seconds"] >= OUTAGE
        assert figures["talonone_records_unaccounted"] > 0
        api.faults()
        stream.wait_until_quiet(25)
        assert health(port) == (200, "ok")
        figures = metrics(port)
        assert (figures["talonone_healthy"], figures["talonone_api_down_seconds"]) == (1.0, 0.0)
        assert figures["talonone_records_unaccounted"] == 0.0
        assert (
            figures["talonone_records_ended_total"] == figures["talonone_records_read_total"] >= len(traffic.records)
        )
        assert figures["talonone_requests_total"] >= stream.requests()
        assert stream.stop() == 0
        assert check_traffic(traffic, stream.ledger(), stream.dead_letters(), by_customer=False).wrong() == {}
        assert stream.dead_letters() == []
        stream.assert_empty()


def health(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()


def metrics(port: int) -> Counter[str]:
    """Each metric, summed over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        figures: Counter[str] = Counter()
        for family in text_string_to_metric_families(answer.read().decode()):
            for sample in family.samples:
                figures[sample.name] += sample.value
        return figures


def test_a_wrong_key_stops_reading_and_is_tried_again_until_it_works(stream_command):
    traffic = make_traffic(300, seed=7, poison=0.0)
    port = free_port()
    with simulator(faults=("unauthorized",)) as api:
        stream = stream_command(api, "--rate", 300, "--settle", 0, "--health-port", port)
        stream.subscribe(*traffic.kinds)
        stream.publish(traffic.records[:100])
        stream.start()
        wait_until(lambda: "refuses the API key" in stream.stderr(), "it says so", timeout=60)
        refused = stream.requests()
        stream.publish(traffic.records[100:])
        time.sleep(3.0)
        assert stream.requests() - refused <= 6, "it keeps trying at full pace"
        status, why = health(port)
        assert (status, "refuses the API key" in why) == (503, True)
        assert KEY not in why
        api.faults()
        wait_until(lambda: api.summary()["acted"] > 0, "the key is tried again", timeout=90)
        stream.wait_until_quiet(12)
        assert stream.stop() == 0
        assert check_traffic(traffic, stream.ledger(), stream.dead_letters(), by_customer=False).wrong() == {}
        assert stream.dead_letters() == []


def test_exit_on_auth_error_ends_it_with_1_and_loses_nothing(stream_command):
    with simulator(faults=("unauthorized",)) as api:
        stream = stream_command(api, "--settle", 0, "--exit-on-auth-error")
        stream.subscribe("orders")
        stream.publish([sent("orders", order("o-1", "c-1"))])
        stream.start()
        assert stream.process.wait(60) == 1
        assert "refuses the API key" in stream.stderr().strip().splitlines()[-1]
        assert stream.dead_letters() == []
        assert len(stream.pubsub.pull_all(stream.subscriptions["orders"], least=1)) == 1
        stream.assert_no_leftovers()


def test_a_return_waits_for_its_order_and_is_a_dead_letter_when_it_never_comes(stream_command):
    def item(sku):
        return [{"sku": sku, "quantity": 1, "unit_price": 1}]

    with simulator() as api:
        stream = stream_command(api, "--settle", 0, "--wait-for-order", 6)
        stream.subscribe("orders", "returns")
        stream.start()
        for name in ("early", "open", "never"):
            record = returned(f"r-{name}", f"o-{name}", items=[{"sku": name, "quantity": 1}], hour=5)
            stream.publish([sent("returns", record)])
        stream.publish([sent("orders", order("o-open", "c-2", status="open", items=item("open")))])
        wait_until(lambda: stream.requests() >= 4, "it looks for the orders", timeout=60)
        stream.publish([sent("orders", order("o-early", "c-1", status="completed", items=item("early")))])
        wait_until(lambda: len(stream.dead_letters()) == 2, "the others are dead letters", timeout=30)
        assert stream.stop() == 0
        acted = [(row["operation"], row["session"]) for row in stream.ledger()]
        assert acted.index(("update_customer_session_v2", "o-early")) < acted.index(("return_cart_items", "o-early"))
        assert len([row for row in acted if row[0] == "return_cart_items"]) == 1
        assert {dead_letter["id"]: dead_letter["reason"] for dead_letter in stream.dead_letters()} == {
            "r-open": "order_not_closed", "r-never": "not_found",
        }  # fmt: skip


def test_a_record_that_comes_again_after_a_restart_is_a_duplicate_still(stream_command):
    with simulator() as api:
        stream = stream_command(api, "--settle", 0)
        stream.subscribe("events", "orders")
        event = {"event_id": "e-1", "type": "visit", "customer_id": "c-1", "event_time": START.isoformat()}
        new, old = (order("o-1", "c-1", hour=hour, status="open") for hour in (5, 1))
        for records in ([sent("events", event), sent("orders", new)], [sent("events", event), sent("orders", old)]):
            stream.start()
            stream.publish(records)
            stderr_file = f"err-{stream.starts}"
            wait_until(
                lambda file=stderr_file: "reading" in (stream.folder / file).read_text(), "it reads", timeout=60
            )
            time.sleep(13.0)  # the emulator may have given them to the pull that the first process left open
            assert stream.stop() == 0, stream.stderr()
            api.forget_keys()
        assert len(stream.ledger()) == 2
        counts = accounts(stream.stderr())
        assert counts["events"] == {"read": 1, "duplicate": 1}
        assert counts["orders"] == {"read": 1, "superseded": 1}
        stream.assert_empty()


def test_as_json_each_line_is_an_object_and_letters_are_known_by_their_ids(stream_command, monkeypatch):
    monkeypatch.setenv("TALONONE_LOG_FORMAT", "json")
    email = "anna@example.com"
    with simulator() as api:
        stream = stream_command(api, "--settle", 0)
        stream.subscribe("orders")
        bad = {**order("o-2", "c-2"), "event_time": email}
        stream.publish([sent("orders", order("o-1", "c-1", attributes={"Email": email})), sent("orders", bad)])
        stream.start()
        wait_until(lambda: stream.requests() >= 1 and stream.dead_letters(), "both are done", timeout=60)
        assert stream.stop() == 0
        lines = [json.loads(line) for line in stream.stderr().splitlines()]
        [dead_letter] = [line for line in lines if line["message"] == "dead letter"]
        assert (dead_letter["kind"], dead_letter["id"], dead_letter["subscription"]) == (
            "orders", "o-2", stream.subscriptions["orders"],
        )  # fmt: skip
        assert any(line["message"].startswith("reading projects/") for line in lines)
        assert email in json.dumps(stream.dead_letters())
        assert email not in stream.stderr()


def test_dead_letters_and_results_go_to_topics(stream_command, pubsub):
    topics = {name: pubsub.subscription(name) for name in ("letters", "results")}
    with simulator() as api:
        stream = stream_command(
            api, "--settle", 0, "--dead-letters", topics["letters"][0], "--results", topics["results"][0]
        )  # fmt: skip
        stream.subscribe("orders")
        stream.publish([sent("orders", order("o-1", "c-1")), Sent("orders", b"no json", 0, "")])
        stream.start()
        wait_until(lambda: stream.requests() >= 1, "it is sent", timeout=60)
        (dead_letter,) = pubsub.pull_all(topics["letters"][1], least=1)
        (result,) = pubsub.pull_all(topics["results"][1], least=1)
        assert stream.stop() == 0
        assert (dead_letter.json()["record"], dead_letter.json()["reason"]) == ("no json", "not_json")
        assert dict(dead_letter.attributes) == {
            "kind": "orders",
            "reason": "not_json",
            "job": dead_letter.json()["job"],
        }
        assert (result.json()["id"], result.json()["outcome"]) == ("o-1", "applied")
        pubsub.assert_empty(stream.subscriptions["orders"])


def test_a_disk_that_is_full_ends_it_with_1_and_loses_nothing(stream_command):
    traffic = make_traffic(2_000, seed=9, poison=0.0)
    with simulator() as api:
        stream = stream_command(api, "--rate", 1000, "--settle", 0)
        stream.subscribe(*traffic.kinds)
        stream.start()
        stream.publish(traffic.records[:50])
        stream.wait_until_quiet(2)
        no_more = 100_000  # bytes in a file: as good as a full disk
        resource.prlimit(stream.process.pid, resource.RLIMIT_FSIZE, (no_more, no_more))
        stream.publish(traffic.records[50:])
        assert stream.process.wait(60) == 1
        assert f"--state {stream.folder / 'state'} cannot be written: " in stream.stderr()
        assert "nothing is lost" in stream.stderr()
        stream.start()
        stream.wait_until_quiet(12)
        assert stream.stop() == 0, stream.stderr()
        assert check_traffic(traffic, stream.ledger(), stream.dead_letters(), by_customer=False).wrong() == {}
        stream.assert_empty()


def test_other_users_see_no_key_no_file_and_no_core_file_and_reach_no_health_port(stream_command) -> None:
    port = free_port()
    with simulator() as api:
        stream = stream_command(api, "--settle", 0, "--health-port", port, "--results")
        stream.words = (*stream.words, stream.folder / "results")
        stream.wrapper = without_core_limit()
        stream.subscribe("orders")
        stream.start()
        records = [order("o1", "c1"), {"no": "order"}]
        stream.publish([Sent("orders", json.dumps(record).encode(), 0, "") for record in records])
        wait_until(lambda: stream.ledger() and stream.dead_letters(), "both have ended", timeout=120)
        prism = stream.prism_pid()
        shown = _command_lines()
        environment = Path(f"/proc/{prism}/environ").read_bytes()
        no_core_file = [leaves_no_core_file(pid) for pid in (stream.process.pid, prism)]
        addresses = listening_addresses(port)
        own = [path for name in ("state", "letters", "results") for path in _all_in(stream.folder / name)]
        open_to_others = [str(path) for path in own if path.stat().st_mode & 0o077]
        assert stream.stop() == 0, stream.stderr()
        stream.assert_no_leftovers()
    assert Path(f"/proc/{prism}/cmdline") in shown
    assert [path for path, words in shown.items() if KEY.encode() in words] == []
    assert b"PATH=" in environment
    assert no_core_file == [True, True]
    assert KEY.encode() not in environment
    assert addresses == ["0100007F"], "127.0.0.1, in the order of bytes of /proc"
    assert len(own) > 8
    assert open_to_others == []


def _all_in(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def _command_lines() -> dict[Path, bytes]:
    lines = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has ended
            lines[path] = path.read_bytes()
    return lines
