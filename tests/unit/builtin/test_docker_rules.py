import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.builtin.docker_rules import (
    BLOCKED,
    Chains,
    Peer,
    Policy,
    ours,
    parse_peers,
    removal_text,
    restore_text,
    rules,
    rules6,
)
from the0.errors import InvalidSettings

CHAINS = Chains.of("the0")
ADDRESSES = st.ip_addresses(v=4).map(str)
PEERS = st.builds(Peer, ADDRESSES.map(lambda at: f"{at}/32"), st.none() | st.integers(1, 65535))


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("10.1.2.0/24", Peer("10.1.2.0/24")),
        ("10.1.2.3", Peer("10.1.2.3/32")),
        ("10.1.2.3:443", Peer("10.1.2.3/32", 443)),
    ],
)
def test_an_exception_is_a_network_or_a_door(text: str, peer: Peer) -> None:
    assert parse_peers([text]) == (peer,)


@pytest.mark.parametrize(
    "text", ["", "host", "10.1.2.3/24", "10.1.2.3:0", "10.1.2.3:99999", "10.1.2.3:x", "::1"]
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        parse_peers([text, "10.0.0.0/8", "also wrong"])
    assert len(refused.value.faults) == 2
    assert repr(text) in refused.value.faults[0]


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        (peer,) = parse_peers([text])
    except InvalidSettings:
        return
    assert ipaddress.IPv4Network(peer.network)


def verdict(chain: str, policy: Policy, address: str, port: int) -> str:
    """What the rules do with a new TCP connection: the first that matches decides."""
    for rule in rules(CHAINS, policy):
        words = rule.split()
        if words[1] != chain or "--ctdir" in words or "-o" in words:
            continue
        if "udp" in words or not matches(words, address, port):
            continue
        return words[-1]
    return "RETURN"


def matches(words: Sequence[str], address: str, port: int) -> bool:
    network = words[words.index("-d") + 1] if "-d" in words else "0.0.0.0/0"
    door = words[words.index("--dport") + 1] if "--dport" in words else str(port)
    inside = ipaddress.IPv4Address(address) in ipaddress.IPv4Network(network)
    return inside and door == str(port)


@given(ADDRESSES, st.integers(1, 65535))
def test_without_exceptions_only_what_is_global_is_open(address: str, port: int) -> None:
    shut = any(ipaddress.ip_address(address) in ipaddress.ip_network(net) for net in BLOCKED)
    assert (verdict(CHAINS.outward, Policy(), address, port) == "DROP") == shut
    assert verdict(CHAINS.inward, Policy(), address, port) == "DROP"


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.17.0.1",
        "192.168.1.1",
        "224.0.0.251",
        "255.255.255.255",
    ],
)
def test_what_must_be_shut_is_shut(address: str) -> None:
    assert verdict(CHAINS.outward, Policy(), address, 80) == "DROP"


@given(st.lists(PEERS, max_size=3), st.lists(PEERS, max_size=3), st.lists(PEERS, max_size=3))
def test_the_platforms_servers_are_open_only_by_name(
    allowed: list[Peer], resolvers: list[Peer], services: list[Peer]
) -> None:
    policy = Policy(allowed, resolvers, services)
    for peer in services:
        port = peer.port or 80
        address = peer.network.removesuffix("/32")
        named = any(
            found.network == peer.network and found.port in (port, None)
            for found in [*(each for each in allowed if each.port), *resolvers]
        )
        assert verdict(CHAINS.outward, policy, address, port) == ("RETURN" if named else "DROP")


@given(st.lists(PEERS, max_size=5))
def test_the_same_policy_makes_the_same_rules(peers: list[Peer]) -> None:
    assert rules(CHAINS, Policy(peers)) == rules(CHAINS, Policy([*peers[::-1], *peers]))


def test_nothing_passes_by_ipv6() -> None:
    assert [rule.split()[-1] for rule in rules6(CHAINS)] == ["DROP", "DROP"]


def test_a_restore_replaces_both_chains_and_adds_what_is_missing() -> None:
    text = restore_text(CHAINS, ["-A x -j DROP"], CHAINS.jumps[:1])
    lines = text.splitlines()
    assert lines[0] == "*mangle"
    assert lines[-1] == "COMMIT"
    assert {f":{CHAINS.outward} - [0:0]", f":{CHAINS.inward} - [0:0]"} <= set(lines)
    assert f"-I FORWARD 1 -i {CHAINS.bridges} -j {CHAINS.outward}" in lines
    assert not [line for line in lines if "INPUT" in line]


DUMP = f"""*mangle
:INPUT ACCEPT [10:200]
:{CHAINS.outward} - [5:7]
:THE0-OUT-somebody - [0:0]
-A FORWARD -i {CHAINS.bridges} -j {CHAINS.outward}
-A FORWARD -i other -j THE0-OUT-somebody
-A {CHAINS.outward} -d 10.0.0.0/8 -j DROP
COMMIT
"""


def test_only_our_lines_of_a_dump_count() -> None:
    assert ours(DUMP, CHAINS) == (
        f":{CHAINS.outward} -",
        f"-A FORWARD -i {CHAINS.bridges} -j {CHAINS.outward}",
        f"-A {CHAINS.outward} -d 10.0.0.0/8 -j DROP",
    )


def test_a_removal_takes_the_jumps_first() -> None:
    assert removal_text(ours(DUMP, CHAINS)).splitlines() == [
        "*mangle",
        f":{CHAINS.outward} - [0:0]",
        f"-D FORWARD -i {CHAINS.bridges} -j {CHAINS.outward}",
        f"-X {CHAINS.outward}",
        "COMMIT",
    ]


def test_chains_of_two_instances_share_nothing() -> None:
    other = Chains.of("the0-b")
    assert not {CHAINS.outward, CHAINS.inward, CHAINS.bridges} & {
        other.outward,
        other.inward,
        other.bridges,
    }
