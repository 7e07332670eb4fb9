"""POST /api/agent/authenticate, repeated as far as that is safe."""

import json
import random
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, cast

import httpx

from ._issuer import Issuer
from ._secret import Secret
from ._text import one_line
from ._transport import ANSWER_WITHIN, Lost, Transport
from .errors import (
    REFUSALS,
    ChallengeRequired,
    SignInError,
    SlowDown,
    Unavailable,
    UnexpectedAnswer,
)

Binding = Literal["browser", "address", "none"]
"""How it is known that the agent drives the browser that was waiting, the closest first."""

_BINDINGS: dict[str, Binding] = {"browser": "browser", "address": "address"}

_TRIES = 5
_FIRST_PAUSE = 0.25  # seconds, doubled each time
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class Call:
    """One call, the same each time that it is sent."""

    request_id: str
    agent_id: str
    agent_secret: Secret
    model: str
    cookie: Secret
    """The waiting browser's cookie of this request, as `name=value`."""
    expected_origin: str | None
    expected_client_id: str | None

    def to(self, issuer: Issuer) -> httpx.Request:
        """The request, to the endpoint of the configured issuer, whatever a page says."""
        return httpx.Request(
            "POST",
            f"{issuer.identifier}/api/agent/authenticate",
            headers={
                "content-type": "application/json",
                "accept": "application/json",
                "cookie": self.cookie.reveal(),
            },
            content=json.dumps(
                {
                    "request_id": self.request_id,
                    "agent_id": self.agent_id,
                    "agent_secret": self.agent_secret.reveal(),
                    "model": self.model,
                    **_given("expected_origin", self.expected_origin),
                    **_given("expected_client_id", self.expected_client_id),
                }
            ),
        )


@dataclass(frozen=True)
class _Again:
    """An outcome that may be repeated: the issuer answers the same agent and request the same."""

    error: SignInError
    after: float = 0
    """Seconds that `Retry-After` asked for."""


async def authenticate(
    transport: Transport, issuer: Issuer, call: Call, deadline: float
) -> Binding:
    """Authenticates, repeating after a lost connection, 429, 502, 503 and 504, and nothing else.

    Args:
        deadline: when to give up, by `time.monotonic()`.

    Raises:
        SignInError: the refusal; or what repeating did not help against.
    """
    pause = _FIRST_PAUSE
    for tries_left in reversed(range(_TRIES)):
        outcome = await _once(transport, issuer, call, deadline)
        if not isinstance(outcome, _Again):
            return outcome
        wait = max(outcome.after, pause * random.uniform(0.5, 1))
        # A wait that is longer than we are ready for is the caller's to decide on.
        if not tries_left or outcome.after > _LONGEST_PAUSE or time.monotonic() + wait > deadline:
            raise outcome.error
        await transport.sleep(wait)
        pause *= 2
    raise AssertionError("the last try returns or raises")


async def _once(
    transport: Transport, issuer: Issuer, call: Call, deadline: float
) -> Binding | _Again:
    within = min(ANSWER_WITHIN, deadline - time.monotonic())
    if within <= 0:
        raise Unavailable("issuer or browser did not answer before the deadline: try again later")
    try:
        response = await transport.send(call.to(issuer), within)
    except Lost as lost:
        # Whether it was done is not known; repeated, it is answered the same.
        return _Again(
            Unavailable(f"{issuer.identifier} gave no answer: {lost}. Signing in again is safe")
        )

    answer = _object(response)
    if response.status_code == 200 and answer.get("success") is True:
        return _BINDINGS.get(str(answer.get("binding")), "none")
    if response.status_code == 202:
        raise ChallengeRequired(
            "the issuer asks for a second factor, which this library does not answer yet"
        )
    if response.status_code == 429:
        return _Again(SlowDown(_description(answer)), _retry_after(response))
    if response.status_code in (502, 503, 504):
        error = Unavailable(f"{issuer.identifier} answers {response.status_code}: try again later")
        return _Again(error, _retry_after(response))
    refusal = REFUSALS.get(str(answer.get("error")))
    if refusal is None or response.status_code < 400:
        raise UnexpectedAnswer(
            f"the issuer answered {response.status_code} without a reason that is known: "
            "is the issuer's address right?"
        )
    raise refusal(_description(answer))


def _description(answer: dict[str, object]) -> str:
    description = answer.get("error_description")
    return one_line(description) if isinstance(description, str) else ""


def _retry_after(response: httpx.Response) -> float:
    """`Retry-After` in seconds (RFC 9110 §10.2.3), given as such or as a date."""
    value = response.headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0


def _object(response: httpx.Response) -> dict[str, object]:
    try:
        value: object = response.json()
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, object], value) if isinstance(value, dict) else {}


def _given(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}
