"""Audiences: creating, renaming and deleting them, and changes of all members.

Every id is an audience, unless the settings exclude it or it was deleted.
"""

from typing import Any

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.world.account import ACCOUNT_ID, Profile, World, merged, timestamp
from beam_talonone.simulator.world.entities import Audience

NO_CONTENT = Answer(204)


def audience_of(world: World, call: Call) -> int:
    """The audience in the path. Raises Refusal 404 if it does not exist."""
    number = call.number("audienceId")
    if not world.has_audience(number):
        raise Refusal(404, "audience not found", [Problem("", "Not found", "no audience has this id", "audienceId")])
    return number


def missing(world: World, pointer: str, ids: list[int]) -> list[Problem]:
    """A problem for each id in `ids`, the list at `pointer`, that is not an audience."""
    return [
        Problem(f"{pointer}/{index}", "Not found", "no audience has this id")
        for index, id in enumerate(ids)
        if not world.has_audience(id)
    ]


def create(world: World, call: Call) -> Done:
    """create_audience_v2. Raises Refusal 409 if the integration has an audience with this `integrationId`."""
    audience = Audience(next(world.audience_numbers), call.now, call.body)
    if audience.key is not None:
        if audience.key in world.audience_keys:
            problem = Problem("/integrationId", "Exists", "an audience of this integration has this id already")
            raise Refusal(409, "audience exists", [problem])
        world.audience_keys[audience.key] = audience.number
    world.audiences[audience.number] = audience
    world.deleted_audiences.discard(audience.number)
    return Done(Answer(201, encode(_view(audience))))


def update(world: World, call: Call) -> Done:
    """update_audience_v2: the name and the applications. Raises Refusal 404 for an unknown audience."""
    number = audience_of(world, call)
    audience = world.audiences.setdefault(number, Audience(number, call.now, {}))
    audience.content = audience.content | {
        name: call.body[name] for name in ("name", "subscribedApplicationsIds") if name in call.body
    }
    return Done(Answer(200, encode(_view(audience))))


def _view(audience: Audience) -> dict[str, Any]:
    return {
        **audience.content,
        "id": audience.number,
        "created": timestamp(audience.created),
        "accountId": ACCOUNT_ID,
    }


def delete(world: World, call: Call) -> Done:
    """delete_audience_v2: the audience and its memberships. Raises Refusal 404 for an unknown audience."""
    number = audience_of(world, call)
    members = _empty(world, number)
    audience = world.audiences.pop(number, None)
    if audience is not None and audience.key is not None:
        del world.audience_keys[audience.key]
    world.deleted_audiences.add(number)
    return Done(NO_CONTENT, None, members)


def delete_memberships(world: World, call: Call) -> Done:
    """delete_audience_memberships_v2. Raises Refusal 404 for an unknown audience."""
    return Done(NO_CONTENT, None, _empty(world, audience_of(world, call)))


def _members(world: World, number: int) -> list[Profile]:
    return [profile for profile in world.profiles.values() if number in profile.audiences]


def _empty(world: World, number: int) -> tuple[str, ...]:
    members = _members(world, number)
    for profile in members:
        profile.audiences.discard(number)
    return tuple(profile.id for profile in members)


def set_attributes(world: World, call: Call) -> Done:
    """update_audience_customers_attributes: sets the attributes of the body on all members."""
    members = _members(world, audience_of(world, call))
    for profile in members:
        profile.attributes = merged(profile.attributes, call.body)
        profile.updated = call.now
    return Done(NO_CONTENT, None, tuple(profile.id for profile in members))
