"""Which answers may be about the API key or the address, and not about the request that met them. Pure."""

from msgspec.structs import replace

from beam_talonone.schemas.decoding.settings import setting
from beam_talonone.schemas.operations import OPERATIONS, Operation, SafeToRepeat
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.errors import StopRun, Unreachable, WrongAddress
from beam_talonone.talonone.http.api_key import ApiKey
from beam_talonone.talonone.http.responses import Answer, Verdict, is_web_page

_UNKNOWN_AUTHORITY = ("self-signed certificate", "unable to get local issuer certificate")
"""What OpenSSL says of a certificate whose authority is not trusted."""


def is_accused(request: Request, answer: Answer, *, first: bool) -> bool:
    """Whether `answer` may be about the key or the address. `first` is True before the first success.

    Before the first success the server may not be the API at all. Only a success or a "not found" hints at a wrong
    address: a web page with another status comes from a gateway.
    """
    if answer.verdict is Verdict.STOP:
        return True
    if not first or answer.status is None:
        return False
    if is_web_page(answer.body):
        return 200 <= answer.status < 300 or answer.status in (404, 405)
    if answer.status != 404:
        return False
    return _is_foreign(answer) or OPERATIONS[request.operation].creates


def _is_foreign(answer: Answer) -> bool:
    return bool(answer.body) and not answer.body.lstrip().startswith(b"{")


def base_url_setting(*, in_code: bool) -> str:
    """The setting that holds the API's address: an argument with `in_code`, else an option."""
    return f"{setting('base_url', in_code=in_code)} (TALONONE_BASE_URL)"


def accusation(api: str, api_key: ApiKey, request: Request, answer: Answer, *, in_code: bool = False) -> StopRun:
    """The error for the user if all requests to `api` meet an accused answer: it names the setting to correct.

    With `in_code` it names settings as arguments, else as options of the command line.
    """
    if answer.status in (401, 403):
        return api_key.refused(api, answer.status)
    address = base_url_setting(in_code=in_code)
    if answer.verdict is Verdict.STOP:
        return WrongAddress(
            f"{api} answered with a redirect (status {answer.status}); {address} must be the deployment's own address"
        )
    problem = f"{api} answers status {answer.status} to {request.operation}"
    if is_web_page(answer.body):
        return WrongAddress(f"{problem} with a web page: is {address} right?")
    if _is_foreign(answer):
        return WrongAddress(f"{problem}, but not in its words: is the path in {address} right?")
    return WrongAddress(f"{problem}, which creates what it does not find: is the path in {address} right?")


def unreached(api: str, failure: Exception, *, in_code: bool) -> WrongAddress:
    """The error for an address that has never been reached."""
    if any(sign in str(failure) for sign in _UNKNOWN_AUTHORITY):
        bundle = setting("ca_bundle", in_code=in_code)
        return WrongAddress(
            f"{api} cannot be reached: {failure}. If a private authority signed the certificate, as behind a"
            f" company's proxy, name that authority's file with {bundle}"
        )
    return WrongAddress(f"{api} cannot be reached: {failure}. Is {base_url_setting(in_code=in_code)} right?")


def outage(api: str, down: float, limit: float, last: Answer, *, in_code: bool) -> Unreachable:
    """The error for an API where no request has succeeded for `down` seconds, and `limit` seconds are allowed. `last`
    is the last failure."""
    name = setting("give_up_after", in_code=in_code)
    then = "run the pipeline again" if in_code else "go on with --resume"
    if not in_code and last.failed_itself:
        then += ", and with --api-is-up if the API works for others: then these records are to blame"
    return Unreachable(
        f"no request to {api} has succeeded for {down:.0f} s ({name} {limit:g}); the last failure: {last.message};"
        f" {then}"
    )


def own_fault(answer: Answer, *, ambiguous: bool, row: Operation) -> Answer:
    """Return the final answer for a 401, a 403 or a redirect that is about its request alone.

    A gateway may have answered, so the answer says nothing about an earlier try that may have acted (`ambiguous`).
    """
    quoted = "" if answer.message == f"status {answer.status}" else f": {answer.message}"
    page = " with a web page" if is_web_page(answer.body) else ""
    detail = f"refused with status {answer.status}{page}, while other requests with the same key are accepted{quoted}"
    acts_again = row.repeat is not SafeToRepeat.BY_NATURE and not row.harmless
    if (ambiguous or answer.acted) and acts_again:
        return replace(answer, verdict=Verdict.UNKNOWN, message=detail)
    return replace(answer, verdict=Verdict.REFUSED, reason=Reason.REFUSED, message=detail)
