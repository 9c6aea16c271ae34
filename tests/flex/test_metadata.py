"""The metadata of the templates: valid for Dataflow, with the parameters of the entry module."""

import inspect
import json
import re
from pathlib import Path

import pytest
from google.cloud import dataflow_v1beta3 as dataflow
from google.protobuf import json_format

from beam_talonone.pipelines.cli.group import function_of
from beam_talonone.pipelines.distributed.template_parameters import TEMPLATES

FOLDER = Path(__file__).parents[2] / "templates"
TEXTS = {name: (FOLDER / f"{name}.json").read_text(encoding="utf-8") for name in TEMPLATES}
PARAMETERS = {name: {one["name"]: one for one in json.loads(text)["parameters"]} for name, text in TEXTS.items()}

SECRET = "projects/some-project/secrets/talonone-api-key"
IMAGE = "europe-west1-docker.pkg.dev/some-project/beam-talonone/stream"
SUBSCRIPTION, TOPIC = "projects/some-project/subscriptions/orders", "projects/some-project/topics/dead-letters"

FILES = (
    ["gs://bucket/orders/*.jsonl", "gs://my.bucket-1/a b.avro"],
    ["", "gs://bucket", "gs://B/x", "/tmp/x", "s3://b/x"],
)
SUBSCRIPTIONS = (
    [SUBSCRIPTION, "projects/example.com:some-project/subscriptions/a.b~c", f"{SUBSCRIPTION},{SUBSCRIPTION}-2"],
    [
        "", "orders", TOPIC, "projects/p/subscriptions/orders", "projects/some-project/subscriptions/ab",
        f"{SUBSCRIPTION},", f"{SUBSCRIPTION}, {SUBSCRIPTION}-2", f"{SUBSCRIPTION},{TOPIC}", f"{SUBSCRIPTION} ",
    ],
)  # fmt: skip
TOPICS = ([TOPIC], ["", SUBSCRIPTION, "gs://bucket/letters", "dead-letters"])
TIMES = (
    ["2026-01-01T00:00:00Z", "2026-01-01 00:00:00.5+02:00", "2026-01-01T00:00:00"],
    ["", "2026-01-01", "yesterday", "2026-01-01T00:00Z", "01/02/2026"],
)
ABOVE_0 = (["1", "100", "0.5", "99.5", "999999"], ["", "0", "0.0", "-1", "1e3", "1000000", "many"])
WHOLE = (["1", "64", "999999"], ["", "0", "1.5", "-1", "064"])
SECONDS = (["0", "5", "0.25", "691200"], ["", "-1", "5s", "1e3"])
TRUTHS = (["true", "false"], ["", "yes", "1", "TRUE", "true "])

