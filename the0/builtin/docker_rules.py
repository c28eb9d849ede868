"""The firewall rules of an instance's bots: what leaves their bridges, what enters the host. Pure.

`enable_icc=false` closes bot to bot on one bridge, but neither the host's addresses, the LAN nor
the cloud's metadata service. So each instance has two chains, entered by the name of the bridge
that a packet comes from: one for what is forwarded, one for what enters the host. What the chains
allow only returns to the caller, so the machine's other rules still hold.

They are in the table `mangle`, which the kernel asks before `filter`: there Docker takes its own
jumps out and puts them back whenever anybody makes a network, and its `DOCKER-USER` holds nothing
in that moment; other programs insert what lets packets through.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from the0.builtin.docker_names import bridge_prefix, chain_name
from the0.errors import InvalidSettings

TABLE = "mangle"

BLOCKED: Sequence[str] = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""What bots may not reach: this network, private, carrier NAT, loopback, link-local (metadata
services too), protocol assignments, benchmarks, multicast, reserved and broadcast."""


@dataclass(frozen=True)
class Peer:
    """An IPv4 network in CIDR form and one TCP and UDP port of it; None means all of it."""

    network: str
    port: int | None = None


def parse_peers(entries: Iterable[str]) -> tuple[Peer, ...]:
    """`egress.allow`: `10.1.2.0/24` or `10.1.2.3:443`. Raises InvalidSettings with all faults."""
    peers, faults = [], []
    for entry in entries:
        network, _, port = entry.partition(":")
        try:
            peers.append(Peer(str(ipaddress.IPv4Network(network)), _port(port)))
        except ValueError as error:
            faults.append(f"egress.allow: {entry!r}: {error}; like 10.1.2.0/24 or 10.1.2.3:443")
    if faults:
        raise InvalidSettings("Settings were refused:", faults)
    return tuple(peers)


def _port(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r} is no port")
    return int(text)


@dataclass(frozen=True)
class Policy:
    """What the rules are made from.

    `allowed` are the site's exceptions, `resolvers` the name servers that containers are given,
    `services` MongoDB, storage and NATS. An exception with a port beats a service, one without
    does not: opening a network must not open the platform's servers in it by accident.
    """

    allowed: Sequence[Peer] = ()
    resolvers: Sequence[Peer] = ()
    services: Sequence[Peer] = ()


@dataclass(frozen=True)
class Chains:
    """The chains of one instance and the interfaces that lead into them."""

    outward: str
    inward: str
    bridges: str

    @classmethod
    def of(cls, instance: str) -> Chains:
        """Names made from the instance's."""
        bridges = bridge_prefix(instance) + "+"
        return cls(chain_name(instance, "OUT"), chain_name(instance, "IN"), bridges)

    @property
    def jumps(self) -> Sequence[tuple[str, str]]:
        """(built-in chain, rule) that lead into the chains."""
        return (
            ("FORWARD", f"-i {self.bridges} -j {self.outward}"),
            ("INPUT", f"-i {self.bridges} -j {self.inward}"),
        )


def rules(chains: Chains, policy: Policy) -> list[str]:
    """The IPv4 rules of both chains, in their order, as iptables-restore reads them."""
    # Only answers to connections that the host opened pass as established: a bot's own
    # connection is judged packet by packet, so a rule closes what was open before it, too.
    answers = "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN"
    exact = [peer for peer in policy.allowed if peer.port is not None]
    broad = [peer for peer in policy.allowed if peer.port is None]
    shared = [
        answers,
        *_verdicts([*exact, *policy.resolvers], "RETURN"),
        *_verdicts(policy.services, "DROP"),
        *_verdicts(broad, "RETURN"),
    ]
    outward = [
        shared[0],
        f"-o {chains.bridges} -j DROP",
        *shared[1:],
        *(f"-d {network} -j DROP" for network in BLOCKED),
    ]
    inward = [*shared, "-j DROP"]
    return [
        *(f"-A {chains.outward} {rule}" for rule in outward),
        *(f"-A {chains.inward} {rule}" for rule in inward),
    ]


def _verdicts(peers: Iterable[Peer], verdict: str) -> list[str]:
    return [rule for peer in _ordered(peers) for rule in _verdict(peer, verdict)]


def _ordered(peers: Iterable[Peer]) -> list[Peer]:
    return sorted(set(peers), key=lambda peer: (peer.network, peer.port or 0))


def _verdict(peer: Peer, verdict: str) -> list[str]:
    if peer.port is None:
        return [f"-d {peer.network} -j {verdict}"]
    return [
        f"-d {peer.network} -p {protocol} -m {protocol} --dport {peer.port} -j {verdict}"
        for protocol in ("tcp", "udp")
    ]


def rules6(chains: Chains) -> list[str]:
    """The IPv6 rules: our networks have none, so nothing passes."""
    return [f"-A {chains.outward} -j DROP", f"-A {chains.inward} -j DROP"]


def restore_text(chains: Chains, body: Sequence[str], missing: Sequence[tuple[str, str]]) -> str:
    """Input of `iptables-restore --noflush`: naming a chain empties it, so both are replaced in
    one step; `missing` are the jumps that have to be put before everything else."""
    return "\n".join(
        [
            f"*{TABLE}",
            f":{chains.outward} - [0:0]",
            f":{chains.inward} - [0:0]",
            *body,
            *(f"-I {chain} 1 {rule}" for chain, rule in missing),
            "COMMIT\n",
        ]
    )


def ours(dump: str, chains: Chains) -> tuple[str, ...]:
    """The lines of an `iptables-save` that concern these chains, without counters."""
    lines = (line.split(" [", 1)[0] for line in dump.splitlines())
    return tuple(line for line in lines if chains.outward in line or chains.inward in line)


def removal_text(present: Sequence[str]) -> str:
    """Input of `iptables-restore --noflush` that takes away what :func:`ours` found."""
    declared = [line[1:].split()[0] for line in present if line.startswith(":")]
    own = tuple(f"-A {chain} " for chain in declared)
    jumps = [line for line in present if line.startswith("-A ") and not line.startswith(own)]
    return "\n".join(
        [
            f"*{TABLE}",
            *(f":{chain} - [0:0]" for chain in declared),
            *("-D" + jump.removeprefix("-A") for jump in jumps),
            *(f"-X {chain}" for chain in declared),
            "COMMIT\n",
        ]
    )
