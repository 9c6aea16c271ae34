"""Another API key takes the place of one that is refused: read once, by all, and nothing is lost or sent twice."""

import asyncio

import pytest
from support.fakeloop import START, run
from support.sender_fixture import way

from beam_talonone.schemas.operations.events import TrackEvent, track_event_v2
from beam_talonone.talonone.errors import ConfigurationError, KeyRefused, StopRun
from beam_talonone.talonone.http.api_key import (
    READ_EVERY,
    ApiKey,
    KeySource,
    check_secret_name,
)
from beam_talonone.talonone.http.send import Reply
from beam_talonone.talonone.telemetry.redact import keep_secret, without_keys

EVENT = track_event_v2(TrackEvent(profileId="c", type="view"))
SECRET = "projects/p/secrets/s"
READING = 0.3
"""Seconds that a reading takes."""


class Account:
    """The API and the secret: `accepted` is the key it takes, `held` what the secret holds (an exception: cannot be
    read). `used` is the key that requests leave with."""

    def __init__(self, accepted="old", held="old", status=401, takes=0.05):
        self.accepted, self.held, self.used, self.status, self.takes = accepted, held, "old", status, takes
        self.reads, self.log, self.done = [], [], []

    def read(self):
        self.reads.append(asyncio.get_running_loop().time() - START)
        if isinstance(self.held, Exception):
            raise self.held
        return self.held

    async def apart(self, read):
        await asyncio.sleep(READING)
        return read()

    def use(self, key):
        self.used = key

    async def __call__(self, request, key):
        used = self.used
        self.log.append((asyncio.get_running_loop().time() - START, used))
        await asyncio.sleep(self.takes)
        if used != self.accepted:
            return Reply(self.status, b"")
        self.done.append(key)
        return Reply(204, b"")

    def key(self):
        return ApiKey("old", KeySource(f"--api-key-secret {SECRET}", self.read), self.use, self.apart)


def sent(account, count, *, later=(), hold_on=None, key=None, every=0.0, **settings):
    """The answers to `count` requests; `later` are (seconds, what is done then)."""

    async def main():
        async with way(account, give_up_after=None, **settings) as w:
            w.sender.gate.api_key = key or account.key()
            w.sender.gate.hold_on = hold_on
            for seconds, change in later:
                asyncio.get_running_loop().call_later(seconds, change)

            async def one(number):
                await asyncio.sleep(number * every)
                return await w.sender.final_answer(w.attempt(EVENT, number))

            return await asyncio.gather(*(one(number) for number in range(count)))

    return run(main())


def rotated(account, key="new"):
    def rotate():
        account.accepted = account.held = key

    return rotate


@pytest.mark.parametrize("status", [401, 403])
def test_all_go_on_with_the_new_key_which_is_read_once(status):
    account = Account(status=status)
    answers = sent(account, 500, later=[(0.2, rotated(account))])
    assert all(answer.ok for answer in answers)
    assert sorted(account.done) == sorted(f"{number}#0" for number in range(500)), "each once, under its first key"
    assert len(account.reads) == 1
    assert {used for at, used in account.log if at > account.reads[0]} == {"new"}


def test_64_in_flight_that_are_refused_read_it_once():
    account = Account(accepted="new", held="new", takes=1.0)
    answers = sent(account, 64)
    assert all(answer.ok for answer in answers)
    assert [used for _, used in account.log] == ["old"] * 64 + ["new"] * 64
    assert len(account.reads) == 1


def test_nothing_leaves_while_it_is_read():
    """At 1,000 a second, 300 would be refused in vain meanwhile."""
    account = Account(accepted="new", held="new")
    assert all(answer.ok for answer in sent(account, 400, rate=1000.0, concurrency=400))
    read_from = account.reads[0] - READING
    assert [at for at, _ in account.log if read_from < at < account.reads[0]] == []
    assert len([used for _, used in account.log if used == "old"]) <= 0.06 * 1000 + 2


def test_who_left_with_the_old_key_and_is_refused_late_just_goes_again():
    class Slow(Account):
        async def __call__(self, request, key):
            late = key == "0#0" and self.used == "old"
            used = self.used
            self.log.append((asyncio.get_running_loop().time() - START, used))
            await asyncio.sleep(20.0 if late else self.takes)
            if used != self.accepted:
                return Reply(401, b"")
            self.done.append(key)
            return Reply(204, b"")

    account = Slow(accepted="new", held="new")
    answers = sent(account, 5)
    assert all(answer.ok for answer in answers)
    assert len(account.reads) == 1
    assert account.done[-1] == "0#0"


