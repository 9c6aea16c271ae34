"""Is the stream well: the table of ailments, what is said of them and how often, and who asks over HTTP."""

import dataclasses
import socket
import struct
import threading
import urllib.error
import urllib.request

import pytest

from beam_talonone.pipelines.health import OUTAGE, RATE_OUTAGE, STUCK, HealthServer, Said, Signs, ailment
from beam_talonone.talonone.errors import ConfigurationError

WELL = Signs(None, None, None, down_for=0.0, moving=0, quiet_for=0.0, stopping=False)


def metrics(accept):
    return f"asked for {accept or 'anything'}".encode(), "text/plain; version=0.0.4; charset=utf-8"


def signs(**some):
    return dataclasses.replace(WELL, **some)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (WELL, None),
        (signs(moving=5), None),
        (signs(moving=5, quiet_for=STUCK - 1), None),
        (signs(moving=5, quiet_for=STUCK), "5 messages wait, and none has ended for 60 s"),
        (signs(quiet_for=100_000.0), None),  # nothing came for a day
        (signs(down_for=OUTAGE - 1, moving=5), None),
        (signs(down_for=OUTAGE, moving=5), "the API has not answered any request for 30 s; 5 messages wait"),
        (signs(trouble="cannot read s"), "cannot read s"),
        (signs(refusal="the key is refused"), "the key is refused"),
        (signs(failure="a defect"), "a defect"),
        (signs(stopping=True), "stopping"),
        (signs(rate_service="rates:8081", moving=5), None),
        (signs(rate_service="rates:8081", rate_outage=(RATE_OUTAGE - 1, "UNAVAILABLE"), moving=5), None),
        (
            signs(rate_service="rates:8081", rate_outage=(RATE_OUTAGE, "UNAVAILABLE: refused"), moving=5),
            "the rate limit service at rates:8081 does not answer since 5 s (UNAVAILABLE: refused);"
            " nothing is sent without it, 5 messages wait",
        ),
        # what is the cause is said, not what follows from it
        (
            signs(
                rate_service="rates:8081",
                rate_outage=(70.0, "nothing within 2 s"),
                moving=5,
                quiet_for=STUCK,
                down_for=OUTAGE,
            ),
            "the rate limit service at rates:8081 does not answer since 70 s (nothing within 2 s);"
            " nothing is sent without it, 5 messages wait",
        ),
        (
            signs(down_for=OUTAGE, moving=5, quiet_for=STUCK),
            "the API has not answered any request for 30 s; 5 messages wait",
        ),
        (signs(refusal="the key is refused", trouble="cannot read s", down_for=OUTAGE), "the key is refused"),
        (signs(failure="a defect", refusal="the key is refused"), "a defect"),
        (signs(failure="a defect", stopping=True), "stopping"),
        (signs(excess="too many dead letters", failure="a defect", stopping=True), "too many dead letters"),
    ],
)
def test_what_ails_it(seen, said):
    assert ailment(seen) == said


def test_what_lasts_is_said_at_once_and_then_now_and_again():
    lines = []
    said = Said(lines.append, every=30.0)
    for now in range(1000, 1100):
        said.look("down", float(now))
    assert lines == ["down"] * 4


def test_what_changes_is_said_in_its_new_words_when_its_time_comes():
    lines = []
    said = Said(lines.append, every=30.0)
    for now in range(1000, 1061):
        said.look(f"down for {now - 1000} s", float(now))
    assert lines == ["down for 0 s", "down for 30 s", "down for 60 s"]


def test_the_end_of_it_is_said_once():
    lines = []
    said = Said(lines.append, every=30.0)
    said.look(None, 0.0)
    said.look("down", 1.0)
    for now in (2.0, 3.0, 4.0):
        said.look(None, now)
    said.look("down", 5.0)
    assert lines == ["down", "it goes on", "down"]


def test_with_its_own_clock():
    lines = []
    said = Said(lines.append)
    for why in ("down", "down", None):
        said.look(why)
    assert lines == ["down", "it goes on"]


def asked(server, path="/healthz"):
    """Status and text."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_who_asks_is_told():
    now = [WELL]
    server = HealthServer(0, lambda: now[0], metrics)
    try:
        assert asked(server) == (200, "ok\n")
        assert asked(server, "/healthz?verbose=1") == (200, "ok\n")
        now[0] = signs(refusal="the key is refused – wait")
        assert asked(server) == (503, "the key is refused – wait\n")
        now[0] = WELL
        assert asked(server) == (200, "ok\n")
        assert asked(server, "/")[0] == 404
        assert asked(server, "/healthzz")[0] == 404
    finally:
        server.close()
    with pytest.raises(OSError, match="refused"):
        asked(server)


def test_metrics_come_as_they_are_made():
    server = HealthServer(0, lambda: WELL, metrics)
    try:
        url = f"http://127.0.0.1:{server.port}/metrics"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": "text/x"}), timeout=10) as answer:
            assert answer.read() == b"asked for text/x"
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    finally:
        server.close()


def test_metrics_that_fail_are_said_and_harm_no_health(capfd):
    def broken(accept):
        raise ZeroDivisionError("division by zero")

    server = HealthServer(0, lambda: WELL, broken)
    try:
        assert asked(server, "/metrics") == (500, "they cannot be told: ZeroDivisionError: division by zero\n")
        assert asked(server) == (200, "ok\n")
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken():
    server = HealthServer(0, lambda: WELL, metrics)
    try:
        with pytest.raises(ConfigurationError, match=f"--health-port {server.port}: Address already in use"):
            HealthServer(server.port, lambda: WELL, metrics)
    finally:
        server.close()


def test_a_look_that_fails_is_no_health(capfd):
    looks = iter([ZeroDivisionError, None])

    def look():
        error = next(looks)
        if error is not None:
            raise error
        return WELL

    server = HealthServer(0, look, metrics)
    try:
        assert asked(server) == (503, "it cannot be told: ZeroDivisionError: \n")
        assert asked(server) == (200, "ok\n")
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def test_who_goes_away_before_the_answer_leaves_no_traceback(capfd):
    may_answer = threading.Event()

    def look():
        may_answer.wait(10.0)
        return WELL

    server = HealthServer(0, look, metrics)
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as asking:
            asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, when it closes
        may_answer.set()
        assert asked(server) == (200, "ok\n")
    finally:
        server.close()
    assert capfd.readouterr().err == ""
