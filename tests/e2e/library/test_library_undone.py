"""A worker that lives tries a bundle of WriteToTalonOne again: the records in it do not undo what came after them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.transforms.runtime.engines import EngineConfig, close_engine, engine_config
from beam_talonone.transforms.sink.write_steps import SendLanes
from e2e.harness import KEY, Json, Simulator, order, profile, simulator

COUNT = 20


@pytest.fixture
def api() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


@pytest.fixture
def config(api: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineConfig]:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    made = engine_config(api.url, "TALONONE_API_KEY", 1000.0, 64, 300.0)
    yield made
    close_engine(made)


def run_bundle(config: EngineConfig, kind: str, groups: dict[str, list[Json]], job: str = "job") -> Counter[str]:
    """How the records of one bundle end."""

    def packed(record: Json) -> tuple[bytes, bytes]:
        work = build(kind, parse(kind, record).record, BuildOptions(profile_mode="rules"))
        return work.to_bytes(), jsonio.dumps(record)

    step = SendLanes(config, SendOptions(), "step", job)
    step.start_bundle()
    outputs: list[Any] = []
    for customer, records in groups.items():
        outputs += step.process((customer, [packed(record) for record in records]))
    return Counter(_bare(output)["outcome"] for output in (*outputs, *step.finish_bundle()))


def _bare(output: Any) -> Json:
    while not isinstance(output, dict):
        output = output.value
    return output


def test_an_erasure_erases_no_later_change(api: Simulator, config: EngineConfig) -> None:
    """An erasure has no key, so it would act again. The change after it has one, and would not."""
    groups = {
        f"c{n}": [profile(f"c{n}", 1, {"old": n}), profile(f"c{n}", 2, erase=True), profile(f"c{n}", 3, {"new": n})]
        for n in range(COUNT)
    }
    for _ in range(2):
        assert run_bundle(config, "profiles", groups) == {"applied": 3 * COUNT}
    kept = {name: row["attributes"] for name, row in api.profiles().items()}
    assert kept == {f"c{n}": {"new": n} for n in range(COUNT)}


def test_a_cancellation_that_had_nothing_to_cancel_cancels_no_later_version(
    api: Simulator, config: EngineConfig
) -> None:
    """The first try skips it. The next one finds the session of the later version, and must not cancel that."""
    groups = {
        f"c{n}": [order(f"o{n}", f"c{n}", "cancelled", 1), order(f"o{n}", f"c{n}", "completed", 2)]
        for n in range(COUNT)
    }
    for _ in range(2):
        assert run_bundle(config, "orders", groups) == {"skipped": COUNT, "applied": COUNT}
    assert Counter(row["state"] for row in api.sessions().values()) == {"closed": COUNT}


def test_an_erasure_of_another_step_acts(api: Simulator, config: EngineConfig) -> None:
    """It is not the retry of a bundle, and the customer may have come back."""
    for job in ("one", "two"):
        run_bundle(config, "profiles", {"c": [profile("c", 1, erase=True)]}, job)
    assert len([row for row in api.rows("requests") if row["operation"] == "delete_customer_data"]) == 2
