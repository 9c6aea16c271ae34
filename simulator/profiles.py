"""Customer profiles, their audiences, their erasure, and their events."""

from typing import Any

from beam_talonone.simulator.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.call import Call, Done
from beam_talonone.simulator.views import ALWAYS, asked_for, event_view, profile_view
from beam_talonone.simulator.world import Profile, World, merged

NO_CONTENT = Answer(204)
NOTHING_ASKED = Answer(200, encode(ALWAYS))


def lanes(_: World, call: Call) -> tuple[str, ...]:
    return (f"profile {call.path['integrationId']}",)


def event_lanes(_: World, call: Call) -> tuple[str, ...]:
    return (f"profile {call.body['profileId']}",)


def update(world: World, call: Call) -> Done:
    id = call.path["integrationId"]
    body: dict[str, Any] = call.body
    wants = call.wants()
    if wants and not call.query.get("runRuleEngine", False):
        problem = Problem("/responseContent", "Invalid value", "can be used only with runRuleEngine=true")
        raise Refusal(400, "nothing can be added to an answer without the rule engine", [problem])
    profile = _draft(world, id, call.now) if call.dry else world.profile(id, call.now)
    profile.attributes = merged(profile.attributes, body.get("attributes", {}))
    changes = body.get("audiencesChanges", {})
    profile.audiences = (profile.audiences | set(changes.get("adds", ()))) - set(changes.get("deletes", ()))
    answer = NOTHING_ASKED
    if wants:
        parts = asked_for(world, wants, profile, call.dry)
        if "event" in wants:
            parts["event"] = event_view(world, "talon_profile_updated", call.now, profileId=id)
        answer = Answer(200, encode(parts))
    return Done(answer, None, (id,))


def _draft(world: World, id: str, now: float) -> Profile:
    """A copy of the profile that nobody keeps."""
    old = world.profiles.get(id)
    if old is None:
        return Profile(0, id, now, now)
    return Profile(old.number, id, old.created, now, old.attributes, old.audiences, old.sessions)


def update_many(world: World, call: Call) -> Done:
    """All or nothing: the checks have passed every entry before this is called."""
    entries: list[dict[str, Any]] = call.body.get("customerProfiles", [])
    for entry in entries:
        profile = world.profile(entry["integrationId"], call.now)
        profile.attributes = merged(profile.attributes, entry.get("attributes", {}))
    ids = tuple(entry["integrationId"] for entry in entries)
    if call.query.get("silent", True):
        return Done(NO_CONTENT, None, ids)
    states = [{"customerProfile": profile_view(world, world.profiles[id])} for id in ids]
    return Done(Answer(200, encode({"integrationStates": states})), None, ids)


def change_audiences(world: World, call: Call) -> Done:
    actions: list[dict[str, Any]] = call.body.get("data", [])
    missing = [
        Problem(f"/data/{index}/audienceId", "Not found", "no audience has this id")
        for index, action in enumerate(actions)
        if action["audienceId"] in world.settings.unknown_audiences
    ]
    if missing:
        raise Refusal(404, "audience not found", missing)
    for action in actions:
        if action["action"] == "add":
            world.profile(action["profileIntegrationId"], call.now).audiences.add(action["audienceId"])
        elif action["profileIntegrationId"] in world.profiles:
            world.profiles[action["profileIntegrationId"]].audiences.discard(action["audienceId"])
    return Done(NO_CONTENT, None, tuple(action["profileIntegrationId"] for action in actions))


def erase(world: World, call: Call) -> Done:
    id = call.path["integrationId"]
    profile = world.profiles.get(id)
    if profile is None or not profile.known:
        problem = Problem("", "Not found", "no customer has this integration id", "integrationId")
        raise Refusal(404, "customer not found", [problem])
    profile.attributes = {}
    profile.audiences = set()
    profile.erased += 1
    profile.known = False
    for session_id in profile.sessions:
        session = world.sessions[session_id]
        session.content = world.keep(world.content(session) | {"attributes": {}})
    return Done(NO_CONTENT, None, (id,))


def track_event(world: World, call: Call) -> Done:
    body: dict[str, Any] = call.body
    id: str = body["profileId"]
    if call.query.get("forceCompleteEvaluation", False) and not call.dry:
        problem = Problem("", "Invalid value", "needs dry=true", "forceCompleteEvaluation")
        raise Refusal(400, "invalid query", [problem])
    profile = _draft(world, id, call.now) if call.dry else world.profile(id, call.now)
    profile.events += 1
    if call.query.get("silent", True):
        return Done(NO_CONTENT, None, (id,))
    wants = call.wants()
    parts = asked_for(world, wants, profile, call.dry)
    if "event" in wants:
        store = {"storeIntegrationId": body["storeIntegrationId"]} if "storeIntegrationId" in body else {}
        parts["event"] = event_view(
            world, body["type"], call.now, profileId=id, attributes=body.get("attributes", {}), **store
        )
    return Done(Answer(200, encode(parts)), None, (id,))
