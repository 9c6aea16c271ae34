"""gs:// for input and output, with an emulator of Cloud Storage.

A backfill on Prism is stopped or killed, or its bucket fails, and its state must hold. Commands that read files in
their own process read from the bucket as well.
"""

import gzip
import io
import json
import signal
import time

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from e2e.harness import KEY, cli, order, profile, wait_until
from support.servers.storage import BUCKET

from .bucket_job import BucketJob
from .job import traffic

SESSION = "update_customer_session_v2"


@pytest.fixture
def bucket_job(api, storage, prism, tmp_path):
    def make(records, **more):
        return BucketJob(api, tmp_path, records, storage=storage, prism=prism, **more)

    return make


@pytest.fixture
def env(storage):
    return {name: storage.environment[name] for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS")}


def test_all_is_sent_once_and_told_in_the_bucket(api, bucket_job, storage):
    records = traffic(60)
    records["orders"] += ["no json", order("x", "c1", attributes={"bad": 1}), records["orders"][0]]
    job = bucket_job(records)
    code, output = job.run()
    assert code == 3, output
    job.assert_accounted()
    assert output.splitlines()[-1].endswith(f"the full report: gs://{BUCKET}/{job.job}/report.json")
    assert job.applied() == [120, 12, 15, 20]
    for number in range(60):
        states = [row["body"]["customerSession"]["state"] for row in api.acted(SESSION, session=f"o{number}")]
        assert states == ["open", "closed"]
    dead_letters = job.lines("dead-letters")
    assert sorted(dead_letter["reason"] for dead_letter in dead_letters) == ["not_json", "unknown_attribute"]
    assert {dead_letter["source"]["file"].rpartition("/")[0] for dead_letter in dead_letters} == {
        f"gs://{BUCKET}/{job.name}/in"
    }
    assert len(job.lines("results")) == 120 + 12 + 15 + 20
    assert (job.left(".part"), job.left(".let-go")) == ([], [])
    requests_before = len(api.rows("requests"))
    code, output = job.run()
    assert (code, "holds a job already" in output.splitlines()[-1]) == (2, True), output
    before = {name: storage.get(f"{job.job}/{name}") for name in storage.names(job.job)}
    code, output = job.run(resume=True)
    assert (code, "is finished: nothing was changed" in output) == (3, True), output
    assert {name: storage.get(f"{job.job}/{name}") for name in storage.names(job.job)} == before
    assert len(api.rows("requests")) == requests_before


def test_killed_and_resumed_nothing_is_lost_or_done_twice(api, bucket_job):
    api.faults("latency:ms=30")
    job = bucket_job(traffic(150), sending={"rate": 100})
    for number in range(2):
        job.kill_after(90, resume=number > 0)
    assert job.left(".let-go"), "something is in doubt"
    code, output = job.run(resume=True)
    assert code == 0, output
    job.assert_accounted()
    assert job.applied() == [300, 30, 38, 50]
    assert api.summary()["keys_misused"] == 0


def test_stopped_in_order_and_resumed_nothing_is_sent_again(api, bucket_job):
    orders = [order(f"o{n}", f"c{n % 40}", "completed", n % 20) for n in range(500)]
    job = bucket_job({"orders": orders}, sending={"rate": 100})
    process = job.start()
    wait_until(lambda: len(api.rows("requests")) > 60, "it is at work", timeout=120)
    process.send_signal(signal.SIGTERM)
    code, output = job.ended(process)
    assert (code, output.splitlines()[-1]) == (1, "beam-talonone: stopped by SIGTERM; go on with --resume")
    assert job.left(".part")
    assert job.left(".let-go") == [], "nothing is in doubt"
    assert len(api.acted()) < 500
    job.sending = {"rate": 2000}
    assert job.run(resume=True)[0] == 0
    job.assert_accounted()
    assert len(api.rows("requests")) == len(api.acted()) == 500, "none was sent again, or asked for"


def nothing_arrives(api):
    """Return a function that returns whether no request has arrived within three seconds."""
    last = [0, time.monotonic()]

    def found():
        now = len(api.rows("requests"))
        if now != last[0]:
            last[:] = [now, time.monotonic()]
        return time.monotonic() - last[1] > 3.0

    return found


def test_while_the_bucket_cannot_be_reached_it_waits(api, bucket_job, storage):
    """The records that the journal backup allows are sent, then nothing, until the bucket is back."""
    orders = [order(f"o{n}", f"c{n % 40}", "completed", n % 20) for n in range(6000)]
    job = bucket_job({"orders": orders}, sending={"rate": 400}, shards=1)
    process = job.start()
    wait_until(lambda: len(api.rows("requests")) > 200, "it is at work", timeout=120)
    storage.stop()
    try:
        wait_until(nothing_arrives(api), "nothing is sent any more", timeout=60)
        sent = len(api.rows("requests"))
        assert process.poll() is None, job.output_file.read_text()
    finally:
        storage.start()
    assert sent < len(orders), "more than was let go"
    code, output = job.ended(process)
    assert code == 0, output
    job.assert_accounted()
    assert len(api.rows("requests")) == len(api.acted()) == len(orders), "none was sent again"


def test_a_bucket_that_goes_away_may_be_the_end_and_is_gone_on_with(api, bucket_job, storage):
    """Killed while the bucket cannot be reached: what it could not write down is asked for."""
    api.faults("latency:ms=30")
    job = bucket_job(traffic(150), sending={"rate": 100})
    process = job.start()
    wait_until(lambda: len(api.rows("requests")) > 60, "it is at work", timeout=120)
    storage.stop()
    try:
        time.sleep(5)
        process.kill()
        process.wait(10)
    finally:
        storage.start()
    code, output = job.run(resume=True)
    assert code == 0, output
    job.assert_accounted()
    assert job.applied() == [300, 30, 38, 50]


def test_a_damaged_file_of_the_state_is_named(api, bucket_job, storage):
    api.faults("latency:ms=30")
    job = bucket_job(traffic(60), sending={"rate": 60}, shards=1)
    job.kill_after(20)
    [let_go] = [name.removeprefix(f"{job.job}/") for name in storage.names(job.job) if name.endswith(".let-go")]
    for name in ("job.json", let_go):
        whole = storage.get(f"{job.job}/{name}")
        storage.put(f"{job.job}/{name}", whole[:-1])
        code, output = job.run(resume=True)
        expected = f"gs://{BUCKET}/{job.job}/{name} is damaged"
        assert (code, expected in output.splitlines()[-1]) == (2, True), output
        storage.put(f"{job.job}/{name}", whole)
    job.sending = {"rate": 2000}
    assert job.run(resume=True)[0] == 0
    job.assert_accounted()


def test_what_is_wrong_is_one_line(api, bucket_job):
    job = bucket_job({"orders": [order("o", "c")]})
    for glob, why in (
        (f"gs://{BUCKET}/none/*.jsonl", "no file matches"),
        ("gs://no-such-bucket/orders-*.jsonl", "cannot be listed: NotFound: "),
    ):
        job.globs["orders"] = glob
        code, output = job.run()
        assert (code, len(output.splitlines())) == (2, 1), output
        assert f"{glob}: {why}" in output
    assert job.left("") == []
    assert api.rows("requests") == []


def in_format(name, orders):
    if name.endswith(".gz"):
        return gzip.compress("".join(f"{json.dumps(one)}\n" for one in orders).encode())
    out = io.BytesIO()
    columns = ("order_id", "customer_id", "status", "event_time")
    items = [{"sku": "s", "quantity": 1}]
    rows = [{**{column: one[column] for column in columns}, "items": items} for one in orders]
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=50)
    else:
        item = {"type": "record", "name": "item", "fields": [
            {"name": "sku", "type": "string"}, {"name": "quantity", "type": "int"},
        ]}  # fmt: skip
        fields = [{"name": column, "type": "string"} for column in columns]
        fields.append({"name": "items", "type": {"type": "array", "items": item}})
        fastavro.writer(out, {"type": "record", "name": "order", "fields": fields}, rows, codec="deflate")
    return out.getvalue()


