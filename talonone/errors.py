"""The errors that end a run, grouped by how you recover from them.

```
    TalonOneError
    +-- ConfigurationError       the settings are wrong: correct them (usage)
    +-- StopRun                  the run stopped, nothing is lost: it can be resumed
        +-- KeyRefused           401 or 403: give the right key
        +-- WrongAddress         DNS or TLS failed before the first success: correct the base URL
        +-- Unreachable          no answer for --give-up-after seconds, or from Pub/Sub for a minute
        +-- TooManyDeadLetters   more than --max-dead-letters
        +-- Interrupted          SIGTERM, Ctrl-C, or another part of the run failed
```

A failure of one record is never an exception. It is an outcome (see talonone.requests.outcome).
"""


class TalonOneError(Exception):
    """Base class of all errors that this package raises on purpose. `str()` is one line for the user.

    >>> try:
    ...     raise StopRun("the API did not answer for 300 s")
    ... except TalonOneError as error:
    ...     print(f"{type(error).__name__}: {error}")
    StopRun: the API did not answer for 300 s
    """


class ConfigurationError(TalonOneError):
    """A setting is missing or wrong; the message names it.

    >>> from beam_talonone.talonone.http.address import check_base_url
    >>> check_base_url("yourcompany.europe-west1.talon.one")
    Traceback (most recent call last):
    beam_talonone.talonone.errors.ConfigurationError: ...
    """


class StopRun(TalonOneError):
    """The run cannot go on. Records that were not sent stay unsent, and the run can be resumed.

    >>> sorted(error.__name__ for error in StopRun.__subclasses__())
    ['Interrupted', 'KeyRefused', 'TooManyDeadLetters', 'Unreachable', 'WrongAddress']
    """


class KeyRefused(StopRun):
    """The API answered 401 or 403, also with the key that the settings contain now."""


class WrongAddress(StopRun):
    """Before the first success, the host was not found, TLS failed, or the answers were not the API's."""


class Unreachable(StopRun):
    """The API, the rate service or Pub/Sub did not answer for too long: --give-up-after, or a minute for Pub/Sub."""


class TooManyDeadLetters(StopRun):
    """More records ended as dead letters than --max-dead-letters allows: a setting may be wrong for all."""


class Interrupted(StopRun):
    """The run was ended: by Ctrl-C or SIGTERM, or because another part of it failed."""
