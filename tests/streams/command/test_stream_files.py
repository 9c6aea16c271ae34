"""Files of a bucket in a stream: notifications as Cloud Storage sends them, both emulators, Prism and simulator."""

import gzip
import io
import json
import re
import time
from collections import Counter
from pathlib import Path

import fastavro
import pytest
from e2e.harness import FINISHED, cli, event, profile, simulator, wait_until
from support.servers.storage import BUCKET

from streams.harness.stream_command import AFTER_KILL

MAPPING = """
version: 1
table: {delimiter: ";", types: {amount: decimal}}
orders:
  fields:
    order_id: number
    customer_id: customer
    status: "'completed'"
    event_time: at
    items:
      each: "[@]"
      fields:
        sku: article
        quantity: "`1`"
        unit_price: amount
"""


@pytest.fixture
def bucket(storage, pubsub, monkeypatch):
    """The bucket, in which the command finds its login."""
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.setenv(name, storage.environment[name])
    return storage


class Files:
    """Puts files into a folder of the bucket, and publishes what Cloud Storage would."""

    def __init__(self, stream, bucket, folder):
        self._stream, self._bucket, self._folder = stream, bucket, folder
        stream.subscribe("files")

    def put(self, name, data, **attributes):
        """A file and its notification; returns the name of its generation."""
        self._bucket.put(f"{self._folder}/{name}", data)
        blob = self._bucket._bucket.get_blob(f"{self._folder}/{name}")
        self.publish(name, blob.generation, **attributes)
        return f"gs://{BUCKET}/{self._folder}/{name}#{blob.generation}"

    def publish(self, name, generation, event="OBJECT_FINALIZE", **attributes):
        """A notification: https://cloud.google.com/storage/docs/pubsub-notifications#format."""
        resource = {"kind": "storage#object", "name": f"{self._folder}/{name}", "bucket": BUCKET}
        self._stream.pubsub.publish(
            self._stream.topics["files"],
            [{**resource, "generation": str(generation)}],
            attributes={
                "notificationConfig": f"projects/_/buckets/{BUCKET}/notificationConfigs/1",
                "eventType": event,
                "payloadFormat": "JSON_API_V1",
                "bucketId": BUCKET,
                "objectId": f"{self._folder}/{name}",
                "objectGeneration": str(generation),
                "eventTime": "2026-05-01T12:00:00.000001Z",
                **attributes,
            },
        )


@pytest.fixture
def files(bucket, tmp_path):
    return lambda stream: Files(stream, bucket, tmp_path.name)


def lines(records):
    return "".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records)


def avro(rows):
    out = io.BytesIO()
    names = ("event_id", "type", "customer_id", "event_time")
    schema = {
        "type": "record",
        "name": "event",
        "fields": [{"name": name, "type": "string"} for name in names],
    }
    fastavro.writer(out, schema, [{name: row[name] for name in names} for row in rows], sync_interval=1_000)
    return out.getvalue()


def names_of(api):
    """The records that acted, with how often."""
    rows = api.acted()
    sessions = [row["session"] for row in rows if row["operation"] == "update_customer_session_v2"]
    events = [row["body"]["attributes"]["page"] for row in rows if row["operation"] == "track_event_v2"]
    return Counter([*sessions, *events])


def visit(name, second=0):
    return event(name, f"c-{name}", second, attributes={"page": name})


