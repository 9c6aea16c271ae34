"""The table of plans, in files by what goes wrong. `PLANS` has them all."""

from campaign.plan import Plan
from campaign.plans import answers, api, disk, large, network, process, stream_api, stream_network, streams

PLANS: tuple[Plan, ...] = (
    *api.PLANS,
    *answers.PLANS,
    *process.PLANS,
    *large.PLANS,
    *network.PLANS,
    *disk.PLANS,
    *stream_api.PLANS,
    *stream_network.PLANS,
    *streams.PLANS,
)
