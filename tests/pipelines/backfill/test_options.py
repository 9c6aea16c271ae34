"""Settings as text: what is taken, and what is refused with the option's name."""

import pickle
from dataclasses import replace
from datetime import timedelta

import pytest

from beam_talonone.pipelines.backfill.options import (
    InputOptions,
    parse_max_dead_letters,
    parse_time_option,
    parse_zone,
)
from beam_talonone.pipelines.backfill.output_folder import compare_options
from beam_talonone.pipelines.cli.parameters.api import ApiParameters
from beam_talonone.pipelines.cli.settings import globs_of, sending_options
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.talonone.errors import ConfigurationError


def test_a_share_is_judged_from_a_thousand_records_on() -> None:
    half = parse_max_dead_letters("50%")
    assert not half.exceeded(999, 999)
    assert not half.exceeded(500, 1000)
    assert half.exceeded(501, 1000)


def test_a_number_is_judged_at_once() -> None:
    ten = parse_max_dead_letters("10")
    assert not ten.exceeded(10, 10)
    assert ten.exceeded(11, 11)


def test_none_at_all_can_be_asked_for() -> None:
    assert parse_max_dead_letters("0").exceeded(1, 1)
    assert not parse_max_dead_letters("100%").exceeded(5000, 5000)


@pytest.mark.parametrize("text", ["", "abc", "-1", "101%", "1.5", "%", "5 %", "٥"])
def test_nonsense_is_refused_with_the_option_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--max-dead-letters"):
        parse_max_dead_letters(text)


def test_times_need_an_offset_or_a_zone() -> None:
    with pytest.raises(ConfigurationError, match="--since '2026-01-01T00:00:00'"):
        parse_time_option("--since", "2026-01-01T00:00:00", Reading())
    berlin = parse_time_option("--since", "2026-01-01T00:00:00", Reading(parse_zone("Europe/Berlin")))
    assert berlin is not None
    assert berlin.isoformat() == "2025-12-31T23:00:00+00:00"


@pytest.mark.parametrize("zone", ["Nowhere/Town", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="--assume-timezone"):
        parse_zone(zone)


NEW = ("--ambiguous-time", "--max-future", "--unknown-fields")


def test_a_job_of_an_older_version_can_be_resumed() -> None:
    """Its job.json does not name the newer options: that stands for their defaults."""
    usual = InputOptions({"orders": "o.jsonl"})
    older = {"command": "backfill", "options": {k: v for k, v in usual.as_json().items() if k not in NEW}}
    for same in (usual, replace(usual, max_future="24h")):
        compare_options("out", older, {"command": "backfill", "options": same.as_json()})
    for name, other in zip(
        NEW, ({"ambiguous_time": "later"}, {"max_future": "2d"}, {"unknown_fields": "ignore"}), strict=True
    ):
        with pytest.raises(ConfigurationError, match=name):
            compare_options("out", older, {"command": "backfill", "options": replace(usual, **other).as_json()})


@pytest.mark.parametrize("text", ["", "7", "soon", "-1d", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--max-future: .* is not a duration such as 90s, 30m, 12h or 7d"):
        InputOptions({}, max_future=text).reading()


def test_how_records_are_read_travels_in_graphs() -> None:
    options = StreamOptions({}, "https://api.example", "job", assume_timezone="Europe/Berlin", max_future="2h")
    reading = pickle.loads(pickle.dumps(options.reading()))
    assert reading == options.reading()
    assert (str(reading.assume_timezone), reading.max_future) == ("Europe/Berlin", timedelta(hours=2))


@pytest.mark.parametrize("secret", [None, "projects/p/secrets/s", "projects/p/secrets/s/versions/3"])
def test_options_carry_the_name_of_a_secret(secret: str | None) -> None:
    sending = sending_options(ApiParameters(base_url="https://api.example", api_key_secret=secret))
    assert (sending.api_key_env, sending.api_key_secret) == ("TALONONE_API_KEY", secret)
    stream = StreamOptions({}, "https://api.example", "job", api_key_secret=secret)
    assert stream.engine_config().api_key_secret == secret


def test_what_is_no_name_of_a_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--api-key-secret takes projects/P/secrets/S"):
        sending_options(ApiParameters(base_url="https://api.example", api_key_secret="projects/p/s"))


def test_inputs_may_be_repeated_and_one_alone_stands_in_a_job_as_before() -> None:
    none = {"returns": None, "profiles": None, "events": None, "calls": None}
    assert InputOptions(globs_of(orders=["a", "a"], **none)).as_json()["--orders"] == "a"
    several = globs_of(orders=["b", "a"], **none)
    assert InputOptions(several).as_json()["--orders"] == ["b", "a"]
    assert pickle.loads(pickle.dumps(InputOptions(several))) == InputOptions(several)