SHARED = {
    "profile_mode": (["bulk", "rules"], ["", "Bulk", "bulkrules"]),
    "allow_unknown_api_fields": TRUTHS,
    "events_api": (["v2", "v3"], ["", "v1", "v23"]),
    "edit_closed": (["reopen"], ["", "true", "reopened"]),
    "assume_timezone": (["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"], ["", "+02:00"]),
    "ambiguous_time": (["earlier", "later"], ["", "fold", "Earlier"]),
    "attributes": (["gs://bucket/attributes.json", "gs://bucket/a b.txt"], ["", "gs://bucket", "attributes.json"]),
    "unknown_attributes": (["fail", "drop"], ["", "ignore"]),
    "max_future": (["1d", "90s", "30m", "12h", "0s"], ["", "1", "1w", "-1d", "1.5h", "1d12h"]),
    "unknown_fields": (["refuse", "ignore"], ["", "true", "ignored"]),
    "base_url": (
        ["https://yourcompany.europe-west1.talon.one", "https://a.example:8443/base", "http://a.example"],
        ["", "ftp://a.example", "a.example", "https://a.example?x=1", "https://user:pass@a.example", "https://a b"],
    ),
    "api_key_secret": (
        [SECRET, f"{SECRET}/versions/3", f"{SECRET}/versions/latest"],
        ["", "talonone-api-key", "4f9c1d7ab2", f"{SECRET}/versions/", f"{SECRET}/3", f"{SECRET} "],
    ),
    "rate": ABOVE_0,
    "rate_service": (
        ["ratelimit.internal:8081", "10.0.0.7:8081", "[fd00::7]:8081"],
        ["", "ratelimit", "ratelimit:", ":8081", "http://ratelimit:8081", "ratelimit:0", "ratelimit:123456", "a b:1"],
    ),
    "concurrency": WHOLE,
    "http_client": (["auto", "fast", "httpx"], ["", "curl", "fasthttpx"]),
    "client_cert": (["/certs/client.pem"], ["", "client.pem", "gs://bucket/client.pem"]),
    "ca_bundle": (["/certs/ca.pem"], ["", "ca.pem", "gs://bucket/ca.pem"]),
    "insecure": TRUTHS,
    "sdk_container_image": (
        [f"{IMAGE}:0.1.0", f"{IMAGE}@sha256:{'0f' * 32}", "gcr.io/p/i:1", "localhost:5000/i:1"],
        ["", IMAGE, "stream:1", f"{IMAGE}@sha256:12", f"{IMAGE}:"],
    ),
    "debug": TRUTHS,
}
VALUES = {
    "backfill": {
        **dict.fromkeys(("orders", "returns", "profiles", "events", "calls"), FILES),
        "output": (["gs://bucket/jobs/first"], ["", "gs://bucket", "gs://bucket/jobs/*", "out"]),
        "resume": TRUTHS,
        "since": TIMES,
        "until": TIMES,
        "format": (["jsonl", "json", "avro", "csv", "parquet"], ["", "JSON", "CSV"]),
        "mapping": (["shopify", "/mappings/shop.yaml", "shop.maps:orders"], ["", "a b"]),
        "dry": TRUTHS,
        "results": TRUTHS,
        "profiles_first": TRUTHS,
        "disk_size_gb": (["30", "100", "65535"], ["", "0", "5", "100.5", "-1"]),
        "give_up_after": ABOVE_0,
        "api_is_up": TRUTHS,
        "max_dead_letters": (["0", "100", "10%", "0.5%", "100%"], ["", "%", "101%", "0.5", "-1", "half"]),
        "shards": (["1", "20", "1000"], ["", "0", "1001", "2.5"]),
        **SHARED,
    },
    "stream": {
        **dict.fromkeys(("orders", "returns", "profiles", "events", "calls", "records"), SUBSCRIPTIONS),
        "dead_letters": TOPICS,
        "results": TOPICS,
        "settle": SECONDS,
        "wait_for_order": SECONDS,
        "remember": SECONDS,
        "mapping": (["shopify", "/mappings/shop.yaml", "shop.maps:orders"], ["", "a b"]),
        "avro_schema": (
            ["gs://bucket/order.avsc", "gs://bucket/schemas/a b.json"],
            ["", "gs://bucket", "order.avsc"],
        ),
        "max_num_workers": (["1", "20"], ["", "0", "1.5", "-1"]),
        **SHARED,
    },
}
CASES = [(template, name) for template, parameters in VALUES.items() for name in parameters]


@pytest.mark.parametrize("name", TEMPLATES)
def test_dataflow_takes_it(name):
    """Fields that Dataflow's own message does not have are refused by the parser."""
    metadata = dataflow.TemplateMetadata.pb(dataflow.TemplateMetadata())
    json_format.Parse(TEXTS[name], metadata)
    assert metadata.name
    assert metadata.description
    assert len(metadata.parameters) == len(PARAMETERS[name]), "a name stands there twice"
    for parameter in metadata.parameters:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", parameter.name)
        assert parameter.label
        assert parameter.help_text.endswith(".")
        assert parameter.param_type != dataflow.ParameterType.DEFAULT
        assert len(parameter.regexes) == 1


