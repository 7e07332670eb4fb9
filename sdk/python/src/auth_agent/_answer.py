"""What the issuer's answers have in common."""

import re
import time
from email.utils import parsedate_to_datetime
from typing import cast

import httpx

from .errors import UnexpectedAnswer


def is_passing(response: httpx.Response) -> bool:
    """Whether it is an answer that may be another when the same is asked again."""
    return response.status_code in (429, 502, 503, 504)


def failed(status: int) -> UnexpectedAnswer:
    """What the issuer's own fault is said to be."""
    return UnexpectedAnswer(
        f"the issuer failed, with {status}: try again later, and tell who runs it if that does not "
        "help"
    )


def retry_after(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds (RFC 9110 §10.2.3), given as such or as a date; none without it."""
    value = response.headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def object_of(response: httpx.Response) -> dict[str, object]:
    """The JSON object that it holds; an empty one if that is not what it holds."""
    try:
        value: object = response.json()
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, object], value) if isinstance(value, dict) else {}
