"""Which names a request may call this server by.

A page on the internet may point a name of its own at 127.0.0.1 and so read what a local server
answers (DNS rebinding). Its requests carry that name as Host, so only names that nobody else owns
are served: those of loopback, the one that was asked for, and, where all addresses were asked
for, plain addresses.
"""

from __future__ import annotations

import ipaddress
import re

__all__ = ["allowed", "bracketed"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANYWHERE = ("0.0.0.0", "::", "")
PATTERN = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::[0-9]{1,5})?")


def allowed(header: str, host: str) -> bool:
    """Return whether a server told to listen at `host` answers to this Host header.

    >>> allowed("localhost:8765", "127.0.0.1"), allowed("attacker.example:8765", "127.0.0.1")
    (True, False)
    """
    match = PATTERN.fullmatch(header.lower())
    if match is None:
        return False
    name = match[1].strip("[]")
    return name in (*LOOPBACK, host.lower()) or (host in ANYWHERE and _address(name))


def bracketed(host: str) -> str:
    """Return a host as URLs write it."""
    return f"[{host}]" if ":" in host else host


def _address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