def test_a_wrong_field_would_be_found():
    text = TEXTS["stream"].replace('"helpText"', '"help"', 1)
    with pytest.raises(json_format.ParseError):
        json_format.Parse(text, dataflow.TemplateMetadata.pb(dataflow.TemplateMetadata()))


@pytest.mark.parametrize("name", TEMPLATES)
def test_its_parameters_are_those_of_the_entry_module(name):
    assert set(PARAMETERS[name]) == set(TEMPLATES[name].parameters)
    flags = {one["name"] for one in PARAMETERS[name].values() if one["paramType"] == "BOOLEAN"}
    assert flags == set(TEMPLATES[name].flags)


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("backfill", {"output", "base_url", "api_key_secret", "sdk_container_image"}),
        ("stream", {"dead_letters", "base_url", "api_key_secret", "sdk_container_image"}),
    ],
)
def test_what_cannot_be_left_out(name, needed):
    assert {one for one, fields in PARAMETERS[name].items() if not fields.get("isOptional")} == needed


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_key_is_no_parameter(name):
    assert [one for one in PARAMETERS[name] if "key" in one] == ["api_key_secret"]


def test_every_parameter_has_its_values():
    assert {name: set(values) for name, values in VALUES.items()} == {name: set(p) for name, p in PARAMETERS.items()}


@pytest.mark.parametrize(("template", "name"), CASES)
def test_the_expression_accepts_right_values_and_refuses_wrong_ones(template, name):
    [pattern] = PARAMETERS[template][name]["regexes"]
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    right, wrong = VALUES[template][name]
    assert [value for value in right if not re.search(pattern, value)] == []
    assert [value for value in wrong if re.search(pattern, value)] == []


@pytest.mark.parametrize(("template", "name"), CASES)
def test_the_expression_is_one_that_re2_knows(template, name):
    [pattern] = PARAMETERS[template][name]["regexes"]
    assert not re.search(r"\(\?|\\[1-9]|[*+?}]\+", pattern), "no look-around, back-references or possessive repeats"


ENUMS = [case for case in CASES if "enumOptions" in PARAMETERS[case[0]][case[1]]]


@pytest.mark.parametrize(("template", "name"), ENUMS)
def test_choices_are_those_of_the_expression(template, name):
    fields = PARAMETERS[template][name]
    assert fields["regexes"] == [f"^({'|'.join(choice['value'] for choice in fields['enumOptions'])})$"]
    assert fields["paramType"] == "ENUM"


@pytest.mark.parametrize(("template", "name"), CASES)
def test_a_default_in_the_help_is_that_of_the_command_line(template, name):
    documented = re.search(r"Default: ([\w.%]*\w%?)", PARAMETERS[template][name]["helpText"])
    if (
        documented is None or name == "shards" or name in TEMPLATES[template].beam
    ):  # that of shards depends on the rate
        return
    default = inspect.signature(function_of(template)).parameters[name].default
    assert documented[1] == str(default).removesuffix(".0")


@pytest.mark.parametrize(
    ("name", "streaming", "default"), [("stream", True, "EXACTLY_ONCE"), ("backfill", False, "UNSPECIFIED")]
)
def test_it_says_which_streaming_modes_it_supports(name, streaming, default):
    """A default is valid only where both modes are supported."""
    metadata = json_format.Parse(TEXTS[name], dataflow.TemplateMetadata.pb(dataflow.TemplateMetadata()))
    modes = (metadata.streaming, metadata.supports_at_least_once, metadata.supports_exactly_once)
    assert modes == (streaming,) * 3
    assert metadata.default_streaming_mode == default
    assert {"streaming", "supportsAtLeastOnce", "supportsExactlyOnce", "defaultStreamingMode"} <= set(
        json.loads(TEXTS[name])
    )
