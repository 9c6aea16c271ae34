"""The table of plans, in files by what goes wrong. `PLANS` has them all."""

from campaign.plan import Plan
from campaign.plans import answers, api, disk, network, process, stream_api, stream_network, streams

PLANS: tuple[Plan, ...] = (
    *api.PLANS,
    *answers.PLANS,
    *process.PLANS,
    *network.PLANS,
    *disk.PLANS,
    *streams.PLANS,
    *stream_api.PLANS,
    *stream_network.PLANS,
)
