"""A client's network that leads to the server only, and a server and jobs that cannot send anything out of the machine.

Needs root, iproute2 and iptables. The client lives in a network namespace, joined to the machine by a veth pair at whose near
end the server listens; its default route leads there too, so that what it sends elsewhere arrives at a rule that drops and
counts it. The server and the processes it starts carry a group of their own, by which the machine's rules know them, and
jobs in containers are known by their bridges.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
GROUP = 61235 + WORKER  # a group that no machine has
NAME = f"lm-client-{WORKER}"
NEAR, FAR = f"10.213.{WORKER}.1", f"10.213.{WORKER}.2"
NEAR_LINK, FAR_LINK = f"lm-near-{WORKER}", f"lm-far-{WORKER}"
MARK = ("-m", "comment", "--comment", f"localmaker-tests-{WORKER}")
TOOLS = ("ip", "iptables", "setpriv")


def reason() -> str:
    """Return why clients cannot be cut off here; empty when they can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    return f"not installed: {', '.join(missing)}" if missing else ""


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Rule:
    """A rule that drops what nobody may send. `inside`: in the client's namespace."""

    chain: str
    match: tuple[str, ...]
    inside: bool = False

    def _iptables(self, *arguments: str) -> str:
        within = ("ip", "netns", "exec", NAME) if self.inside else ()
        return _run(*within, "iptables", *arguments)

    def add(self) -> None:
        """Put it in front of the others."""
        self._iptables("-I", self.chain, *self.match, *MARK, "-j", "DROP")

    def remove(self) -> None:
        """Take it away."""
        self._iptables("-D", self.chain, *self.match, *MARK, "-j", "DROP")

    def clear(self) -> None:
        """Take away what a run that was killed left behind."""
        while MARK[-1] in self._iptables("-S", self.chain):
            self.remove()

    def dropped(self) -> int:
        """Count the packets that it has dropped."""
        lines = self._iptables("-S", self.chain, "-v").splitlines()
        counts = [re.search(r"-c (\d+) \d+", line) for line in lines if MARK[-1] in line]
        return sum(int(each[1]) for each in counts if each is not None)


def outward() -> str:
    """Name the interface that leads out of this machine; one that is nobody's where none does."""
    match = re.search(r"dev (\S+)", _run("ip", "route", "show", "default"))
    return match[1] if match else "lm-nowhere"


@dataclass
class Isolation:
    """See the module."""

    rules: tuple[Rule, ...] = ()

    @property
    def server_prefix(self) -> tuple[str, ...]:
        """What the server's command begins with."""
        return ("setpriv", f"--regid={GROUP}", "--clear-groups")

    @property
    def client_prefix(self) -> tuple[str, ...]:
        """What a client's command begins with."""
        return ("ip", "netns", "exec", NAME)

    def open(self) -> None:
        """Make namespace, addresses and rules."""
        subprocess.run(["ip", "netns", "delete", NAME], check=False, capture_output=True)  # of a run that was killed
        _run("ip", "netns", "add", NAME)
        _run("ip", "link", "add", NEAR_LINK, "type", "veth", "peer", "name", FAR_LINK, "netns", NAME)
        _run("ip", "address", "add", f"{NEAR}/30", "dev", NEAR_LINK)
        _run("ip", "link", "set", NEAR_LINK, "up")
        inside = ("ip", "-n", NAME)
        _run(*inside, "address", "add", f"{FAR}/30", "dev", FAR_LINK)
        for link in (FAR_LINK, "lo"):
            _run(*inside, "link", "set", link, "up")
        _run(*inside, "route", "add", "default", "via", NEAR)
        out = outward()
        self.rules = (
            Rule("OUTPUT", ("!", "-d", f"{NEAR}/32", "-o", FAR_LINK), inside=True),
            Rule("OUTPUT", ("-o", out, "-m", "owner", "--gid-owner", str(GROUP))),
            Rule("FORWARD", ("-i", "br-+", "-o", out)),
        )
        for rule in self.rules:
            rule.clear()
            rule.add()

    def dropped(self) -> dict[str, int]:
        """Count what was dropped: of clients, of the server with its processes, of containers."""
        return dict(zip(("clients", "server", "containers"), (rule.dropped() for rule in self.rules), strict=True))

    def close(self) -> None:
        """Undo it all."""
        for rule in self.rules:
            rule.remove()
        _run("ip", "netns", "delete", NAME)
