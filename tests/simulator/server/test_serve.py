"""A simulator as a real process: starting, stopping, raw paths, connections that are really closed, the file."""

import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from beam_talonone.simulator.server.serve import READY, running
from beam_talonone.simulator.server.settings import SimulatorSettings

pytestmark = pytest.mark.slow
"""Nearly each test starts a process, and waits for it to end."""

KEY = {"Authorization": "ApiKey-v1 k"}
BODY = {
    "customerSession": {
        "profileId": "p",
        "state": "closed",
        "cartItems": [{"sku": "x", "quantity": 1, "price": 19.99}],
    }
}


def raw_request(url, text):
    """Send `text` on a socket of its own; gives what comes, b"" when the server closes. Silence is a TimeoutError."""
    with socket.create_connection((httpx.URL(url).host, httpx.URL(url).port), timeout=5) as connection:
        connection.sendall(text)
        return connection.recv(65536)


def put(path, body=b"{}"):
    head = b"PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey-v1 k\r\nContent-Length: %d\r\n\r\n"
    return head % (path, len(body)) + body


def start(*options):
    process = subprocess.Popen(
        [sys.executable, "-m", "beam_talonone.simulator", "--port", "0", *options], stderr=subprocess.PIPE, text=True
    )
    line = process.stderr.readline()
    return process, line.removeprefix(READY).strip() if line.startswith(READY) else line


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_listens_and_stops_when_told(signum):
    process, url = start()
    assert httpx.get(url + "/_simulator/summary").status_code == 200
    process.send_signal(signum)
    assert process.wait(5) == 0
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--fault", "quake"], 2, "quake"),
        (["--errors", "some"], 2, "errors"),
        (["--rate", "0"], 2, "rate"),
        (["--rate", "fast"], 2, "--rate"),
        (["--port", "nowhere"], 2, "--port takes a whole number"),
        (["--ledger", "/nowhere/ledger.jsonl"], 1, "/nowhere/ledger.jsonl"),
    ],
)
def test_one_clear_line_when_it_cannot_start(options, status, says):
    process, line = start(*options)
    assert process.wait(10) == status
    assert says in line
    assert process.stderr.read() == ""


