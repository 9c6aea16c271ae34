"""A key is found however it is spelled, and nothing else is taken for one."""

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_talonone.talonone.telemetry.redact import LEAST_KEY, Redactor

KEYS = st.text("0123456789abcdefXYZ-_.~+/=&<>:,", min_size=8, max_size=40)
SPELLINGS = {
    "as it is": lambda key: key,
    "json": lambda key: json.dumps(key)[1:-1],
    "json in json": lambda key: json.dumps(json.dumps(key)[1:-1])[1:-1],
    "lower": lambda key: "".join(f"\\u{ord(one):04x}" for one in key),
    "upper": lambda key: "".join(f"\\u{ord(one):04X}" for one in key),
    "go": lambda key: json.dumps(key)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003E"),
    "percent": lambda key: quote(key, safe=""),
    "percent of all": lambda key: "".join(f"%{ord(one):02x}" for one in key),
    "percent twice": lambda key: quote(quote(key, safe=""), safe=""),
    "html": html.escape,
    "html twice": lambda key: html.escape(html.escape(key)),
    "html numbers": lambda key: "".join(f"&#{ord(one)};" for one in key),
    "html hexadecimal": lambda key: "".join(f"&#x{ord(one):X};" for one in key),
    "half of it": lambda key: key[:4] + "".join(f"\\u{ord(one):04x}" for one in key[4:]),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=list(SPELLINGS))
@settings(max_examples=20)
@given(key=KEYS)
def test_every_spelling_is_found(spelling, key):
    key += "z"
    redactor = Redactor([key])
    spelled = f'{{"é": "{spelling(key)}"}}'
    found = redactor.text(spelled)
    assert found == '{"é": "[key]"}'
    assert redactor.bytes(spelled.encode()) == found.encode()


@given(st.binary(max_size=5), st.text(st.characters(codec="ascii"), min_size=20, max_size=70), st.binary(max_size=5))
def test_base64_is_found_wherever_the_key_stands_in_it(before, key, after):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        spelled = encode(before + key.encode() + after)
        assert b"[key]" in Redactor([key]).bytes(b"x " + spelled)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_other_encodings_are_found(encoding):
    found = Redactor(["sesame-street"]).bytes("say sesame-street".encode(encoding))
    assert b"[key]" in found
    assert "sesame" not in found.replace(b"\0", b"").decode()


@given(st.binary(max_size=200))
def test_what_has_no_key_stays_as_it_is(data):
    assert Redactor(["9c1f77ab30de4f5a"]).bytes(data) == data


def test_short_keys_are_not_looked_for():
    assert Redactor(["k" * (LEAST_KEY - 1)]).text("kkkk") == "kkkk"


def test_the_keys_before_stay_known():
    redactor = Redactor(["first-key"])
    redactor.add("second-key")
    assert redactor.text("first-key second-key") == "[key] [key]"
