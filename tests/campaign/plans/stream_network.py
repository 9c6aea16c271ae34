"""Plans of streams: gateways that answer instead of the API, names that vanish, and certificates that are wrong."""

import time
from collections import Counter

from campaign.host_name import ENVIRONMENT, host_name
from campaign.plans.network import no_mounts
from campaign.stream import StreamScene, stream_plan
from campaign.tls_front import tls_front


def redirected(scene: StreamScene) -> None:
    """All requests are redirected until the stream says so; then come login pages, to all and then to some."""
    scene.start_and_load()
    scene.sim.faults("redirect")
    scene.publish()
    scene.wait_for_words("answered with a redirect", "reading has stopped until the API accepts a request")
    scene.sim.faults("login:to=3", "login:share=0.1,from=3")
    scene.publish()
    scene.wait(lambda: any(row["fault"] == "login" for row in scene.sim.rows("requests")), "a login page is met")


def firewalled(scene: StreamScene) -> None:
    """The requests of one customer are answered 403 with a web page: they are its dead letters, and no others are."""
    sent = Counter(one.customer for one in scene.traffic.records if one.kind in ("orders", "events") and one.customer)
    blocked = scene.rng.choice([customer for customer, _ in sent.most_common(10)])
    scene.left_out.add(blocked)
    scene.sim.faults(f'firewall:text="{blocked}"')
    scene.start_and_load()
    scene.publish()
    scene.checks.append(lambda: _check_firewall(scene, blocked))


def _check_firewall(scene: StreamScene, blocked: str) -> None:
    """Each event and call of the customer is a dead letter, and so is the newest version of each order."""
    out = scene.records_left_out()
    found = [row for row in scene.stream.dead_letters() if row["record"] in out]
    refused = [row for row in found if (row["reason"], row["status"]) == ("refused", 403)]
    # a return waits for an order that the API does not have
    others = [
        row for row in found if row not in refused and row["reason"] not in ("order_dead_lettered", "not_found")
    ]
    scene.expect(scene.faults_met() > 0 and bool(refused), "not shown: the firewall refused nothing")
    scene.expect(not others, f"dead letters of {blocked} with another reason: {others[:3]}")
    acted = [row for row in scene.sim.rows("ledger") if blocked in row["profiles"]]
    scene.expect(not acted, f"requests of {blocked} acted behind the firewall: {acted[:3]}")
    ids = {(row["kind"], row["id"]) for row in found}
    for record in (one for one in scene.traffic.records if one.customer == blocked and one.kind != "profiles"):
        identity = record.kind, record.session if record.kind == "orders" else record.mark
        scene.expect(identity in ids, f"{identity} of {blocked} has no dead letter")


def name_gone(scene: StreamScene) -> None:
    """The host has no address at first, and again under load: the stream says so, and continues when it has one."""
    name = host_name(scene.folder)
    stream = scene.stream
    stream.wrapper, stream.environment = name.wrapper, dict(ENVIRONMENT)
    stream.base_url = name.url(scene.sim.url)
    stream.words += ("--insecure",)
    count = scene.publish()
    stream.start()
    scene.wait_for_words("cannot be reached", "reading has stopped until the API accepts a request")
    scene.expect(stream.requests() == 0, "a request arrived without an address")
    name.appear()
    scene.wait_for_requests(scene.rng.randrange(5, max(6, count // 2)))
    name.vanish()
    scene.sim.faults("outage")  # connections that are there need no address
    scene.publish()
    scene.wait_for_words("no request to the API has succeeded for")  # nor do those that idle, for 30 s
    scene.sim.faults()
    before = stream.requests()
    time.sleep(scene.rng.uniform(1.0, 5.0))
    scene.expect(stream.requests() == before, "not shown: requests arrive without an address")
    name.appear()
    scene.wait(lambda: stream.requests() > before, "it continues with an address")


def certificate_wrong(scene: StreamScene) -> None:
    """The certificate is not trusted at first, and again for some seconds under load."""
    front = scene.stack.enter_context(tls_front(scene.sim.url, scene.folder))
    stream = scene.stream
    stream.base_url = front.url
    stream.words += ("--ca-bundle", front.trusted)
    front.serve("untrusted")
    count = scene.publish()
    stream.start()
    scene.wait_for_words("cannot be reached", "certificate", "reading has stopped until the API accepts a request")
    scene.expect(stream.requests() == 0, "a request left over a connection that is not trusted")
    front.serve("trusted")
    scene.wait_for_requests(scene.rng.randrange(5, max(6, count // 2)))
    refused = front.refused
    front.serve("untrusted")
    scene.publish()
    scene.wait(lambda: front.refused >= refused + 3, "connections meet the wrong certificate")
    time.sleep(scene.rng.uniform(1.0, 5.0))
    front.serve("trusted")


PLANS = (
    stream_plan("redirect", "all requests are redirected; then login pages, to all for 3 s and then to 10 %",
                redirected),
    stream_plan("firewall", "the requests of one customer are answered 403 with a web page", firewalled,
                words=("--wait-for-order", 30)),
    stream_plan("dns", "the host has no address at first, and for half a minute under load", name_gone,
                missing=no_mounts),
    stream_plan("certificate", "the certificate is wrong at first, and for some seconds under load",
                certificate_wrong),
)  # fmt: skip
