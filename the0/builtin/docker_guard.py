"""Shuts bots off from what is not theirs, or says in conditions why it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from the0.builtin.docker_firewall import Firewall
from the0.builtin.docker_network import bridge_filter_on
from the0.builtin.docker_rules import Policy, parse_peers
from the0.builtin.docker_services import ServiceAddresses, name_servers
from the0.errors import Unavailable
from the0.models import Condition
from the0.plugin.interfaces import PluginArgs
from the0.settings import EgressSettings

CONDITION = "EgressOpen"

_REMOTE = (
    "The Docker engine is on another machine, where no firewall can be set from here: bots may "
    "reach its network. Run the host beside its engine."
)
_NOT_SET = (
    "Bots can reach private addresses and this machine: {} Run the host as root, with iptables, "
    "beside an engine that uses it."
)
_NO_BRIDGE_FILTER = (
    "Bots on one network can reach each other: `sysctl net.bridge.bridge-nf-call-iptables=1`."
)
_UNRESOLVED = (
    "The platform's server {} has no address now, so it is not closed to bots unless its address "
    "is private. Name it by address, or repair its name."
)


class Guard:
    """Keeps an instance's firewall as the settings say. Raises InvalidSettings for `egress.allow`
    entries that cannot be understood."""

    def __init__(self, args: PluginArgs, engine_is_local: bool) -> None:
        egress = args.sections.get(EgressSettings, EgressSettings())
        self._allowed = parse_peers(egress.allow)
        self._services = ServiceAddresses(args.sections)
        self._firewall = Firewall(args.instance)
        self._local = engine_is_local
        self._since: dict[str, datetime] = {}

    def apply(self) -> Sequence[Condition]:
        """Bring the rules up to date; what could not be done, each since it is so."""
        found = dict(self._faults())
        self._since = {reason: self._since.get(reason, datetime.now(UTC)) for reason in found}
        return [
            Condition(CONDITION, reason, message, self._since[reason])
            for reason, message in found.items()
        ]

    def remove(self) -> None:
        """Take the rules away."""
        if self._local:
            self._firewall.remove()

    def _faults(self) -> Iterator[tuple[str, str]]:
        if not self._local:
            yield "RemoteEngine", _REMOTE
            return
        policy = Policy(self._allowed, tuple(name_servers()), self._services.peers())
        try:
            self._firewall.apply(policy)
        except Unavailable as error:
            yield "FirewallNotSet", _NOT_SET.format(error.message)
        if not bridge_filter_on():
            yield "BridgeFilterOff", _NO_BRIDGE_FILTER
        for host in self._services.unresolved:
            yield "ServiceUnresolved", _UNRESOLVED.format(host)
