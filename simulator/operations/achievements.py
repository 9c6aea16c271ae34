"""Achievements: each campaign has two, which customers reach by closing sessions. The second one recurs."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from beam_talonone.simulator.bodies.queries import page
from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.operations.campaigns import named, starts
from beam_talonone.simulator.operations.loyalty import customer_of
from beam_talonone.simulator.world.account import Profile, World, timestamp

PAGE: Final = 1000
TARGETS: Final = (1, 3)
COUNTED: Final = ("closed", "partially_returned")


class Achievement(NamedTuple):
    """An achievement of a campaign: `target` sessions must be closed.

    The recurring achievements of each third campaign are scheduled, and the others are active.
    """

    id: int
    campaign: int
    target: int

    @property
    def recurs(self) -> bool:
        """Whether a customer can reach it again and again."""
        return self.target > 1

    @property
    def status(self) -> str:
        """`scheduled` or `active`, as the API names them."""
        return "scheduled" if self.recurs and not self.campaign % 3 else "active"

    @property
    def recurrence(self) -> str:
        """The API's name of the recurrence policy."""
        return "on_completion" if self.recurs else "no_recurrence"


def all_of(world: World) -> list[Achievement]:
    """All achievements of the running campaigns, numbered from 1."""
    campaigns = range(1, world.settings.campaigns + 1)
    pairs = [(campaign, target) for campaign in campaigns for target in TARGETS]
    return [Achievement(id, campaign, target) for id, (campaign, target) in enumerate(pairs, 1)]


def rounds(world: World, profile: Profile, achievement: Achievement) -> list[dict[str, Any]]:
    """The customer's progress, oldest first: a round for each time the target was reached, and the unfinished one."""
    sessions = (world.sessions[id] for id in profile.sessions)
    closed = sorted(session.updated for session in sessions if session.state in COUNTED)
    target = achievement.target
    views = []
    for first in range(0, len(closed), target):
        times = closed[first : first + target]
        done = len(times) == target
        view = {
            "status": "completed" if done else "inprogress",
            "progress": len(times),
            "startDate": timestamp(times[0]),
        }
        views.append(view | {"completionDate": timestamp(times[-1])} if done else view)
        if not achievement.recurs:
            break
    return views


def current(world: World, profile: Profile, achievement: Achievement) -> dict[str, Any]:
    """The progress in the current round. After the last round of a recurring achievement, it has not started."""
    done = rounds(world, profile, achievement)
    if not done or (achievement.recurs and done[-1]["status"] == "completed"):
        return {"status": "not_started", "progress": 0}
    return done[-1]


def read(world: World, call: Call) -> Done:
    """get_customer_achievements: the customer's progress in the achievements that pass the filters of the query.

    Raises Refusal 404 for an unknown customer.
    """
    profile, query = customer_of(world, call), call.query
    statuses = query.get("currentProgressStatus")
    data = []
    for achievement in all_of(world):
        if not named(achievement.id, query.get("achievementIds")):
            continue
        if not named(achievement.campaign, query.get("campaignIds")):
            continue
        if achievement.status not in query.get("achievementStatus", ("active",)):
            continue
        progress = current(world, profile, achievement)
        if statuses is None or progress["status"] in statuses:
            data.append(_view(achievement) | {"currentProgress": progress})
    return _page(call, data)


def _page(call: Call, data: list[dict[str, Any]]) -> Done:
    return Done(Answer(200, encode({"totalResultSize": len(data), "data": page(call.query, PAGE).of(data)})))


def _view(achievement: Achievement) -> dict[str, Any]:
    return {
        "id": achievement.id,
        "created": starts(achievement.campaign).isoformat(),
        "name": f"achievement_{achievement.id}",
        "title": f"Achievement {achievement.id}",
        "description": f"close {achievement.target} sessions",
        "target": achievement.target,
        "recurrencePolicy": achievement.recurrence,
        "activationPolicy": "user_action",
        "allowRollbackAfterCompletion": False,
        "campaignId": achievement.campaign,
        "status": achievement.status,
    }


def read_history(world: World, call: Call) -> Done:
    """get_customer_achievement_history: the rounds of one achievement, by status and start.

    Raises Refusal 404 for an unknown customer or achievement.
    """
    profile, number = customer_of(world, call), call.number("achievementId")
    achievement = next((item for item in all_of(world) if item.id == number), None)
    if achievement is None:
        problem = Problem("", "Not found", "no achievement has this id", "achievementId")
        raise Refusal(404, "achievement not found", [problem])
    query = call.query
    least, most = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    data = [
        item
        for item in rounds(world, profile, achievement)
        if query.get("startDate", least) <= datetime.fromisoformat(item["startDate"]) <= query.get("endDate", most)
        and item["status"] in query.get("progressStatus", (item["status"],))
    ]
    return _page(call, data)


def inventory_view(world: World, profile: Profile) -> list[dict[str, Any]]:
    """The customer's progress in all active achievements, with a description of each."""
    active = [achievement for achievement in all_of(world) if achievement.status == "active"]
    return [
        current(world, profile, achievement)
        | {
            "achievementId": achievement.id,
            "name": f"achievement_{achievement.id}",
            "title": f"Achievement {achievement.id}",
            "description": f"close {achievement.target} sessions",
            "campaignId": achievement.campaign,
            "target": achievement.target,
            "achievementRecurrencePolicy": achievement.recurrence,
            "achievementActivationPolicy": "user_action",
            "achievementAllowRollbackAfterCompletion": False,
        }
        for achievement in active
    ]
