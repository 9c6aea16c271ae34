"""In a pipeline of the user's own, nothing shows an outage but the log."""

import logging

import pytest

from beam_talonone.talonone.delivery.outage_monitor import OutageMonitor
from beam_talonone.talonone.delivery.retry_budget import Circuit
from beam_talonone.talonone.http.responses import Answer, Verdict

FAILED = Answer(503, Verdict.RETRY, None, "may quote the record")


def warnings_of(caplog, seconds, *, in_code=True, give_up_after=None, successes=()):
    """The warnings of a monitor that checks an API which fails from 0.0 on at each of `seconds`."""
    circuit = Circuit(known_up=False)
    monitor = OutageMonitor("http://api", give_up_after, circuit, in_code=in_code)
    with caplog.at_level(logging.WARNING):
        for now in seconds:
            if now in successes:
                circuit.works(float(now))
            else:
                circuit.fails(float(now), 1, reachable=False)
                monitor.check(float(now), FAILED)
    return [record.getMessage() for record in caplog.records]


def test_an_outage_is_logged_after_five_seconds_and_then_every_half_minute(caplog):
    start = "no request to http://api has succeeded for"
    assert warnings_of(caplog, range(70)) == [
        f"{start} {seconds} s; trying again status=503" for seconds in (5, 35, 65)
    ]


@pytest.mark.parametrize(("limit", "ending"), [(None, "trying again"), (300.0, "trying again up to 300 s")])
def test_the_warning_names_the_limit(caplog, limit, ending):
    [line] = warnings_of(caplog, range(8), give_up_after=limit)
    assert line == f"no request to http://api has succeeded for 5 s; {ending} status=503"


def test_a_new_outage_is_logged_anew(caplog):
    assert len(warnings_of(caplog, range(20), successes=(10,))) == 2


def test_short_failures_are_not_logged(caplog):
    assert warnings_of(caplog, range(20), successes=range(0, 20, 4)) == []


def test_the_commands_show_an_outage_themselves(caplog):
    assert warnings_of(caplog, range(20), in_code=False) == []
