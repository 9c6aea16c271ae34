"""The graph that Dataflow gets: built, validated and written out here, without a cloud.

The graph uses Dataflow's own Pub/Sub steps, and keyed state with event-time timers only. Each key has one encoding,
and names do not change. Nothing that would leave this machine contains the API key.
"""

import base64
import bz2
import json
import zlib

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from e2e.harness import KEY
from support.servers.secretmanager import SECRET, secret_manager

from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.pipeline import create_pipeline
from beam_talonone.transforms.sink.keyed_send import SendLane

PROJECT = "projects/some-project"
KINDS = ("orders", "returns", "profiles", "events", "calls")
LETTERS, RESULTS = f"{PROJECT}/topics/dead-letters", f"{PROJECT}/topics/results"

STEPS = {
    *(f"Read {kind}" for kind in KINDS),
    *(f"Receive {kind}" for kind in KINDS),
    "All messages",
    "Prepare",
    "Send in order",
    "Send in order/Valid",
    "Send in order/By order",
    "Send in order/Lanes",
    "Send in order/By customer",
    "Send in order/By customer/ParDo(SendLane)",
    "Send in order/Valid/ParDo(ByKey)",
    "Send in order/All dead letters",
    "Dead letters as messages",
    "Results as messages",
    "Write dead letters",
    "Write results",
}
"""Our steps. A job that runs is updated by their names: changing one loses what its state holds."""

STATEFUL = {
    "Send in order/By order": {"states": {"lane", "waiting"}, "timers": {"ts-later"}},
    "Send in order/By customer/ParDo(SendLane)": {"states": {"note", "arrived", "lane"}, "timers": {"ts-wake"}},
}

DETERMINISTIC = {"beam:coder:string_utf8:v1", "beam:coder:bytes:v1"}

DRY_RUN = ("--dry_run=True", "--temp_location=gs://some-bucket/temp", "--staging_location=gs://some-bucket/staging")