def test_it_may_change_again_at_once():
    account = Account(accepted="second", held="first")
    assert all(answer.ok for answer in sent(account, 40, later=[(READING + 0.1, rotated(account, "second"))]))
    assert len(account.reads) == 2
    assert account.used == "second"


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ("old", f"refuses the API key (status 401) of --api-key-secret {SECRET}, which was read once more"),
        (ConfigurationError("no permission"), "(status 401), and it could not be read once more: no permission"),
        (StopRun("it is down"), "(status 401), and it could not be read once more: it is down"),
    ],
)
def test_the_same_key_stops_a_bounded_run(held, says):
    account = Account(accepted="another", held=held)
    with pytest.raises(KeyRefused) as raised:
        sent(account, 64)
    assert says in str(raised.value)
    assert len(account.reads) == 1


def test_the_environment_is_not_read_again():
    account = Account(accepted="another")
    with pytest.raises(KeyRefused, match="check SOME_ENV and that the key belongs to this deployment"):
        sent(account, 64, key=ApiKey("old", KeySource("SOME_ENV")))
    assert account.reads == []


def test_a_defect_of_the_reading_is_no_refusal():
    account = Account(accepted="another", held=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        sent(account, 3)


def test_a_stream_waits_and_reads_it_with_each_try_but_not_too_often():
    account = Account(accepted="another")
    mended = 600.0
    answers = sent(account, 40, hold_on=lambda why: True, later=[(mended, rotated(account))])
    assert all(answer.ok for answer in answers)
    gaps = [later - earlier for earlier, later in zip(account.reads, account.reads[1:], strict=False)]
    assert all(gap >= READ_EVERY for gap in gaps)
    assert 8 <= len([at for at in account.reads if at < mended]) <= 30
    assert len([at for at in account.reads if at >= mended]) == 1
    assert max(at for at, _ in account.log) < mended + 62.0, "all go on together, at the next try"
    assert sorted(account.done) == sorted(f"{number}#0" for number in range(40))


def test_a_stream_goes_on_too_when_the_old_key_is_taken_again():
    account = Account(accepted="another")

    def taken_again():
        account.accepted = "old"

    assert all(answer.ok for answer in sent(account, 40, hold_on=lambda why: True, later=[(100.0, taken_again)]))
    assert account.used == "old"


def test_a_new_key_that_is_refused_too_makes_a_stream_wait_again():
    account = Account(accepted="another")

    def wrong():
        account.held = "wrong"

    answers = sent(
        account, 200, hold_on=lambda why: True, later=[(50.0, wrong), (900.0, rotated(account))], concurrency=16
    )
    assert all(answer.ok for answer in answers)
    assert len([used for _, used in account.log if used == "wrong"]) < 2 * 16 + 40
    assert account.used == "new"


def test_what_comes_late_with_the_old_key_does_not_end_the_waiting_for_the_new_one():
    """The new key is refused as well; only then a request that left with the old key gets its refusal."""

    again = []

    class Slow(Account):
        async def __call__(self, request, key):
            if key == "0#0" and self.used == "old":
                self.log.append((asyncio.get_running_loop().time() - START, "old"))
                await asyncio.sleep(40.0)
                return Reply(401, b"")
            if key == "0#0":
                again.append(asyncio.get_running_loop().time() - START)
            return await super().__call__(request, key)

    account = Slow(accepted="another", held="wrong")
    answers = sent(account, 64, hold_on=lambda why: True, later=[(300.0, rotated(account))])
    assert all(answer.ok for answer in answers)
    assert again[0] > 41.0, "it waits with the others"


@pytest.mark.parametrize("version", ["", "/versions/latest", "/versions/12", "/versions/prod-key"])
@pytest.mark.parametrize("project", ["my-project", "123456789012", "example.com:my-project"])
def test_names_of_secrets(project, version):
    name = f"projects/{project}/secrets/Talon_One-key{version}"
    assert check_secret_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "projects/p", "projects/p/secrets/", "projects/p/secrets/s/versions", "projects/p/secrets/a b",
        f" {SECRET}", "projects/p/locations/l/secrets/s", "projects/p/secrets/s/versions/1/more",
    ],
)  # fmt: skip
def test_what_is_no_name_of_a_secret(name):
    with pytest.raises(ConfigurationError, match="--api-key-secret takes projects/P/secrets/S or"):
        check_secret_name(name)


def test_a_key_in_the_place_of_a_name_is_not_shown():
    with pytest.raises(ConfigurationError) as raised:
        check_secret_name("0123456789abcdef")
    assert "0123456789abcdef" not in str(raised.value)


def test_keys_that_were_read_are_taken_out_of_messages():
    assert keep_secret("first-key-1c9") == "first-key-1c9"
    keep_secret("second-key-77f")
    keep_secret("a")
    assert without_keys("a first-key-1c9, second-key-77f") == "a [key], [key]"
