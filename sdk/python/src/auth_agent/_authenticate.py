"""POST /api/agent/authenticate, repeated as far as that is safe."""

import json
from dataclasses import dataclass
from typing import Literal

import httpx

from ._answer import failed, is_passing, object_of, retry_after
from ._issuer import Issuer
from ._repeat import Again, repeated
from ._secret import Secret
from ._text import one_line
from ._transport import Lost, Transport
from .errors import (
    REFUSALS,
    ChallengeRequired,
    SlowDown,
    Unavailable,
    UnexpectedAnswer,
    when,
)

Binding = Literal["browser", "address", "none"]
"""How it is known that the agent drives the browser that was waiting, the closest first."""

_BINDINGS: dict[str, Binding] = {"browser": "browser", "address": "address"}


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


async def authenticate(
    transport: Transport, issuer: Issuer, call: Call, deadline: float
) -> Binding:
    """Authenticates, repeating after a lost connection, 429, 502, 503 and 504, and nothing else.

    That is safe, as the issuer answers the same agent and request the same.

    Args:
        deadline: when to give up, by `time.monotonic()`.

    Raises:
        SignInError: the refusal; or what repeating did not help against.
    """
    return await repeated(
        transport, lambda within: _once(transport, issuer, call, within), deadline
    )


async def _once(
    transport: Transport, issuer: Issuer, call: Call, within: float
) -> Binding | Again:
    try:
        response = await transport.send(call.to(issuer), within)
    except Lost as lost:
        # Whether it was done is not known; repeated, it is answered the same.
        return Again(
            Unavailable(f"{issuer.identifier} gave no answer: {lost}. Signing in again is safe")
        )

    answer = object_of(response)
    if response.status_code == 200 and answer.get("success") is True:
        return _BINDINGS.get(str(answer.get("binding")), "none")
    if response.status_code == 202:
        raise ChallengeRequired(
            "the issuer asks for a second factor, which this library does not answer yet"
        )
    if is_passing(response):
        after = retry_after(response)
        if response.status_code == 429:
            return Again(SlowDown(_description(answer), retry_after=after))
        said = f"{issuer.identifier} answers {response.status_code}: try again {when(after)}"
        return Again(Unavailable(said, retry_after=after))
    refusal = REFUSALS.get(str(answer.get("error")))
    if refusal is None and response.status_code >= 500:
        raise failed(response.status_code)
    if refusal is None or response.status_code < 400:
        raise UnexpectedAnswer(
            f"the issuer answered {response.status_code} without a reason that is known: "
            "is the issuer's address right?"
        )
    raise refusal(_description(answer))


def _description(answer: dict[str, object]) -> str:
    description = answer.get("error_description")
    return one_line(description) if isinstance(description, str) else ""


def _given(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}