@pytest.fixture(autouse=True, scope="module")
def key():
    """The key is there where graphs are built, as it may be on the machine of who starts a job."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALONONE_API_KEY", KEY)
        yield


def options(**more):
    subscriptions = {kind: (f"{PROJECT}/subscriptions/{kind}",) for kind in KINDS}
    given = {"dead_letters": LETTERS, "results": RESULTS, **more}
    return StreamOptions(given.pop("subscriptions", subscriptions), "https://api.example", "the-job", **given)


def beam_options(*more, **fields):
    words = [
        "--runner=DataflowRunner", "--no_auth", "--streaming", "--project=some-project", "--region=europe-west1",
        "--job_name=stream", *more,
    ]  # fmt: skip
    return PipelineOptions(words, **fields)


def graph(stream=None, *words, **fields):
    """The graph as the runner has translated it."""
    runner = DataflowRunner()
    create_pipeline(stream or options(), runner, beam_options(*(words or DRY_RUN), **fields)).run()
    return runner.proto_pipeline


@pytest.fixture(scope="module")
def translated():
    return graph()


def steps(proto):
    return {step.unique_name: step for step in proto.components.transforms.values()}


def pardos(proto):
    """Name -> ParDo of the steps that are one."""
    found = {}
    for name, step in steps(proto).items():
        if step.spec.urn == "beam:transform:pardo:v1":
            found[name] = api.ParDoPayload()
            found[name].ParseFromString(step.spec.payload)
    return found


def by_urn(proto, urn):
    return [step for step in proto.components.transforms.values() if step.spec.urn == urn]


def test_it_reads_and_writes_with_dataflows_own_steps(translated):
    read = set()
    for step in by_urn(translated, "beam:transform:pubsub_read:v1"):
        payload = api.PubSubReadPayload()
        payload.ParseFromString(step.spec.payload)
        assert payload.with_attributes
        assert payload.timestamp_attribute == "", "a record's time is when it was published"
        read.add(payload.subscription)
    assert read == {f"{PROJECT}/subscriptions/{kind}" for kind in KINDS}
    written = set()
    for step in by_urn(translated, "beam:transform:pubsub_write:v1"):
        payload = api.PubSubWritePayload()
        payload.ParseFromString(step.spec.payload)
        written.add(payload.topic)
    assert written == {LETTERS, RESULTS}


def test_it_keeps_its_records_in_keyed_state(translated):
    found = {
        name: {"states": set(pardo.state_specs), "timers": set(pardo.timer_family_specs)}
        for name, pardo in pardos(translated).items()
        if pardo.state_specs or pardo.timer_family_specs
    }
    assert found == STATEFUL
    assert "beam:requirement:pardo:stateful:v1" in translated.requirements


def test_all_timers_go_by_the_time_of_events(translated):
    timers = [timer for pardo in pardos(translated).values() for timer in pardo.timer_family_specs.values()]
    assert len(timers) == 2
    assert {timer.time_domain for timer in timers} == {api.TimeDomain.EVENT_TIME}


def test_each_key_has_one_encoding(translated):
    components = translated.components
    for name in STATEFUL:
        (collection,) = steps(translated)[name].inputs.values()
        coder = components.coders[components.pcollections[collection].coder_id]
        assert coder.spec.urn == "beam:coder:kv:v1"
        key, value = (components.coders[one] for one in coder.component_coder_ids)
        assert {key.spec.urn, value.spec.urn} <= DETERMINISTIC


def test_names_do_not_change(translated):
    inside = ("Read ", "Write ")
    ours = {name for name in steps(translated) if name and not (name.startswith(inside) and "/" in name)}
    assert ours - {name for name in ours if name.startswith("ref_")} == STEPS


def test_a_graph_of_one_kind_has_the_same_names():
    one = graph(options(subscriptions={"orders": (f"{PROJECT}/subscriptions/orders",)}, results=None))
    names = {name for name in steps(one) if name in STEPS}
    assert names == {
        name for name in STEPS if "esults" not in name and name.rsplit(" ", 1)[-1] not in set(KINDS) - {"orders"}
    }


def test_several_subscriptions_of_a_kind_have_steps_of_their_own():
    """The first has the names of a job with one; a further one is named by itself, wherever it stands."""
    first, more, other = (
        f"{PROJECT}/subscriptions/orders",
        f"{PROJECT}/subscriptions/more",
        "projects/another/subscriptions/more",
    )

    def read(*names):
        several = graph(options(subscriptions={"orders": names, "events": (f"{PROJECT}/subscriptions/events",)}))
        found = {}
        for step in by_urn(several, "beam:transform:pubsub_read:v1"):
            payload = api.PubSubReadPayload()
            payload.ParseFromString(step.spec.payload)
            found[step.unique_name.split("/")[0]] = payload.subscription
        receive = {
            name.removeprefix("Receive ")
            for name in steps(several)
            if name.startswith("Receive ") and "/" not in name
        }
        assert receive == {name.removeprefix("Read ") for name in found}
        return found

    events = {"Read events": f"{PROJECT}/subscriptions/events"}
    assert read(first) == {"Read orders": first, **events}
    assert read(first, more, other) == {
        "Read orders": first, "Read orders from more in some-project": more,
        "Read orders from more in another": other, **events,
    }  # fmt: skip
    assert read(first, other) == {"Read orders": first, "Read orders from more in another": other, **events}


def test_a_subscription_of_several_kinds_changes_no_other_name(translated):
    subscriptions = {kind: (f"{PROJECT}/subscriptions/{kind}",) for kind in (*KINDS, "records")}
    several = graph(options(subscriptions=subscriptions))
    inside = ("Read ", "Write ")

    def ours(proto):
        return {name for name in steps(proto) if name and not (name.startswith(inside) and "/" in name)}

    assert ours(several) == ours(translated) | {"Read records", "Receive records"}


def hidden(data, depth=0):
    """Everything that bytes may hold: themselves, and what they are the base64, bz2 or zlib of, in any depth.

    Encoded text is looked for inside, as it stands among other bytes (in JSON, in protobuf, in pickles).
    """
    yield data
    if depth < 6:
        for part in _encoded(data):
            for unpack in (base64.b64decode, base64.urlsafe_b64decode, bz2.decompress, zlib.decompress):
                try:
                    inner = unpack(part)
                except Exception:
                    continue
                if inner and inner != part:
                    yield from hidden(inner, depth + 1)


def _encoded(data):
    yield data
    alphabet = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
    run = bytearray()
    for byte in data + b"\0":
        if byte in alphabet:
            run.append(byte)
            continue
        if len(run) >= 16 and len(run) < len(data):
            yield bytes(run)
        run.clear()
    for magic in (b"BZh", b"\x78\x9c", b"\x78\xda", b"\x78\x01"):
        start = data.find(magic)
        while start > 0:
            yield data[start:]
            start = data.find(magic, start + 1)


def holds_key(data):
    return any(KEY.encode() in found for found in hidden(data))


def payloads(proto):
    """All that a graph carries beside names."""
    components = proto.components
    for step in components.transforms.values():
        yield step.unique_name, step.spec.payload
        if step.spec.urn == "beam:transform:pardo:v1":
            pardo = api.ParDoPayload()
            pardo.ParseFromString(step.spec.payload)
            yield step.unique_name, pardo.do_fn.payload
    for name, coder in components.coders.items():
        yield name, coder.spec.payload
    for name, strategy in components.windowing_strategies.items():
        yield name, strategy.SerializeToString()
    for name, environment in components.environments.items():
        yield name, environment.SerializeToString()
    yield "the whole", proto.SerializeToString()


def found_in(proto):
    return [name for name, payload in payloads(proto) if holds_key(payload)]


def test_no_key_is_in_the_graph(translated):
    assert found_in(translated) == []


def test_a_key_in_a_step_would_be_found(monkeypatch):
    """The search itself: a step that holds the key is a pickle, compressed, in base64."""
    plain = SendLane.__init__

    def careless(self, config, *rest):
        plain(self, config, *rest)
        self._key = KEY

    monkeypatch.setattr(SendLane, "__init__", careless)
    careless_graph = graph()
    assert "Send in order/By customer/ParDo(SendLane)" in found_in(careless_graph)
    assert KEY.encode() not in careless_graph.SerializeToString(), "it is not there in clear"


def test_a_secret_travels_by_its_name_and_is_not_read_where_a_job_is_started(monkeypatch):
    with secret_manager(KEY) as fake:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", fake.host)
        named = graph(options(api_key_secret=SECRET))
        assert found_in(named) == []
        (lanes,) = (pardo for name, pardo in pardos(named).items() if name.endswith("ParDo(SendLane)"))
        assert any(SECRET.encode() in found for found in hidden(lanes.do_fn.payload))
        assert fake.reads == []


def posted(folder, *more):
    """(name, bytes) of the job as it would be posted, and of what it would put into the cloud."""
    folder.mkdir()
    words = [
        f"--template_location={folder / 'job.json'}", f"--staging_location={folder}", f"--temp_location={folder}",
        "--dataflow_endpoint=http://localhost:1", *more,
    ]  # fmt: skip
    graph(None, *words)
    return [(path.name, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]


def test_no_key_is_in_the_job_as_it_is_posted(tmp_path):
    files = dict(posted(tmp_path / "plain"))
    assert {"job.json", "pipeline.pb"} <= set(files)
    assert [name for name, data in files.items() if holds_key(data)] == []
    job = json.loads(files["job.json"])
    assert job["type"] == "JOB_TYPE_STREAMING"
    proto = api.Pipeline()
    proto.ParseFromString(files["pipeline.pb"])
    assert found_in(proto) == []
    assert len(by_urn(proto, "beam:transform:pubsub_read:v1")) == len(KINDS)


def test_a_key_in_an_option_would_be_found(tmp_path):
    files = posted(tmp_path / "careless", f"--labels=key={KEY}")
    assert "job.json" in [name for name, data in files if holds_key(data)]
