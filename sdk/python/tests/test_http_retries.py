"""Without a browser: what is asked again and what is not, of an issuer that the test makes fail."""

import asyncio
import json
import time

import pytest
from support.fake_issuer import CUT, DONE, Answer, FakeIssuer
from support.still_page import CALLBACK, REQUEST

from auth_agent import (
    AsyncAuthAgent,
    AuthAgent,
    HttpSignIn,
    RedirectFailed,
    RedirectTimeout,
    Unavailable,
    UnexpectedAnswer,
)
from auth_agent._issuer import parse_issuer
from auth_agent._over_http import _redirect
from auth_agent._secret import Secret
from auth_agent._transport import SyncTransport, run

OPEN = "GET /authorize?client_id=x"
CALL = "POST /api/agent/authenticate"
ASK = "GET /api/check-status?request_id=req_1"

PAGE = Answer(
    body=f"<script type='application/json' id='auth-agent-request'>{json.dumps(REQUEST)}"
    "</script>".encode(),
    headers={"set-cookie": "aa_req_1=cookie-1; Path=/; HttpOnly"},
)
LEADS = Answer(body={"status": "authenticated", "redirect_to": CALLBACK})

both = pytest.mark.parametrize("kind", ["sync", "async"])


def sign_in(fake: FakeIssuer, kind: str = "sync", timeout: float = 60) -> HttpSignIn:
    given = {"issuer": fake.url, "agent_id": "agent_1", "agent_secret": "as_x", "model": "m"}
    address = f"{fake.url}/authorize?client_id=x"
    if kind == "sync":
        return AuthAgent(**given).sign_in_over_http(address, timeout=timeout)
    return asyncio.run(AsyncAuthAgent(**given).sign_in_over_http(address, timeout=timeout))


@both
@pytest.mark.parametrize(
    "lost", [CUT, Answer(429, {}, {"retry-after": "2"}), Answer(502), Answer(503), Answer(504)]
)
def test_where_a_sign_in_leads_is_asked_again_when_the_answer_is_lost(
    fake: FakeIssuer, waits: list[float], lost: Answer, kind: str
) -> None:
    fake.answers = [PAGE, DONE, lost, LEADS]
    assert sign_in(fake, kind).redirect_to == CALLBACK
    assert [asked.line for asked in fake.asked] == [OPEN, CALL, ASK, ASK]
    assert {asked.headers["cookie"] for asked in fake.asked[1:]} == {"aa_req_1=cookie-1"}
    [wait] = waits
    assert wait == 2 if lost.status == 429 else wait < 0.26, wait


@both
def test_an_issuer_that_does_not_say_where_a_sign_in_leads_has_done_it_all_the_same(
    fake: FakeIssuer, waits: list[float], kind: str
) -> None:
    for answers, reason, tries in (
        ([CUT] * 5, "the connection failed", 5),
        ([Answer(503)] * 5, "answers 503", 5),
        ([Answer(429, {}, {"retry-after": "40"})], "answers 429", 1),
        ([Answer(500)], "answers 500", 1),
        ([Answer(body={"status": "authenticated"})], "without an address", 1),
        ([Answer(body=b"[" * 200_000)], "without an address", 1),
    ):
        fake.answers = [PAGE, DONE, *answers, LEADS]
        fake.asked.clear()
        with pytest.raises(RedirectTimeout, match=reason) as silent:
            sign_in(fake, kind)
        assert silent.value.authenticated
        assert [asked.line for asked in fake.asked] == [OPEN, CALL, *[ASK] * tries]

    fake.answers = [PAGE, DONE, Answer(body={"status": "denied", "redirect_to": CALLBACK})]
    with pytest.raises(RedirectFailed, match="denied"):
        sign_in(fake, kind)


def test_time_that_is_up_after_the_call_is_said_to_be_so() -> None:
    issuer = parse_issuer("https://auth.example")
    cookie = Secret("aa_req_1=cookie-1")
    asking = _redirect(SyncTransport(issuer), issuer, "req_1", cookie, time.monotonic())
    with pytest.raises(RedirectTimeout, match="no answer in time"):
        run(asking)


@both
def test_an_address_that_is_not_answered_is_opened_once_and_said_to_be_so(
    fake: FakeIssuer, waits: list[float], kind: str
) -> None:
    with FakeIssuer() as gone:
        pass
    with pytest.raises(Unavailable, match=r"cannot be reached: .*refused"):
        sign_in(gone, kind)

    for answer, reason, after in (
        (CUT, "gave no answer: the connection failed. Starting again", None),
        (Answer(503), "answers 503: try again later", None),
        (Answer(503, {}, {"retry-after": "7"}), "answers 503: try again in 7 s", 7),
        (Answer(429, {}, {"retry-after": "40"}), "answers 429: try again in 40 s", 40),
    ):
        fake.answers = [answer, PAGE]
        fake.asked.clear()
        with pytest.raises(Unavailable, match=reason) as lost:
            sign_in(fake, kind)
        assert lost.value.retry_after == after
        assert [asked.line for asked in fake.asked] == [OPEN]

    fake.answers = [Answer(500, {"error": "server_error"})]
    with pytest.raises(UnexpectedAnswer, match="the issuer failed, with 500: try again later"):
        sign_in(fake, kind)
    with pytest.raises(Unavailable, match="deadline"):
        sign_in(fake, kind, timeout=0)
    assert waits == []