def counts_of(stream):
    """The counts that the process under way wrote at its end, by kind."""
    written = re.findall(r"(?m)^beam-talonone: (\w+): ((?:\w+ \d+(?:, )?)+)", stream.stderr())
    return {kind: {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", text)} for kind, text in written}


def test_files_of_each_format_are_applied_and_damage_is_named(stream_command, files):
    with simulator() as api:
        stream = stream_command(api, "--rate", 500, "--settle", 0.5)
        bucket = files(stream)
        stream.start()
        bucket.put("a.jsonl.gz", gzip.compress(lines([visit("j1"), "no json", visit("j2")]).encode()), kind="events")
        bucket.put("b.avro", avro([event(f"v{number}", "c") for number in range(100)]), kind="events")
        whole = avro([event(f"w{number}", "c") for number in range(100)])
        damaged = bucket.put("c.avro", whole[: len(whole) // 2], kind="events")
        bucket.put("d.csv", "event_id,type,customer_id,event_time\nc1,t,c,2026-05-01T00:00:00Z\n", kind="events")
        bucket.put("e.jsonl", "", kind="events")
        unknown = bucket.put("f.dat", "?", kind="events")
        nameless = bucket.put("g.jsonl", lines([visit("g")]))
        bucket.put("_SUCCESS", "", kind="events")
        bucket.publish("a.jsonl", 1, event="OBJECT_DELETE", kind="events")
        bucket.publish("gone.jsonl", 5, kind="events")
        wait_until(lambda: len(stream.dead_letters()) >= 5, "all dead letters", timeout=120)
        stream.wait_until_quiet(3)
        assert stream.stop() == 0, stream.stderr()
        stream.assert_empty()
        stream.assert_no_leftovers()
        acted = len(api.acted())
    by_file = {letter["source"]["file"]: letter for letter in stream.dead_letters()}
    assert len(by_file) == len(stream.dead_letters()) == 5
    reasons = {name.rpartition("/")[2].partition("#")[0]: letter["reason"] for name, letter in by_file.items()}
    assert reasons == {
        "a.jsonl.gz": "not_json",
        "c.avro": "unreadable_file",
        "f.dat": "unreadable_file",
        "g.jsonl": "missing_field",
        "gone.jsonl": "unreadable_file",
    }
    assert "--custom-attributes=kind=orders" in by_file[nameless]["detail"]
    assert "does not tell the format" in by_file[unknown]["detail"]
    gone = next(letter for name, letter in by_file.items() if name.endswith("/gone.jsonl#5"))
    assert "does not exist any more" in gone["detail"]
    before_damage = by_file[damaged]["source"]["position"] - 1
    assert 0 < before_damage < 100
    assert counts_of(stream)["events"]["applied"] == acted == 2 + 100 + before_damage + 1
    assert counts_of(stream)["files"] == {"read": 8, "finished": 6, "filtered": 2, "dead_lettered": 2}
    assert "(OBJECT_DELETE 1, marker or hidden file 1)" in stream.stderr()


def test_killed_in_the_middle_of_a_file_it_is_read_again_and_each_record_applied_once(stream_command, files):
    """Also with two notifications of each file, as from two configurations."""
    with simulator(latency_ms=20) as api:
        stream = stream_command(api, "--rate", 200, "--settle", 0.5)
        bucket = files(stream)
        stream.start()
        visits = [visit(f"e{number}", number % 60) for number in range(2_000)]
        name = bucket.put("a.jsonl", lines([*visits, "no json"]), kind="events")
        bucket.publish("a.jsonl", name.partition("#")[2], kind="events")
        wait_until(lambda: stream.requests() > 400, "some requests", timeout=60)
        stream.kill("worker")
        stream.start()
        wait_until(lambda: len(stream.dead_letters()) == 1, "the last line is read", timeout=120)
        stream.wait_until_quiet(AFTER_KILL)
        bucket.publish("a.jsonl", name.partition("#")[2], kind="events")
        time.sleep(3)
        assert stream.stop() == 0, stream.stderr()
        stream.assert_empty()
        stream.assert_no_leftovers()
        assert names_of(api) == Counter(f"e{number}" for number in range(2_000)), "each once"
        assert api.summary()["keys_misused"] == 0
    counts = counts_of(stream)
    assert counts["files"] == {"read": 1, "finished": 1, "duplicate": 2}
    assert counts["events"]["duplicate"] > 200
    assert counts["events"]["duplicate"] + counts["events"]["applied"] == 2_000
    assert [letter["source"]["position"] for letter in stream.dead_letters()] == [2_001]


def test_stopped_in_the_middle_of_a_file_nothing_is_sent_again(stream_command, files):
    with simulator(latency_ms=20) as api:
        stream = stream_command(api, "--rate", 200, "--settle", 0.5)
        bucket = files(stream)
        stream.start()
        bucket.put("a.jsonl", lines(visit(f"e{number}", number % 60) for number in range(1_000)), kind="events")
        wait_until(lambda: stream.requests() > 300, "some requests", timeout=60)
        assert stream.stop(20) == 0, stream.stderr()
        assert counts_of(stream)["files"] == {"read": 1, "given_back": 1}
        assert len(api.acted()) < 900
        stream.start()
        stream.wait_until_quiet(5)
        assert stream.stop() == 0, stream.stderr()
        stream.assert_empty()
        assert names_of(api) == Counter(f"e{number}" for number in range(1_000)), "each once"
        assert len(api.rows("requests")) == 1_000, "none was sent again"


def test_rows_of_a_mapping_and_their_replay(stream_command, files, tmp_path):
    mapping = tmp_path / "mine.yaml"
    mapping.write_text(MAPPING)
    rows = ["number;customer;at;article;amount"]
    rows += [f"o{number};c{number};2026-05-01T10:00:{number:02d}Z;A;1.10" for number in range(40)]
    rows[3] = rows[3].replace("1.10", "free")
    with simulator() as api:
        stream = stream_command(api, "--rate", 500, "--settle", 0.5, "--mapping", mapping)
        bucket = files(stream)
        stream.start()
        name = bucket.put("shop/may.csv", "\n".join(rows))
        wait_until(lambda: len(names_of(api)) == 39, "all rows but one", timeout=60)
        wait_until(stream.dead_letters, "one is a dead letter")
        assert stream.stop() == 0, stream.stderr()
        [letter] = stream.dead_letters()
        place = {"file": name, "position": 4, "format": "csv", "row": 3}
        assert {field: letter["source"][field] for field in place} == place
        assert (letter["record"]["number"], letter["reason"]) == ("o2", "bad_row")
        [path] = (stream.folder / "letters").glob("*.jsonl")
        path.write_text(path.read_text().replace('"free"', '"1.10"'))
        run = cli(
            "replay", path, "--output", tmp_path / "replay", "--base-url", api.url, "--mapping", mapping, "--yes"
        )
        assert run.code == FINISHED, run.err
        assert names_of(api) == Counter(f"o{number}" for number in range(40)), "each once"


def test_a_bucket_that_goes_away_in_the_middle_of_a_file(stream_command, files, bucket):
    with simulator() as api:
        stream = stream_command(api, "--rate", 1_000, "--settle", 0.2, "--bulk-age", 0.2)
        folder = files(stream)
        stream.start()
        rows = 60_000  # 18 requests
        records = (profile(f"p{number}", 1, attributes={"note": f"{number:0200d}"}) for number in range(rows))
        folder.put("a.jsonl", lines(records), kind="profiles")
        wait_until(lambda: stream.requests() > 0, "it is being sent", timeout=60)
        bucket.stop()
        try:
            wait_until(lambda: "cannot be read" in stream.stderr(), "it is reported", timeout=90)
        finally:
            bucket.start()
        stream.wait_until_quiet(10, timeout=300)
        assert stream.stop() == 0, stream.stderr()
        stream.assert_empty()
        assert counts_of(stream)["profiles"] == {"read": rows, "applied": rows}, "each row once"
        assert counts_of(stream)["files"] == {"read": 1, "finished": 1}
        print(stream.stderr())


def most_memory(pid):
    """The largest resident memory of a process so far, in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) / 1024


def test_the_memory_does_not_grow_with_the_file(stream_command, files, record_property):
    with simulator() as api:
        measured = {}
        for rows in (2_000, 200_000):
            stream = stream_command(api, "--rate", 1_000, "--settle", 0.2, "--bulk-age", 0.2)
            bucket = files(stream)
            stream.start()
            records = (profile(f"p{number}", 1, attributes={"note": f"{number:0200d}"}) for number in range(rows))
            bucket.put("a.jsonl.gz", gzip.compress(lines(records).encode(), 1), kind="profiles")
            wait_until(lambda stream=stream: stream.requests() > stream.before, "it is sent", timeout=120)
            stream.wait_until_quiet(5, timeout=400)
            measured[rows] = most_memory(stream.process.pid)
            assert stream.stop() == 0, stream.stderr()
            assert counts_of(stream)["profiles"] == {"read": rows, "applied": rows}
            assert counts_of(stream)["files"] == {"read": 1, "finished": 1}
    ratio = measured[200_000] / measured[2_000]
    record_property("MiB", measured)
    print(f"{measured[2_000]:.0f} MiB with 2,000 rows, {measured[200_000]:.0f} MiB with 200,000: ratio {ratio:.2f}")
    assert ratio < 1.6
