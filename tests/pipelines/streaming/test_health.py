"""Is the stream well: the table of ailments, what is said of them and how often, and who asks over HTTP."""

import dataclasses
import socket
import struct
import threading
import urllib.error
import urllib.request

import pytest

from beam_talonone.pipelines.streaming import health_server
from beam_talonone.pipelines.streaming.health import (
    OUTAGE,
    RATE_OUTAGE,
    STUCK,
    RepeatedNotice,
    Signs,
    Stillness,
    ailment,
)
from beam_talonone.pipelines.streaming.health_server import HealthServer
from beam_talonone.talonone.errors import ConfigurationError

WELL = Signs(None, None, None, down_for=0.0, moving=0, quiet_for=0.0, stopping=False)


def metrics(accept):
    return f"asked for {accept or 'anything'}".encode(), "text/plain; version=0.0.4; charset=utf-8"


def signs(**some):
    return dataclasses.replace(WELL, **some)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (WELL, None),
        (signs(moving=5), None),
        (signs(moving=5, quiet_for=STUCK - 1), None),
        (signs(moving=5, quiet_for=STUCK), "5 messages wait, and none has ended for 60 s"),
        (signs(quiet_for=100_000.0), None),  # nothing came for a day
        (signs(down_for=OUTAGE - 1, moving=5), None),
        (signs(down_for=OUTAGE, moving=5), "no request to the API has succeeded for 30 s; 5 messages wait"),
        (signs(trouble="cannot read s"), "cannot read s"),
        (signs(refusal="the key is refused"), "the key is refused"),
        (signs(failure="a defect"), "a defect"),
        (signs(stopping=True), "stopping"),
        (signs(rate_service="rates:8081", moving=5), None),
        (signs(rate_service="rates:8081", rate_outage=(RATE_OUTAGE - 1, "UNAVAILABLE"), moving=5), None),
        (
            signs(rate_service="rates:8081", rate_outage=(RATE_OUTAGE, "UNAVAILABLE: refused"), moving=5),
            "the rate limit service at rates:8081 has not answered for 5 s (UNAVAILABLE: refused);"
            " nothing is sent without it, and 5 messages wait",
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
            "the rate limit service at rates:8081 has not answered for 70 s (nothing within 2 s);"
            " nothing is sent without it, and 5 messages wait",
        ),
        (
            signs(down_for=OUTAGE, moving=5, quiet_for=STUCK),
            "no request to the API has succeeded for 30 s; 5 messages wait",
        ),
        (signs(refusal="the key is refused", trouble="cannot read s", down_for=OUTAGE), "the key is refused"),
        (signs(failure="a defect", refusal="the key is refused"), "a defect"),
        (signs(failure="a defect", stopping=True), "stopping"),
        (signs(excess="too many dead letters", failure="a defect", stopping=True), "too many dead letters"),
    ],
)
def test_what_ails_it(seen, expected):
    assert ailment(seen) == expected


def test_what_lasts_is_said_at_once_and_then_now_and_again():
    lines = []
    notice = RepeatedNotice(lines.append, every=30.0)
    for now in range(1000, 1100):
        notice.look("down", float(now))
    assert lines == ["down"] * 4


def test_what_changes_is_said_in_its_new_words_when_its_time_comes():
    lines = []
    notice = RepeatedNotice(lines.append, every=30.0)
    for now in range(1000, 1061):
        notice.look(f"down for {now - 1000} s", float(now))
    assert lines == ["down for 0 s", "down for 30 s", "down for 60 s"]


def test_the_end_of_it_is_said_once():
    lines = []
    notice = RepeatedNotice(lines.append, every=30.0)
    notice.look(None, 0.0)
    notice.look("down", 1.0)
    for now in (2.0, 3.0, 4.0):
        notice.look(None, now)
    notice.look("down", 5.0)
    assert lines == ["down", "the stream continues", "down"]


def test_with_its_own_clock():
    lines = []
    notice = RepeatedNotice(lines.append)
    for why in ("down", "down", None):
        notice.look(why)
    assert lines == ["down", "the stream continues"]


