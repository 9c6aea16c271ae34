"""The profile that a customer's changes lead to, and how the profile in the API differs from it. Pure."""

from dataclasses import dataclass, field
from typing import Any

from beam_talonone.talonone.compare.differences import Line, line
from beam_talonone.talonone.compare.equality import same
from beam_talonone.talonone.requests.work import Work


@dataclass
class WantedProfile:
    """The expected profile of a customer after its changes. It leaves out what no change names.

    An attribute that must be absent is None, and an audience that the customer must not be in is False. `there` is
    True once something was set, so the profile exists. `erased` is True while nothing was set after an erasure.
    """

    attributes: dict[str, Any] = field(default_factory=dict)
    audiences: dict[int, bool] = field(default_factory=dict)
    there: bool = False
    erased: bool = False

    def change(self, work: Work) -> None:
        """Take in the next change, in the order of records."""
        for part in work.parts:
            if part.request.operation == "delete_customer_data":
                self._erase()
                continue
            body = part.request.body_json()
            for action in body.get("data", ()):
                self._set(there=action["action"] == "add")
                self.audiences[action["audienceId"]] = action["action"] == "add"
            for entry in body.get("customerProfiles", () if "data" in body else [body]):
                self._set(there=True)
                self.attributes.update(entry.get("attributes") or {})

    def _set(self, *, there: bool) -> None:
        self.there = self.there or there
        self.erased = self.erased and not there

    def _erase(self) -> None:
        self.attributes = dict.fromkeys(self.attributes)
        self.audiences = dict.fromkeys(self.audiences, False)
        self.there, self.erased = False, True


def profile_differences(customer: str, wanted: WantedProfile, found: dict[str, Any] | None) -> list[Line]:
    """How the profile `found` (None: there is no such customer) differs from `wanted`."""
    if found is None:
        return [line("profiles", customer, "profile", _shown(wanted), None)] if wanted.there else []
    attributes = found.get("attributes") or {}
    audiences = {member["id"] for member in found.get("audienceMemberships") or ()}
    ours, theirs = dict(wanted.attributes), dict(wanted.audiences)
    if wanted.erased:  # then nothing at all may be left
        ours.update(dict.fromkeys(attributes))
        theirs.update(dict.fromkeys(audiences, False))
    lines = []
    differing = [name for name, value in ours.items() if not same(value, attributes.get(name))]
    if differing:
        expected = {name: ours[name] for name in differing}
        here = {name: attributes[name] for name in differing if attributes.get(name) is not None}
        lines.append(line("profiles", customer, "attributes", expected, here))
    astray = sorted(audience for audience, member in theirs.items() if member != (audience in audiences))
    if astray:
        expected_in = [audience for audience in astray if theirs[audience]]
        found_in = [audience for audience in astray if not theirs[audience]]
        lines.append(line("profiles", customer, "audiences", expected_in, found_in))
    return lines


def _shown(wanted: WantedProfile) -> dict[str, Any]:
    attributes = {name: value for name, value in wanted.attributes.items() if value is not None}
    audiences = sorted(audience for audience, member in wanted.audiences.items() if member)
    shown: dict[str, Any] = {"attributes": attributes}
    return {**shown, "audiences": audiences} if audiences else shown
