"""Which IP addresses a token may be sent to, once a name is resolved.

The lists are our own where Python's `is_global` differs between its releases or answers another question: it calls
most multicast global, and the address inside an embedding form is what counts there.
Source: the IANA special-purpose registries for IPv4 and IPv6; docs/adr/0009-exit.md.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# What a permission for private networks opens: networks that people number themselves, and this machine.
_PRIVATE = _networks(
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"),
    *("fc00::/7", "::1/128"),
)
# What no permission opens: clouds hand out their machines' credentials to whoever asks these.
_CLOUD_METADATA = _networks(
    *("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),
    *("fd00:ec2::/32", "fd20:ce::/32"),
)
_NEVER = _networks(
    *("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24"),
    *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    # Forms that carry an IPv4 address, private ones too: compatible, mapped, translated, NAT64, Teredo, 6to4.
    *("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"),
    *("100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fe80::/10", "fec0::/10", "ff00::/8"),
)
_GLOBAL_V6 = IPv6Network("2000::/3")


@lru_cache(maxsize=1024)  # asked of a server that is an IP literal before each request
def is_allowed(text: str, *, private: bool = False) -> bool:
    """Return whether a connection to the address may be made: it is globally routable, or private and permitted.

    `private` is the permission of one origin for private networks and this machine. It opens no multicast, link-local,
    reserved or cloud metadata address and no form that hides an IPv4 address. A text that is no address is not allowed.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    if _within(address, _CLOUD_METADATA):
        return False
    if _within(address, _PRIVATE):
        return private
    return not _within(address, _NEVER) and _is_global(address)


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _is_global(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return False
    return address.is_global and not address.is_multicast
