"""From a valid record to the requests that carry it out. Plain functions; nothing is sent here."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Literal, get_args

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.calls import Beyond, check_call
from beam_talonone.schemas.content import AdvancedContent, ProfileContent
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import Call
from beam_talonone.schemas.request import Request, render_query
from beam_talonone.schemas.types import ID_MAX, micros
from beam_talonone.schemas.valid import ValidEvent, ValidOrder, ValidProfile, ValidRecord, ValidReturn
from beam_talonone.talonone.requests.build_calls import call_work
from beam_talonone.talonone.requests.new_work import each_once, work_of
from beam_talonone.talonone.requests.session_body import session_body
from beam_talonone.talonone.requests.work import Part, Work


@dataclass(frozen=True)
class BuildOptions:
    """The options that change requests.

    * `dry` asks the API to change nothing.
    * `effects` asks the API for effects where it returns none by default.
    * `profile_mode` "rules" runs the rule engine for each profile change.
    * `events_api` "v3" sends events under ids of their own.
    * `allow_unknown_api_fields` accepts names and enum values of calls and lookups that the operation table lacks.

    With `in_code` messages name these options as arguments, else as options of the command line.
    """

    dry: bool = False
    effects: bool = False
    profile_mode: Literal["bulk", "rules"] = "bulk"
    events_api: Literal["v2", "v3"] = "v2"
    allow_unknown_api_fields: bool = False
    in_code: bool = False

    def setting(self, name: str) -> str:
        """The option `name` as the user writes it, such as `--profile-mode`."""
        return name if self.in_code else "--" + name.replace("_", "-")

    def beyond(self) -> Beyond:
        """How names that the operation table lacks are handled."""
        return Beyond(self.allow_unknown_api_fields, self.setting("allow_unknown_api_fields"))


def unknown_api_fields(record: ValidRecord, options: BuildOptions) -> tuple[str, ...]:
    """The names and enum values of a valid call that passed although the operation table lacks them."""
    if not options.allow_unknown_api_fields or not isinstance(record, Call):
        return ()
    called = check_call(record.operation, record, dry=options.dry, beyond=options.beyond())
    return tuple(each_once(name for item in called for name in item.beyond))


def build(kind: str, record: ValidRecord, options: BuildOptions) -> Work:
    """Build the work for `record`.

    Raises InvalidRecord for a call that the operation table refuses, and for a value that JSON cannot carry.
    """
    try:
        return _build(kind, record, options)
    except InvalidRecord:
        raise
    except ValueError as error:
        raise InvalidRecord(Reason.INVALID_FIELD, str(error)) from None


def _build(kind: str, record: ValidRecord, options: BuildOptions) -> Work:
    match record:  # the kinds that come by the million first
        case ValidOrder():
            return _order(record, options)
        case ValidProfile():
            return _profile(record, options)
        case ValidEvent():
            return _event(record, options)
        case ValidReturn():
            return _return(record, options)
        case Call():
            return call_work(record, dry=options.dry, effects=options.effects, beyond=options.beyond())
    raise TypeError(f"no requests are known for records of kind {kind}")


def guest_id(order_id: str) -> str:
    """The profile of an order without a customer."""
    guest = f"guest-{order_id}"
    return guest if len(guest) <= ID_MAX else "guest-" + sha256(order_id.encode()).hexdigest()


def _order(order: ValidOrder, options: BuildOptions) -> Work:
    customer = guest_id(order.order_id) if order.customer_id is None else order.customer_id
    session = session_body(order, customer)
    more = _present({"responseContent": order.response_content})
    request = _request(
        "update_customer_session_v2",
        {"customerSessionId": order.order_id},
        {"customerSession": session, **more},
        options,
    )
    # without what 0.1 did not know, the content is that of 0.1: identities and keys stay the same
    content = [session, more] if more else session
    return work_of(
        "orders", order.order_id, order, [Part(request, "order")], [order.order_id], [customer], content,
        version=order.version, status=order.status,
    )  # fmt: skip


def _return(record: ValidReturn, options: BuildOptions) -> Work:
    items = [_present({"sku": i.sku, "position": i.position, "quantity": i.quantity}) for i in record.items]
    content_options = _present({"responseContent": record.response_content})
    query: dict[str, object] = _present({"runRuleEngine": record.run_rule_engine})
    body = {"return": {"returnedCartItems": items}, **content_options}
    request = _request("return_cart_items", {"customerSessionId": record.order_id}, body, options, query)
    profiles = [] if record.customer_id is None else [record.customer_id]
    content: list[Any] = [record.order_id, record.customer_id, micros(record.event_time), items]
    if content_options or query:
        content.append({**query, **content_options})
    return work_of(
        "returns", record.return_id, record, [Part(request, "return")], [record.order_id], profiles, content
    )


def _profile(profile: ValidProfile, options: BuildOptions) -> Work:
    customer, audiences = profile.customer_id, profile.audiences
    actions = [] if audiences is None else [
        {"action": action, "profileIntegrationId": customer, "audienceId": audience}
        for action, ids in (("add", audiences.add), ("delete", audiences.remove))
        for audience in dict.fromkeys(ids or ())
    ]  # fmt: skip
    parts = []
    if profile.attributes is not None or not (actions or profile.erase):
        parts.append(_attributes_part(customer, profile.attributes, options))
    if actions:
        request = _request("update_customer_profile_audiences", {}, {"data": actions}, options)
        parts.append(Part(request, "pack", len(actions)))
    if profile.erase:
        request = _request("delete_customer_data", {"integrationId": customer}, None, options)
        parts.append(Part(request, "plain"))
    content = [customer, profile.attributes, actions, profile.erase]
    return work_of("profiles", customer, profile, parts, [], [customer], content, version=profile.version)


def _attributes_part(customer: str, attributes: dict[str, Any] | None, options: BuildOptions) -> Part:
    change = _present({"attributes": attributes})
    if options.profile_mode == "rules":
        path = {"integrationId": customer}
        query: dict[str, object] = {"runRuleEngine": True}
        return Part(_request("update_customer_profile_v2", path, change, options, query), "plain")
    body = {"customerProfiles": [{"integrationId": customer, **change}]}
    return Part(_request("update_customer_profiles_v2", {}, body, options), "pack")


def _event(event: ValidEvent, options: BuildOptions) -> Work:
    own_id = options.events_api == "v3"
    _check_event(event, options)
    body = _present(
        {
            "profileId": event.customer_id,
            "type": event.type,
            "attributes": event.attributes,
            "loyaltyCards": None if event.loyalty_card is None else [event.loyalty_card],
            "storeIntegrationId": event.store_id,
            "connectedSessionId": event.connected_session_id,
            "evaluableCampaignIds": event.evaluable_campaign_ids,
            "responseContent": event.response_content,
        }
    )
    content = [micros(event.event_time), body]
    sent = {**body, "integrationId": event.event_id} if own_id else body
    request = _request("track_event_v3" if own_id else "track_event_v2", {}, sent, options)
    # an event refers to a session that is closed: it goes after the order that closes it
    sessions = [] if event.connected_session_id is None else [event.connected_session_id]
    return work_of("events", event.event_id, event, [Part(request, "plain")], sessions, [event.customer_id], content)


def _check_event(event: ValidEvent, options: BuildOptions) -> None:
    """Raises InvalidRecord for what the API of events in use does not know."""
    if event.connected_session_id is not None and options.events_api == "v2":
        needed = f"{options.setting('events_api')}{'=' if options.in_code else ' '}v3"
        detail = f"connected_session_id: only events of the v3 API refer to a session: it needs {needed}"
        raise InvalidRecord(Reason.INVALID_FIELD, detail, "/connected_session_id")
    known: tuple[str, ...] = get_args(AdvancedContent if options.events_api == "v3" else ProfileContent)
    for place, name in enumerate(event.response_content or ()):
        if name not in known:
            detail = (
                f"response_content/{place}: events of the {options.events_api} API answer with {', '.join(known)}"
            )
            raise InvalidRecord(Reason.INVALID_FIELD, f"{detail}, found {name!r}", f"/response_content/{place}")


def _request(
    operation: str,
    path: dict[str, str],
    body: Any,
    options: BuildOptions,
    query: Mapping[str, object] | None = None,
) -> Request:
    """The request that the operation's row makes of it, with the options' query parameters where the row has them."""
    row = OPERATIONS[operation]
    encoded = None if body is None else jsonio.dumps(body)
    rendered = _query_of_options(operation, options.effects, options.dry)
    if query:
        rendered = {**render_query(query), **rendered}
    return Request(operation, row.method, row.template, path, rendered, encoded)


@cache
def _query_of_options(operation: str, effects: bool, dry: bool) -> dict[str, str | list[str]]:
    """The query parameters that only depend on options: the same for each of millions of records."""
    row = OPERATIONS[operation]
    parameters: dict[str, object] = {}
    if "silent" in row.query:
        parameters["silent"] = "no" if effects else "yes"
    if dry and row.can_be_dry:
        parameters["dry"] = True
    return render_query(parameters)


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
