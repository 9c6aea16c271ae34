"""Custom events, and advanced events, which the API accepts once per id."""

from typing import Any

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.operations.profiles import NO_CONTENT, draft
from beam_talonone.simulator.world.account import Profile, World, merged
from beam_talonone.simulator.world.entities import Event
from beam_talonone.simulator.world.views import advanced_event_view, event_view, requested_parts


def queues(_: World, call: Call) -> tuple[str, ...]:
    """An event holds the profile of its customer."""
    return (f"profile {call.body['profileId']}",)


def _profile(world: World, call: Call) -> Profile:
    """The customer of an event, created if there is none; a copy for a dry event."""
    if call.query.get("forceCompleteEvaluation", False) and not call.dry:
        problem = Problem("", "Invalid value", "needs dry=true", "forceCompleteEvaluation")
        raise Refusal(400, "invalid query", [problem])
    id: str = call.body["profileId"]
    return draft(world, id, call.now) if call.dry else world.profile(id, call.now)


def track(world: World, call: Call) -> Done:
    """track_event_v2. It answers 204, unless the query has `silent=no`."""
    body: dict[str, Any] = call.body
    profile = _profile(world, call)
    profile.events += 1
    if call.query.get("silent", True):
        return Done(NO_CONTENT, None, (profile.id,))
    wants = call.wants()
    parts = requested_parts(world, wants, profile, call.dry)
    if "event" in wants:
        store = {"storeIntegrationId": body["storeIntegrationId"]} if "storeIntegrationId" in body else {}
        parts["event"] = event_view(
            world, body["type"], call.now, profileId=profile.id, attributes=body.get("attributes", {}), **store
        )
    return Done(Answer(200, encode(parts)), None, (profile.id,))


def track_advanced(world: World, call: Call) -> Done:
    """track_event_v3. Raises Refusal 409 for a repeated id, and 400 for a connected session that is not closed."""
    body: dict[str, Any] = call.body
    _check_connection(world, body.get("connectedSessionId"))
    if body["integrationId"] in world.events:
        problem = Problem("/integrationId", "Exists", "an advanced event has this id already")
        raise Refusal(409, "advanced event exists", [problem])
    profile = _profile(world, call)
    profile.events += 1
    content = {name: value for name, value in body.items() if name not in ("responseContent", "evaluableCampaignIds")}
    content["attributes"] = merged({}, body.get("attributes", {}))
    event = Event(next(world.numbers), body["integrationId"], profile.id, call.now, content)
    if not call.dry:
        world.events[event.id] = event
        world.belonging(profile.id).events.append(event.id)
    session = body.get("connectedSessionId")
    if call.query.get("silent", True):
        return Done(NO_CONTENT, session, (profile.id,))
    wants = call.wants()
    parts = requested_parts(world, wants, profile, call.dry)
    if "advancedEvent" in wants:
        parts["advancedEvent"] = advanced_event_view(event)
    return Done(Answer(200, encode(parts)), session, (profile.id,))


def _check_connection(world: World, session_id: str | None) -> None:
    session = world.sessions.get(session_id) if session_id is not None else None
    if session_id is not None and (session is None or session.state != "closed"):
        problem = Problem("/connectedSessionId", "Invalid value", "must be the id of a session that is closed")
        raise Refusal(400, "the session cannot be referred to", [problem])


def read_advanced(world: World, call: Call) -> Done:
    """get_event_v3. Raises Refusal 404 for an unknown event."""
    event = world.events.get(call.path["integrationId"])
    if event is None:
        raise Refusal(404, "event not found", [Problem("", "Not found", "no event has this id", "integrationId")])
    return Done(Answer(200, encode(advanced_event_view(event))))
