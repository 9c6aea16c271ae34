"""Plans of the way to the API: names that vanish, certificates that are wrong, and keys that are refused."""

import os
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from e2e.harness import STOPPED

from campaign.backfill import WITHIN, BackfillScene
from campaign.host_name import ENVIRONMENT, host_name
from campaign.plan import BackfillPlan
from campaign.plans.moments import requests_until_under_way, wait_until_under_way
from campaign.tls_front import tls_front


def key_revoked(scene: BackfillScene) -> None:
    """The API refuses the key from a random request on, which ends the run, and accepts it again for the next run."""
    for _ in range(2):
        scene.sim.faults(f"revoke:after={requests_until_under_way(scene)}")
        ended = scene.start().end(WITHIN)
        scene.expect(ended.code == STOPPED, f"exit {ended.code} with a refused key: {ended.err[-300:]}")
        scene.sim.faults()
    scene.run()


def key_refused_for_a_moment(scene: BackfillScene) -> None:
    """The API refuses the key to a few requests, and accepts it again."""
    first = requests_until_under_way(scene)
    # they leave one at a time, with growing waits, and may end the run
    scene.sim.faults(f"unauthorized:from-request={first},to-request={first + scene.rng.randint(5, 60)}")
    scene.finish(scene.start(), resumes=8)
    scene.expect(scene.faults_met() > 0, "not shown: the API refused the key of no request")


def certificate_wrong(scene: BackfillScene) -> None:
    """A certificate that is not trusted ends the first run; a run with a trusted one survives a wrong one for 3 s."""
    with tls_front(scene.sim.url, scene.folder) as front:
        scene.words[scene.words.index("--base-url") + 1] = front.url
        scene.words += ["--ca-bundle", front.trusted]
        front.serve("untrusted")
        ended = scene.start().end(WITHIN)
        scene.expect(ended.code == STOPPED, f"exit {ended.code} with a wrong certificate: {ended.err[-300:]}")
        scene.expect(not scene.sim.rows("requests"), "a request left over a connection that is not trusted")
        front.serve("trusted")
        running = scene.start()
        wait_until_under_way(scene, running)
        front.serve("untrusted")
        time.sleep(3.0)
        front.serve("trusted")
        scene.finish(running)


def name_gone(scene: BackfillScene) -> None:
    """The host has no address at first, which ends the run; the next run survives that for some seconds."""
    name = host_name(scene.folder)
    scene.wrapper, scene.environment = name.wrapper, dict(ENVIRONMENT)
    scene.words[scene.words.index("--base-url") + 1] = name.url(scene.sim.url)
    scene.words.append("--insecure")
    ended = scene.start().end(WITHIN)
    scene.expect(ended.code == STOPPED, f"exit {ended.code} without an address: {ended.err[-300:]}")
    name.appear()
    running = scene.start()
    wait_until_under_way(scene, running)
    name.vanish()
    scene.sim.faults("cut-before:share=0.3,to=5")  # connections that are there need no address
    scene.wait(lambda: scene.faults_met() >= 3, running)
    time.sleep(scene.rng.uniform(1.0, 5.0))
    name.appear()
    scene.finish(running)


@cache
def no_mounts() -> str | None:
    """Why this process cannot mount; None if it can."""
    if os.geteuid() != 0:
        return "needs root for mounts"
    with tempfile.TemporaryDirectory() as folder:
        words = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "campaign", Path(folder)]
        try:
            tried = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return "needs the command unshare"
    return None if tried.returncode == 0 else f"cannot mount: {tried.stderr.strip()[:200]}"


PLANS = (
    BackfillPlan(
        name="key-revoked",
        effect="the API refuses the key twice, and each time accepts it again for the next run",
        play=key_revoked,
    ),
    BackfillPlan(
        name="key-flickers",
        effect="the API refuses the key of 5 to 60 requests in a row",
        play=key_refused_for_a_moment,
    ),
    BackfillPlan(
        name="certificate",
        effect="the certificate is wrong at first, and for 3 s during the run",
        play=certificate_wrong,
    ),
    BackfillPlan(
        name="dns",
        effect="the host has no address at first, and for up to 5 s during the run",
        play=name_gone,
        missing=no_mounts,
    ),
)
