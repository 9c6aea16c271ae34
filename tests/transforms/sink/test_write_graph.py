"""The steps of WriteToTalonOne in the graph, and the coders between them: stable, so that graphs compare."""

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_talonone import WriteToTalonOne

ANY = "pickled_python"
STEPS = {
    "One window": {"None": ANY},
    "Validate": {"None": f"kv({ANY}, {ANY})", "dead_letters": ANY},
    "Validate/ParDo(ValidateRecords)": {"None": f"kv({ANY}, {ANY})", "dead_letters": ANY},
    "By order": {"None": f"kv({ANY}, iterable({ANY}))"},
    "Find lanes": {"None": "kv(string_utf8, kv(bytes, bytes))"},
    "By customer": {"None": "kv(string_utf8, iterable(kv(bytes, bytes)))"},
    "Send": {"None": ANY, "dead_letters": ANY, "others": ANY},
    "Send/ParDo(SendLanes)": {"None": ANY, "dead_letters": ANY, "others": ANY},
    "Dead letters": {"None": ANY},
}


def coder_of(components, coder_id):
    """A coder as text, with those of its components."""
    coder = components.coders[coder_id]
    name = coder.spec.urn.split(":")[2]
    inner = ", ".join(coder_of(components, part) for part in coder.component_coder_ids)
    return f"{name}({inner})" if inner else name


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        *((kind, {}) for kind in ("orders", "returns", "profiles", "events", "calls")),
        ("orders", {"mapping": "shopify"}),
    ],
    ids=["orders", "returns", "profiles", "events", "calls", "mapping"],
)
def test_steps_and_coders_are_stable(monkeypatch, kind, settings):
    monkeypatch.setenv("TALONONE_API_KEY", "graph-key-3c1")
    pipeline = beam.Pipeline(runner=FnApiRunner())
    step = WriteToTalonOne(kind, base_url="https://shop.europe-west1.talon.one", **settings)
    _ = pipeline | beam.Create([{}]) | step
    components = pipeline.to_runner_api().components
    steps = {
        step.unique_name.partition("/")[2]: {
            tag: coder_of(components, components.pcollections[output].coder_id)
            for tag, output in step.outputs.items()
        }
        for step in components.transforms.values()
        if step.unique_name.startswith(f"WriteToTalonOne({kind})/")
    }
    assert steps == STEPS
