"""The address of a server: checked, and whether it is this machine's own."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from trsllava.errors import UsageError

_EXAMPLE = "such as http://127.0.0.1:8000/v1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is; ``url`` holds no secrets and may be shown."""

    url: str
    host: str

    @property
    def is_here(self) -> bool:
        """Whether what is sent there stays on this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        if self.host == socket.gethostname().lower():
            return True
        try:
            number = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return number.is_loopback or number.is_unspecified or _is_bound_here(number)


def read_address(url: str | None) -> Address:
    """Check what was given as the base URL; `UsageError` says what it should be."""
    if not url or not url.strip():
        raise UsageError(
            f"--base-url is missing: the address of an OpenAI-compatible server, {_EXAMPLE}; "
            "there is no default, so that no picture goes anywhere unasked"
        )
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"--base-url is no address ({error}); {_EXAMPLE}") from error
    if "@" in parts.netloc:
        raise UsageError(
            "--base-url must not hold a user or password: it would end up in logs; give the key "
            "in the environment variable OPENAI_API_KEY"
        )
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"--base-url must begin with http:// or https:// and a host, {_EXAMPLE}")
    if parts.query or parts.fragment:
        raise UsageError(f"--base-url must end with the path, without ? and #, {_EXAMPLE}")
    path = parts.path.rstrip("/")
    if path.endswith("/completions"):
        raise UsageError(f"--base-url must end before /chat/completions, {_EXAMPLE}")
    return Address(f"{parts.scheme}://{parts.netloc}{path}", host.lower())


def _is_bound_here(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Say whether a network card of this machine has the address: only then it can be bound."""
    family = socket.AF_INET if number.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(number), 0))
    except OSError:
        return False
    return True
