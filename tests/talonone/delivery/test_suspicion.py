"""The message about a wrong key or address names settings as the reader writes them."""

import pytest

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.suspicion import accusation, outage, unreached
from beam_talonone.talonone.http.api_key import ApiKey
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.transforms.runtime.engines import engine_config

REQUEST = Request("track_event_v2", "POST", "/v2/events", {}, {}, b"{}")
API = "https://api.example"


def messages(in_code):
    for verdict, status, body in (
        (Verdict.STOP, 307, b""),
        (Verdict.REFUSED, 404, b"<html>hello</html>"),
        (Verdict.REFUSED, 404, b"no"),
        (Verdict.REFUSED, 404, b""),
        (Verdict.STOP, 401, b""),
    ):
        yield str(accusation(API, ApiKey(), REQUEST, Answer(status, verdict, None, "", body=body), in_code=in_code))
    yield str(unreached(API, OSError("no such host"), in_code=in_code))
    yield str(outage(API, 300.0, 300.0, Answer(500, Verdict.RETRY, None, "the server failed"), in_code=in_code))


def test_in_code_no_option_of_the_command_line_is_named():
    lines = list(messages(True))
    assert [line for line in lines if "--" in line] == []
    assert sum("base_url (TALONONE_BASE_URL)" in line for line in lines) == 5


def test_on_the_command_line_the_options_are_named():
    lines = list(messages(False))
    assert sum("--base-url (TALONONE_BASE_URL)" in line for line in lines) == 5
    assert "--give-up-after 300" in lines[-1]


def test_steps_of_a_pipeline_are_code(monkeypatch: pytest.MonkeyPatch):
    assert engine_config(API, "TALONONE_API_KEY", 1.0, 1, 300.0).settings.in_code
