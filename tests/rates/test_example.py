"""examples/rate-service starts what the tests run, as far as one can check without pulling images."""

import re

import yaml

from .service import EXAMPLE, ROOT, RateService

COMPOSE = yaml.safe_load((EXAMPLE.parents[1] / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_the_image_is_of_the_commit_that_make_tools_builds():
    version = re.search(r"^RATELIMIT := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    commit = version.rsplit("-", 1)[1]
    image, tag = COMPOSE["ratelimit"]["image"].split(":")
    assert image == "envoyproxy/ratelimit"
    assert len(tag) == 8
    assert commit.startswith(tag)


def test_its_settings_are_those_of_the_tests(tmp_path):
    ports = {"PORT": 8080, "GRPC_PORT": 8081, "DEBUG_PORT": 6070}
    tried = RateService(tmp_path, 200, ports, redis_port=6379).settings()
    given = COMPOSE["ratelimit"]["environment"]
    places = {"REDIS_URL": "redis:6379", "RUNTIME_ROOT": "/data"}
    assert given == {name: places.get(name, tried[name]) for name in given}
    assert set(tried) - set(given) == {"HOST", "GRPC_HOST", "DEBUG_HOST", *ports}, "the image has its own defaults"
    assert COMPOSE["ratelimit"]["volumes"] == ["./config:/data/ratelimit/config:ro"]
    assert [one.rsplit(":", 1)[1] for one in COMPOSE["ratelimit"]["ports"]] == ["8081", "8080", "6070"]


def test_redis_keeps_nothing():
    assert COMPOSE["redis"]["command"] == ["redis-server", "--save", "", "--appendonly", "no"]


def test_the_configuration_is_what_a_refusal_asks_for():
    assert yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) == {
        "domain": "talonone",
        "descriptors": [
            {
                "key": "deployment",
                "value": "yourcompany.europe-west1.talon.one",
                "rate_limit": {"unit": "second", "requests_per_unit": 200},
            }
        ],
    }
