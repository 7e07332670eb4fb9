"""The one address that anything is sent to."""

import ipaddress
from dataclasses import dataclass

import httpx

from ._text import is_printable, one_line
from .errors import ConfigurationError


@dataclass(frozen=True)
class Issuer:
    """An issuer identifier (RFC 8414 §2), taken apart and checked."""

    origin: str
    """Scheme, host and port, written as browsers write it."""
    host: str
    """Host name in lower case and ASCII, with the brackets of an IPv6 address."""
    base_path: str
    """Path below which its endpoints are; empty for most."""

    @property
    def identifier(self) -> str:
        """As it was given, normalised, without a slash at its end."""
        return self.origin + self.base_path

    @property
    def is_https(self) -> bool:
        """Whether it is https; if not, it is on this machine."""
        return self.origin.startswith("https:")

    def path_of(self, address: str) -> str | None:
        """The path below `base_path` of an address as a browser has it; none if it is not ours.

        Browsers write every address in one way (WHATWG URL), so the text decides: `https://issuer@evil`,
        `https://issuer.evil`, `blob:https://issuer/…` and the like do not begin with origin and slash.
        """
        if not address.startswith(f"{self.origin}/"):
            return None
        path = address[len(self.origin) :].partition("#")[0].partition("?")[0]
        inside = path.startswith(f"{self.base_path}/")
        return path[len(self.base_path) :] if inside else ""


def parse_issuer(given: object) -> Issuer:
    """Reads an issuer identifier.

    Raises:
        ConfigurationError: unless it is an https URL, or an http one of a loopback host (RFC 8252
            §8.3), without user, query and fragment.
    """
    if not isinstance(given, str) or not given.strip():
        raise ConfigurationError("issuer is missing: give its URL, such as https://auth.example")
    try:
        url = httpx.URL(given.strip())
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    host = _canonical(url)
    if not host or not is_printable(given) or "\\" in given or "%" in host:
        raise ConfigurationError(f"issuer is not a URL: {one_line(given, 100)}")
    if url.userinfo or "@" in given:
        raise ConfigurationError("issuer must have no user name and no password in it")
    if "?" in given or "#" in given:
        raise ConfigurationError("issuer must have no query and no fragment")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(host)):
        raise ConfigurationError(
            "issuer must be https (http is for this machine alone: 127.0.0.1, [::1] or localhost)"
        )
    port = f":{url.port}" if url.port is not None else ""  # none if it is the scheme's own
    path = url.raw_path.decode("ascii").rstrip("/")
    return Issuer(f"{url.scheme}://{host}{port}", host, path)


def _canonical(url: httpx.URL) -> str:
    host = url.raw_host.decode("ascii").lower()
    return f"[{ipaddress.IPv6Address(host).compressed}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "[::1]"):
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
