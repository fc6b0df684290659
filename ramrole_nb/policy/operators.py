"""The condition operators of the RAM policy language, each on one observed and one expected value.

Table: https://www.alibabacloud.com/help/en/ram/conditional-operator
A comparison answers True, False, or None when a value cannot be read as what the operator compares.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ramrole_nb.policy.matching import matches

Compare = Callable[[str, str], bool | None]

_NUMBER = re.compile(r"[+-]?[0-9]{1,64}(\.[0-9]{1,64})?")


@lru_cache(maxsize=1024)
def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=1024)
def _date(text: str) -> datetime | None:
    """Read ISO 8601; a time without an offset names no moment, so it is not a date to compare."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else None
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack listener reports an IPv4 client as ::ffff:a.b.c.d.
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=1024)
def _number_of_address(text: str) -> tuple[int, int] | None:
    """The IP version and number of an address."""
    address = _address(text)
    return None if address is None else (address.version, int(address))


def _same(observed: str, expected: str) -> bool:
    return observed == expected


def _same_folded(observed: str, expected: str) -> bool:
    return observed.casefold() == expected.casefold()


def _like(observed: str, expected: str) -> bool:
    return matches(expected, observed)


def _bool(observed: str, expected: str) -> bool | None:
    pair = observed.lower(), expected.lower()
    return pair[0] == pair[1] if all(text in ("true", "false") for text in pair) else None


def _in_network(observed: str, expected: str) -> bool | None:
    address, network = _address(observed), _network(expected)
    return None if address is None or network is None else address in network


def _ordered(read: Callable[[str], Any], holds: Callable[[Any, Any], bool]) -> Compare:
    def compare(observed: str, expected: str) -> bool | None:
        left, right = read(observed), read(expected)
        return None if left is None or right is None else holds(left, right)

    return compare


def _family(name: str, read: Callable[[str], Any]) -> dict[str, tuple[Compare, bool]]:
    equal = _ordered(read, lambda a, b: a == b)
    return {
        f"{name}Equals": (equal, False),
        f"{name}NotEquals": (equal, True),
        f"{name}LessThan": (_ordered(read, lambda a, b: a < b), False),
        f"{name}LessThanEquals": (_ordered(read, lambda a, b: a <= b), False),
        f"{name}GreaterThan": (_ordered(read, lambda a, b: a > b), False),
        f"{name}GreaterThanEquals": (_ordered(read, lambda a, b: a >= b), False),
    }


#: Operator name -> (comparison, negated). A negated operator holds when none of its values compares.
OPERATORS: Mapping[str, tuple[Compare, bool]] = MappingProxyType(
    {
        "StringEquals": (_same, False),
        "StringNotEquals": (_same, True),
        "StringEqualsIgnoreCase": (_same_folded, False),
        "StringNotEqualsIgnoreCase": (_same_folded, True),
        "StringLike": (_like, False),
        "StringNotLike": (_like, True),
        **_family("Numeric", _number),
        **_family("Date", _date),
        "Bool": (_bool, False),
        "IpAddress": (_in_network, False),
        "NotIpAddress": (_in_network, True),
    }
)


def prepare(operator: str, expected: str) -> Callable[[str], bool | None]:
    """Return an operator's comparison with one expected value, for those who make it often; negation is not in it."""
    compare, _ = OPERATORS[operator]
    network = _network(expected) if compare is _in_network else None
    if network is None:
        return lambda observed: compare(observed, expected)
    version, first, mask = network.version, int(network.network_address), int(network.netmask)

    def inside(observed: str) -> bool | None:
        found = _number_of_address(observed)
        return None if found is None else found[0] == version and found[1] & mask == first

    return inside


def readable(operator: str, value: str) -> bool:
    """Tell whether an operator can read a value; what it cannot read it can never compare."""
    reads: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("Numeric", _number),
        ("Date", _date),
        ("IpAddress", _network),
        ("NotIpAddress", _network),
    )
    read = next((reader for start, reader in reads if operator.startswith(start)), None)
    if operator == "Bool":
        return value.lower() in ("true", "false")
    return read is None or read(value) is not None
