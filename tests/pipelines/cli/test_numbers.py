"""Numbers on the command line: what people write is understood, the rest is refused with an example."""

import pytest

from beam_talonone.pipelines.backfill.options import parse_time_option, parse_zone
from beam_talonone.pipelines.cli.numbers import a_second, seconds_of, whole
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.talonone.errors import ConfigurationError


@pytest.mark.parametrize(
    ("typed", "rate"),
    [
        ("100", 100.0),
        ("100/s", 100.0),
        ("6000/min", 100.0),
        ("0.5", 0.5),
        (" 7 / Sec", 7.0),
        ("360/h", 0.1),
        (3.0, 3.0),
    ],
)
def test_rates(typed: str | float, rate: float) -> None:
    assert a_second(typed) == rate


@pytest.mark.parametrize("typed", ["fast", "100/day", "100 200", "", "nan", "inf", "-1", "1e3", "100/", "١٠"])
def test_what_is_no_rate(typed: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--rate takes requests a second, such as 100, 100/s or 6000/min"):
        a_second(typed)


@pytest.mark.parametrize(("typed", "found"), [("300", 300.0), ("5m", 300.0), ("90 s", 90.0), ("8d", 691_200.0)])
def test_seconds(typed: str, found: float) -> None:
    assert seconds_of("--settle")(typed) == found
    with pytest.raises(ConfigurationError, match="--settle takes seconds"):
        seconds_of("--settle")("a while")


def test_whole_numbers() -> None:
    assert whole("--limit")("12") == 12
    for typed in ("x", "1.5", "0", "-3", "9" * 30):
        with pytest.raises(ConfigurationError, match="--limit takes a whole number from 1 up, not"):
            whole("--limit")(typed)
    with pytest.raises(ConfigurationError, match="from 1 to 1,000"):
        whole("--shards", 1, 1000)("1001")


def test_a_date_is_its_midnight_in_the_assumed_zone() -> None:
    with pytest.raises(ConfigurationError, match="write 2026-04-01T00:00:00Z, or set --assume-timezone"):
        parse_time_option("--since", "2026-04-01", Reading())
    found = parse_time_option("--since", "2026-04-01", Reading(parse_zone("Europe/Berlin")))
    assert found is not None
    assert found.isoformat() in ("2026-04-01T00:00:00+02:00", "2026-03-31T22:00:00+00:00")