@pytest.mark.parametrize("name", ["orders.jsonl.gz", "orders.avro", "orders.parquet"])
def test_a_backfill_in_this_process_reads_it(api, storage, env, tmp_path, name):
    orders = [order(f"o{n}", f"c{n}", "completed", n % 20) for n in range(300)]
    glob = storage.put(f"{tmp_path.name}/{name}", in_format(name, orders))
    words = ("backfill", "--orders", glob, "--output", tmp_path / "out", "--base-url", api.url, "--rate", 3000)
    ended = cli(*words, "--yes", env=env)
    assert ended.code == 0, ended.err
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["kinds"]["orders"]["applied"], report["unaccounted"]) == (300, 0)
    assert {row["session"] for row in api.acted()} == {f"o{n}" for n in range(300)}
    requests_before = len(api.rows("requests"))
    assert cli(*words, "--yes", "--resume", env=env).code == 0
    assert len(api.rows("requests")) == requests_before


def test_a_changed_input_is_noticed(api, storage, env, tmp_path):
    orders = "".join(f"{json.dumps(order(f'o{n}', 'c'))}\n" for n in range(30))
    glob = storage.put(f"{tmp_path.name}/orders.jsonl", orders)
    words = ("backfill", "--orders", glob, "--output", tmp_path / "out", "--base-url", api.url, "--yes")
    assert cli(*words, "--limit", 10, env=env).code == 0
    storage.put(f"{tmp_path.name}/orders.jsonl", orders.replace("o29", "o30"))
    ended = cli(*words, "--resume", env=env)
    ended.says(2, "the input has changed", f"{glob} has another size or time")


def test_check_counts_what_is_in_a_bucket(storage, env, tmp_path):
    storage.put(f"{tmp_path.name}/in/a.jsonl", f"{json.dumps(profile('c', attributes={'tier': 'one'}))}\nno json\n")
    storage.put(f"{tmp_path.name}/in/deep/b.jsonl", f"{json.dumps(profile('d', attributes={'tier': 'one'}))}\n")
    for glob, valid in (("*.jsonl", 1), ("**.jsonl", 2)):
        ended = cli("check", "--profiles", f"gs://{BUCKET}/{tmp_path.name}/in/{glob}", "--show", 9, env=env)
        assert ended.code == 3, ended.err
        assert "not_json" in ended.err
        shown = [json.loads(line) for line in ended.out.splitlines()]
        assert len([one for one in shown if one["operation"] == "update_customer_profiles_v2"]) == valid, ended.out
        assert KEY not in ended.out