def answer_of(server, path="/healthz"):
    """Status and text."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_who_asks_is_told():
    now = [WELL]
    server = HealthServer("127.0.0.1", 0, lambda: now[0], metrics)
    try:
        assert answer_of(server) == (200, "ok\n")
        assert answer_of(server, "/healthz?verbose=1") == (200, "ok\n")
        now[0] = signs(refusal="the key is refused – wait")
        assert answer_of(server) == (503, "the key is refused – wait\n")
        now[0] = WELL
        assert answer_of(server) == (200, "ok\n")
        assert answer_of(server, "/")[0] == 404
        assert answer_of(server, "/healthzz")[0] == 404
    finally:
        server.close()
    with pytest.raises(OSError, match="refused"):
        answer_of(server)


def test_metrics_come_as_they_are_made():
    server = HealthServer("127.0.0.1", 0, lambda: WELL, metrics)
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

    server = HealthServer("127.0.0.1", 0, lambda: WELL, broken)
    try:
        assert answer_of(server, "/metrics") == (
            500,
            "the metrics cannot be read: ZeroDivisionError: division by zero\n",
        )
        assert answer_of(server) == (200, "ok\n")
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken():
    server = HealthServer("127.0.0.1", 0, lambda: WELL, metrics)
    try:
        with pytest.raises(ConfigurationError, match=f"--health-port {server.port} on 127.0.0.1: Address already"):
            HealthServer("127.0.0.1", server.port, lambda: WELL, metrics)
    finally:
        server.close()


def test_a_look_that_fails_is_no_health(capfd):
    looks = iter([ZeroDivisionError, None])

    def look():
        error = next(looks)
        if error is not None:
            raise error
        return WELL

    server = HealthServer("127.0.0.1", 0, look, metrics)
    try:
        assert answer_of(server) == (503, "the state of the stream is unknown: ZeroDivisionError\n")
        assert answer_of(server) == (200, "ok\n")
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def test_who_goes_away_before_the_answer_leaves_no_traceback(capfd):
    may_answer = threading.Event()

    def look():
        may_answer.wait(10.0)
        return WELL

    server = HealthServer("127.0.0.1", 0, look, metrics)
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as asking:
            asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, when it closes
        may_answer.set()
        assert answer_of(server) == (200, "ok\n")
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def test_waiting_is_counted_from_the_first_message_that_waits():
    still = Stillness()
    assert still.seconds(0, 100.0, 5_000.0) == 0.0, "nothing waits, though nothing has ended for long"
    assert still.seconds(50, 100.0, 5_000.0) == 0.0, "a burst after silence"
    assert still.seconds(50, 100.0, 5_059.0) == 59.0
    assert still.seconds(40, 5_060.0, 5_070.0) == 10.0, "some have ended"
    assert still.seconds(0, 5_070.0, 5_080.0) == 0.0
    assert still.seconds(1, 5_070.0, 9_000.0) == 0.0


def test_it_serves_this_machine_alone_unless_another_address_is_given():
    server = HealthServer("127.0.0.1", 0, lambda: WELL, metrics)
    try:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", server.port), 5.0)
    finally:
        server.close()
    everywhere = HealthServer("0.0.0.0", 0, lambda: WELL, metrics)
    try:
        socket.create_connection(("127.0.0.2", everywhere.port), 5.0).close()
    finally:
        everywhere.close()


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1", "x" * 300])
def test_an_address_that_is_not_ours_is_refused(host):
    with pytest.raises(ConfigurationError, match="--health-"):
        HealthServer(host, 0, lambda: WELL, metrics)


def drip(server, ended):
    """A request that never comes to its end, a byte at a time."""
    with socket.create_connection(("127.0.0.1", server.port), 10.0) as asking:
        asking.settimeout(0.05)
        asking.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        while True:
            try:
                asking.sendall(b"x")
                if not asking.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    ended.set()


def test_a_request_that_is_slow_is_cut_off(monkeypatch):
    monkeypatch.setattr(health_server, "REQUEST_TIME", 0.3)
    server, ended = HealthServer("127.0.0.1", 0, lambda: WELL, metrics), threading.Event()
    try:
        threading.Thread(target=drip, args=(server, ended), daemon=True).start()
        assert ended.wait(20.0), "each byte would give it another timeout"
    finally:
        server.close()


def test_many_open_connections_keep_nobody_out(capfd):
    server, most = HealthServer("127.0.0.1", 0, lambda: WELL, metrics), health_server.MOST_CONNECTIONS
    idle = [socket.create_connection(("127.0.0.1", server.port), 10.0) for _ in range(2 * most)]
    try:
        assert answer_of(server) == (200, "ok\n")
        assert len(server._server._open) <= most
        idle[0].settimeout(10.0)
        assert idle[0].recv(1) == b"", "the oldest is closed"
    finally:
        for one in idle:
            one.close()
        server.close()
    assert capfd.readouterr().err == ""
