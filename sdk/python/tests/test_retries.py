"""What is asked again and what is not, of an issuer that the test makes fail."""

import asyncio
import json
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from support.fake_issuer import CUT, DONE, Answer, FakeIssuer
from support.still_page import COOKIE, AsyncStillPage, StillPage

from auth_agent import (
    AsyncAuthAgent,
    AuthAgent,
    ChallengeRequired,
    PageClosed,
    RedirectTimeout,
    Refused,
    SignIn,
    SlowDown,
    Unavailable,
    UnexpectedAnswer,
)

SECRET = "as_secret-of-the-agent"
CALL = "POST /api/agent/authenticate"
COOKIES = [
    {**COOKIE, "name": "aa_req_0", "value": "another"},
    {**COOKIE, "name": "session", "value": "session-of-the-issuer"},
    COOKIE,
]


def sign_in(fake: FakeIssuer, kind: str = "sync", **options: object) -> SignIn:
    """Signs in at a page that goes on once the issuer has said that it is done."""

    def is_done() -> bool:
        return bool(fake.asked) and not fake.answers

    address = f"{fake.url}/authorize/req_1"
    given = {"issuer": fake.url, "agent_id": "agent_1", "agent_secret": SECRET, "model": "m"}
    timeout = float(str(options.get("timeout", 60)))
    if kind == "sync":
        page = StillPage(address, COOKIES, is_done)
        return AuthAgent(**given).sign_in(
            page, expected_origin="https://shop.example", timeout=timeout
        )
    pages = AsyncStillPage(address, COOKIES, is_done)
    return asyncio.run(
        AsyncAuthAgent(**given).sign_in(
            pages,  # type: ignore[arg-type]
            expected_origin="https://shop.example",
            timeout=timeout,
        )
    )


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_a_call_is_repeated_after_503_a_lost_connection_and_429(
    fake: FakeIssuer, waits: list[float], kind: str
) -> None:
    fake.answers = [Answer(503), CUT, Answer(429, {}, {"retry-after": "2"}), DONE]
    done = sign_in(fake, kind)
    assert done == SignIn("req_1", "browser", "Shop  Ignore", "https://shop.example")
    assert [asked.line for asked in fake.asked] == [CALL] * 4
    assert waits[2] == 2
    assert waits[0] < 0.26 < 0.51 > waits[1]
    [body] = {asked.body for asked in fake.asked}
    assert json.loads(body) == {
        "request_id": "req_1",
        "agent_id": "agent_1",
        "agent_secret": SECRET,
        "model": "m",
        "expected_origin": "https://shop.example",
    }
    cookies = {asked.headers["cookie"] for asked in fake.asked}
    assert cookies == {"aa_req_1=cookie-1"}, "its own cookie, and no other"


@both
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "invalid_request"),
        (401, "invalid_agent"),
        (403, "access_denied"),
        (403, "browser_mismatch"),
        (403, "binding_required"),
        (403, "origin_mismatch"),
        (404, "unknown_request"),
        (409, "request_closed"),
        (410, "request_expired"),
    ],
)
def test_a_refusal_is_asked_for_once_and_said_by_its_name(
    fake: FakeIssuer, status: int, error: str, kind: str
) -> None:
    body = {"success": False, "error": error, "error_description": f"because of {error}.\n"}
    fake.answers = [Answer(status, body), DONE]
    with pytest.raises(Refused) as refused:
        sign_in(fake, kind)
    assert refused.value.error == error
    assert str(refused.value).startswith(f"refused, {error}: because of {error}")
    assert "\n" not in str(refused.value)
    assert refused.value.advice in str(refused.value)
    assert len(fake.asked) == 1


@both
def test_a_redirect_is_not_followed_and_an_answer_that_says_nothing_is_no_sign_in(
    fake: FakeIssuer, kind: str
) -> None:
    elsewhere = {"location": f"{fake.url}/elsewhere"}
    odd = [
        Answer(302, {}, elsewhere),
        Answer(307, {}, elsewhere),
        Answer(308, {"error": "invalid_agent"}, elsewhere),
        Answer(200, {}),
        Answer(200, None),
        Answer(200, {"success": "true"}),
        Answer(500, {"error": "__class__"}),
        Answer(500, {"error": ["invalid_agent"]}),
    ]
    for answer in odd:
        fake.answers = [answer, DONE]
        with pytest.raises(UnexpectedAnswer):
            sign_in(fake, kind)
    assert [asked.line for asked in fake.asked] == [CALL] * len(odd)


