"""A host name for one command, which has an address or none: a file /etc/hosts that only this command sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "talonone.test"
LOCALHOST: Final = "127.0.0.1 localhost\n"
ENVIRONMENT: Final[Mapping[str, str]] = {"NO_PROXY": "*"}
"""Of the command: a proxy would look the name up by itself."""


@dataclass(frozen=True)
class HostName:
    """The name HOST. `wrapper` starts a command that sees the file `hosts`, and asks no name server."""

    hosts: Path
    wrapper: tuple[str, ...]

    def url(self, api: str) -> str:
        """The URL of the simulator at `api`, by the name."""
        return f"http://{HOST}:{api.rpartition(':')[2]}"

    def appear(self) -> None:
        """Give the name an address."""
        self.hosts.write_text(f"{LOCALHOST}127.0.0.1 {HOST}\n")

    def vanish(self) -> None:
        """Take the address away. Connections that are open need none."""
        self.hosts.write_text(LOCALHOST)


def host_name(folder: Path) -> HostName:
    """The name, without an address at first, with its files in `folder`."""
    hosts, switch = folder / "hosts", folder / "nsswitch.conf"
    switch.write_text("hosts: files\n")
    mounts = f"mount --bind {hosts} /etc/hosts && mount --bind {switch} /etc/nsswitch.conf"
    name = HostName(hosts, ("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"))
    name.vanish()
    return name
