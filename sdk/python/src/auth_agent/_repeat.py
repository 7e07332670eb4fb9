"""Asking again: how often, after which pauses, and until when."""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ._transport import Transport
from .errors import SignInError, Unavailable

T = TypeVar("T")

_ANSWER_WITHIN = 15.0  # seconds, for one try
_TRIES = 5
_FIRST_PAUSE = 0.25  # seconds, doubled each time
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class Again:
    """The outcome of a try that may be repeated."""

    error: SignInError
    """What to raise if it is not."""


async def repeated(
    transport: Transport, once: Callable[[float], Awaitable[T | Again]], deadline: float
) -> T:
    """Tries until the outcome is final, a few times, with pauses that grow, and as `Retry-After` says.

    Args:
        once: one try. It takes the seconds that it may wait for its answer.
        deadline: when to give up, by `time.monotonic()`.

    Raises:
        SignInError: that of `once`, or the last outcome's; `Unavailable` if no time was left for a try.
    """
    pause = _FIRST_PAUSE
    for tries_left in reversed(range(_TRIES)):
        outcome = await once(time_for_an_answer(deadline))
        if not isinstance(outcome, Again):
            return outcome
        after = outcome.error.retry_after or 0
        wait = max(after, pause * random.uniform(0.5, 1))
        # A wait that is longer than we are ready for is the caller's to decide on.
        if not tries_left or after > _LONGEST_PAUSE or time.monotonic() + wait > deadline:
            raise outcome.error
        await transport.sleep(wait)
        pause *= 2
    raise AssertionError("the last try returns or raises")


def time_for_an_answer(deadline: float) -> float:
    """Seconds that one request may wait.

    Raises:
        Unavailable: if there are none.
    """
    within = min(_ANSWER_WITHIN, deadline - time.monotonic())
    if within <= 0:
        raise too_late()
    return within


def too_late() -> Unavailable:
    """What a deadline ends in before the agent is authenticated."""
    return Unavailable("issuer or browser did not answer before the deadline: try again later")
