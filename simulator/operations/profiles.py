"""Customer profiles: updates of one and of many, memberships in audiences, and the erasure."""

from typing import Any

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.operations.audiences import missing
from beam_talonone.simulator.operations.loyalty import customer_of
from beam_talonone.simulator.world.account import Profile, World, merged
from beam_talonone.simulator.world.views import ALWAYS, event_view, profile_view, requested_parts

NO_CONTENT = Answer(204)
NO_EFFECTS = Answer(200, encode(ALWAYS))


def queues(_: World, call: Call) -> tuple[str, ...]:
    """An update holds the profile in its path."""
    return (f"profile {call.path['integrationId']}",)


def update(world: World, call: Call) -> Done:
    """update_customer_profile_v2. Raises Refusal 400 for an unknown audience.

    Raises it also for a `responseContent` without the rule engine.
    """
    id = call.path["integrationId"]
    body: dict[str, Any] = call.body
    wants = call.wants()
    if wants and not call.query.get("runRuleEngine", False):
        problem = Problem("/responseContent", "Invalid value", "can be used only with runRuleEngine=true")
        raise Refusal(400, "nothing can be added to an answer without the rule engine", [problem])
    changes: dict[str, list[int]] = body.get("audiencesChanges", {})
    unknown = [
        problem for name, ids in changes.items() for problem in missing(world, f"/audiencesChanges/{name}", ids)
    ]
    if unknown:
        raise Refusal(400, "audience not found", unknown)
    profile = draft(world, id, call.now) if call.dry else world.profile(id, call.now)
    profile.attributes = merged(profile.attributes, body.get("attributes", {}))
    profile.audiences = (profile.audiences | set(changes.get("adds", ()))) - set(changes.get("deletes", ()))
    answer = NO_EFFECTS
    if wants:
        parts = requested_parts(world, wants, profile, call.dry)
        if "event" in wants:
            parts["event"] = event_view(world, "talon_profile_updated", call.now, profileId=id)
        answer = Answer(200, encode(parts))
    return Done(answer, None, (id,))


def draft(world: World, id: str, now: float) -> Profile:
    """A copy of the profile that is not stored, for a dry request."""
    old = world.profiles.get(id)
    if old is None:
        return Profile(0, id, now, now)
    return Profile(old.number, id, old.created, now, old.attributes, old.audiences, old.sessions)


def update_many(world: World, call: Call) -> Done:
    """update_customer_profiles_v2: all or nothing, because the checks have passed every entry before."""
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
    """update_customer_profile_audiences: all or nothing. Raises Refusal 404 for an unknown audience."""
    actions: list[dict[str, Any]] = call.body.get("data", [])
    unknown = [
        Problem(f"/data/{index}/audienceId", "Not found", "no audience has this id")
        for index, action in enumerate(actions)
        if not world.has_audience(action["audienceId"])
    ]
    if unknown:
        raise Refusal(404, "audience not found", unknown)
    for action in actions:
        if action["action"] == "add":
            world.profile(action["profileIntegrationId"], call.now).audiences.add(action["audienceId"])
        elif action["profileIntegrationId"] in world.profiles:
            world.profiles[action["profileIntegrationId"]].audiences.discard(action["audienceId"])
    return Done(NO_CONTENT, None, tuple(action["profileIntegrationId"] for action in actions))


def erase(world: World, call: Call) -> Done:
    """delete_customer_data: erases the customer's attributes, those of their sessions and events, and what they own.

    Raises Refusal 404 for an unknown customer.
    """
    profile = customer_of(world, call)
    profile.attributes = {}
    profile.audiences = set()
    profile.erased += 1
    profile.known = False
    for session_id in profile.sessions:
        session = world.sessions[session_id]
        session.content = world.keep(world.content(session) | {"attributes": {}})
    _take_belongings(world, profile.id)
    return Done(NO_CONTENT, None, (profile.id,))


def _take_belongings(world: World, id: str) -> None:
    """Remove the customer from coupons, cards and codes, which stay, and from loyalty programs, with the points."""
    had = world.belongings.pop(id, None)
    if had is None:
        return
    for code in had.coupons:
        del world.coupons[code].reserved[id]
    for program, identifier in had.cards:
        del world.programs[program].cards[identifier].profiles[id]
    for program in had.programs:
        del world.programs[program].members[id]
    for code in had.referrals:
        world.referrals[code].content["attributes"] = {}
    for event in had.events:
        world.events[event].content["attributes"] = {}
