"""Which addresses may be connected to."""

from ipaddress import ip_address, ip_network

import pytest

from couponry.outbound.addresses import may_reach

PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1")
REFUSED = (
    *("127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    "0.0.0.0",  # noqa: S104 - to be refused
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%2", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::1"),
    *("::127.0.0.1", "64:ff9b:1::a00:1", "2001::1"),
)


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert may_reach(ip_address(text), ())


@pytest.mark.parametrize("text", REFUSED)
def test_not_for_everybody(text: str) -> None:
    assert not may_reach(ip_address(text), ())


@pytest.mark.parametrize(
    ("text", "network", "may"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.2.0.0/16", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("127.0.0.1", "::/0", False),
        ("127.0.0.1", "127.0.0.1/32", True),
        ("::1", "::1/128", True),
        ("fd00::5", "fd00::/8", True),
    ],
)
def test_operator_allows(text: str, network: str, may: bool) -> None:
    assert may_reach(ip_address(text), (ip_network(network),)) is may