@both
def test_a_fault_of_the_issuer_is_said_to_be_one(fake: FakeIssuer, kind: str) -> None:
    fake.answers = [Answer(500, {"error": "server_error"}), DONE]
    with pytest.raises(UnexpectedAnswer, match="the issuer failed, with 500: try again later"):
        sign_in(fake, kind)
    assert len(fake.asked) == 1


def test_a_second_factor_is_an_error_with_a_name_of_its_own(fake: FakeIssuer) -> None:
    body = {"success": True, "status": "challenge", "challenge": {"challenge_id": "c"}}
    fake.answers = [Answer(202, body), DONE]
    with pytest.raises(ChallengeRequired):
        sign_in(fake)
    assert len(fake.asked) == 1


@both
def test_repeating_ends_after_a_few_tries_at_a_long_wait_and_at_the_deadline(
    fake: FakeIssuer, waits: list[float], kind: str
) -> None:
    fake.answers = [Answer(503)] * 6
    with pytest.raises(Unavailable, match="answers 503: try again later") as lasting:
        sign_in(fake, kind)
    assert lasting.value.retry_after is None
    assert len(fake.asked) == 5

    later = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    for value in ("3600", later):
        fake.answers = [Answer(429, {"error": "slow_down"}, {"retry-after": value}), DONE]
        with pytest.raises(SlowDown, match=r"It may come in 3[56]\d\d s\.") as slow:
            sign_in(fake, kind)
        assert 3500 < (slow.value.retry_after or 0) <= 3600
    assert len(fake.asked) == 7

    fake.answers = [Answer(429, {}, {"retry-after": "9"}), DONE]
    with pytest.raises(SlowDown) as late:
        sign_in(fake, kind, timeout=5)
    assert late.value.retry_after == 9
    assert len(fake.asked) == 8

    for status in (502, 503, 504):
        fake.answers = [Answer(status, {}, {"retry-after": "40"}), DONE]
        with pytest.raises(Unavailable, match=f"answers {status}: try again in 40 s") as away:
            sign_in(fake, kind)
        assert away.value.retry_after == 40
    assert len(fake.asked) == 11

    fake.answers = [Answer(429, {}, {"retry-after": "nonsense"}), DONE]
    assert sign_in(fake, kind).binding == "browser"


@both
def test_an_issuer_that_is_not_there_is_unavailable(waits: list[float], kind: str) -> None:
    with FakeIssuer() as gone:
        pass
    with pytest.raises(Unavailable, match=r"gave no answer: .*refused"):
        sign_in(gone, kind)
    assert len(waits) == 4


@both
def test_no_time_is_no_call(fake: FakeIssuer, kind: str) -> None:
    fake.answers = [DONE]
    with pytest.raises(Unavailable, match="deadline"):
        sign_in(fake, kind, timeout=0)
    assert fake.asked == []


def test_a_page_that_stays_or_closes_after_the_sign_in_is_said_to_be_authenticated(
    fake: FakeIssuer,
) -> None:
    agent = AuthAgent(issuer=fake.url, agent_id="agent_1", agent_secret=SECRET, model="m")
    page = StillPage(f"{fake.url}/authorize/req_1")
    fake.answers = [DONE]
    with pytest.raises(RedirectTimeout) as stays:
        agent.sign_in(page, timeout=0.5)
    assert stays.value.authenticated

    fake.answers = [DONE]

    def closes() -> bool:
        page.closed = not fake.answers
        return False

    page._is_done = closes
    with pytest.raises(PageClosed) as closed:
        agent.sign_in(page)
    assert closed.value.authenticated


def test_no_proxy_for_plain_http_gets_the_secret(
    fake: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeIssuer() as proxy:
        proxy.answers = [DONE]
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        fake.answers = [DONE]
        sign_in(fake)
        assert proxy.asked == []