def test_its_help_is_that_of_the_command():
    ended = subprocess.run(
        [sys.executable, "-m", "beam_talonone.simulator", "--help"], capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("Usage: beam-talonone simulate [OPTIONS]\n")
    assert "\nSimulator: server:\n  --port N " in ended.stdout
    assert ended.stderr == ""


def test_a_port_that_is_taken_is_said(url):
    process, line = start("--port", str(httpx.URL(url).port))
    assert process.wait(10) == 1
    assert str(httpx.URL(url).port) in line


def test_running_says_why_it_did_not_start():
    with pytest.raises(RuntimeError, match="quake"), running(SimulatorSettings(faults=("quake",))):
        pass


def test_it_ends_with_its_parent():
    code = (
        "import sys, os, signal\n"
        "from beam_talonone.simulator.server.serve import running\n"
        "with running() as url:\n"
        "    print(url, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    url = subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.PIPE, text=True).stdout.strip()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            httpx.get(url + "/_simulator/summary")
        except httpx.TransportError:
            return
        time.sleep(0.05)
    pytest.fail("the simulator outlived its parent")


@pytest.mark.parametrize("id", [b"%2E%2E", b"a%2Fb%3Fc%23d", b"%25", b"%F0%9F%8D%95" * 1000])
def test_paths_arrive_raw(url, id):
    assert raw_request(url, put(b"/v2/customer_sessions/" + id, b'{"customerSession":{}}')).startswith(
        b"HTTP/1.1 200"
    )
    ids = {json.loads(line)["id"] for line in httpx.get(url + "/_simulator/sessions").text.splitlines()}
    assert httpx.URL("http://x/" + id.decode()).path.removeprefix("/") in ids


@pytest.mark.parametrize(("fault", "acts"), [("cut-before", 0), ("cut-after", 1), ("outage", 0)])
def test_a_cut_closes_the_socket_without_a_byte(fault, acts):
    with running(SimulatorSettings(faults=(fault,))) as url:
        try:
            answer = raw_request(url, put(b"/v2/customer_sessions/s", b'{"customerSession":{}}'))
        except ConnectionResetError:
            answer = b""
        assert answer == b""
        assert len(httpx.get(url + "/_simulator/ledger").text.splitlines()) == acts
        assert httpx.get(url + "/_simulator/summary").json()["requests"] == 1


def test_lengths_that_are_wrong_reach_the_socket():
    for fault, closed in (("short-body", True), ("extra-bytes", False)):
        with running(SimulatorSettings(faults=(fault,))) as url:
            with socket.create_connection((httpx.URL(url).host, httpx.URL(url).port), timeout=5) as connection:
                connection.sendall(put(b"/v2/customer_sessions/s", b'{"customerSession":{}}'))
                answer, announced = b"", 0
                while not announced or len(answer.partition(b"\r\n\r\n")[2]) <= announced:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    answer += piece
                    announced = int(answer.lower().partition(b"content-length: ")[2].split()[0])
            assert (len(answer.partition(b"\r\n\r\n")[2]) < announced) == closed
            assert (piece == b"") == closed


def test_a_key_can_be_asked_for():
    process, url = start("--key", "right")
    assert httpx.put(url + "/v2/customer_sessions/s", json=BODY, headers=KEY).status_code == 401
    right = {"Authorization": "ApiKey-v1 right"}
    assert httpx.put(url + "/v2/customer_sessions/s", json=BODY, headers=right).status_code == 200
    process.terminate()
    assert process.wait(5) == 0


def test_the_ledger_goes_to_a_file_as_it_happens(tmp_path):
    file = tmp_path / "ledger.jsonl"
    with running(SimulatorSettings(ledger=str(file))) as url:
        for n in range(3):
            httpx.put(f"{url}/v2/customer_sessions/{n}", json=BODY, headers=KEY)
            deadline = time.monotonic() + 10.0  # the line follows the answer, in another process
            while len(file.read_text().splitlines()) < n + 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(file.read_text().splitlines()) == n + 1
        assert file.read_text() == httpx.get(url + "/_simulator/ledger").text
    assert json.loads(file.read_text().splitlines()[0])["answered"] > 0


def test_a_long_ledger_is_sent_while_requests_go_on(url):
    with httpx.Client(base_url=url, headers=KEY) as client, ThreadPoolExecutor(2) as pool:
        for n in range(1500):
            client.put(f"/v2/customer_sessions/long-{n}", json=BODY)
        reading = pool.submit(httpx.get, url + "/_simulator/ledger")
        assert client.put("/v2/customer_sessions/during", json=BODY).status_code == 200
        lines = [json.loads(line) for line in reading.result().text.splitlines()]
    numbers = [line["n"] for line in lines]
    assert numbers == sorted(set(numbers))
    assert sum(line["session"].startswith("long-") for line in lines if line["session"]) == 1500


def test_a_caller_that_hangs_up_does_not_stop_what_it_asked_for():
    with running(SimulatorSettings(latency_ms=200)) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.put(url + "/v2/customer_sessions/s", json=BODY, headers=KEY, timeout=0.05)
        until = time.monotonic() + 5
        while not httpx.get(url + "/_simulator/ledger").text and time.monotonic() < until:
            time.sleep(0.02)
        assert json.loads(httpx.get(url + "/_simulator/ledger").text)["session"] == "s"
        assert httpx.get(url + "/_simulator/summary").json()["acted"] == 1


def test_a_quiet_run_says_nothing(capfd):
    with running(SimulatorSettings(latency_ms=1, jitter_ms=1, rate=100.5)) as url:
        httpx.put(url + "/v2/customer_sessions/s", json=BODY, headers=KEY)
        httpx.get(url + "/_simulator/summary")
    assert capfd.readouterr().err == ""
