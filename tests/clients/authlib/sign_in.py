"""A website's backend built on Authlib, unmodified, from discovery to revocation.

The browser's and the agent's parts, which no library plays, are the few HTTP calls in `visit`.
Takes its task as JSON from the environment variable SIGN_IN, prints what it learnt as JSON, and
ends with a status other than 0 when anything is not as it should be.
"""

import json
import os
import re
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

TASK = json.loads(os.environ["SIGN_IN"])
# The server under test is on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
HTTP = requests.Session()
HTTP.trust_env = False


def check(holds, what):
    """Like `assert`, but never switched off."""
    if not holds:
        raise SystemExit(f"not as it should be: {what}")


def refuses(error, call, *arguments, **named):
    """`call` has to be refused with this error code."""
    try:
        answer = call(*arguments, **named)
    except OAuthError as refusal:
        check(refusal.error == error, f"{refusal.error} is not {error}")
    else:
        check(False, f"no refusal: {answer}")


def visit(address):
    """The browser opens the waiting page, the agent authenticates, the browser goes home."""
    page = HTTP.get(address, allow_redirects=False)
    check(page.status_code == 200, page.text)
    pattern = r"window\.authRequest\s*=\s*\{\s*request_id:\s*'([^']+)'"
    request_id = re.search(pattern, page.text).group(1)
    # The session has kept the page's cookie, and sends it along.
    answer = HTTP.post(
        METADATA["agent_authentication_endpoint"],
        json={
            "request_id": request_id,
            "agent_id": TASK["agent_id"],
            "agent_secret": TASK["agent_secret"],
            "model": TASK["model"],
        },
    )
    check(answer.status_code == 200, answer.text)
    status = HTTP.get(f"{TASK['issuer']}/api/check-status", params={"request_id": request_id})
    return status.json()["redirect_to"]


def id_token_claims(tokens, nonce):
    """Verifies an ID token the way Authlib's own OpenID Connect client does."""
    keys = KeySet.import_key_set(HTTP.get(METADATA["jwks_uri"]).json())
    algorithm = TASK["id_token_signed_response_alg"]
    check(algorithm in METADATA["id_token_signing_alg_values_supported"], algorithm)
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    token = jwt.decode(tokens["id_token"], key=keys, registry=registry)
    claims = CodeIDToken(
        token.claims,
        token.header,
        {"iss": {"values": [METADATA["issuer"]]}, "aud": {"values": [TASK["client_id"]]}},
        {
            "nonce": nonce,
            "client_id": TASK["client_id"],
            "access_token": tokens["access_token"],
        },
    )
    claims.validate()
    return claims


METADATA = HTTP.get(f"{TASK['issuer']}/.well-known/openid-configuration").json()
check(METADATA["issuer"] == TASK["issuer"], "the issuer")
check(METADATA["authorization_response_iss_parameter_supported"], "iss in callbacks")

session = OAuth2Session(
    TASK["client_id"],
    TASK.get("client_secret"),
    scope="openid profile email",
    redirect_uri=TASK["redirect_uri"],
    token_endpoint=METADATA["token_endpoint"],
    token_endpoint_auth_method=TASK["token_endpoint_auth_method"],
    revocation_endpoint_auth_method=TASK["token_endpoint_auth_method"],
    code_challenge_method="S256",
)
session.trust_env = False

# To the server and back.
verifier, nonce = generate_token(48), generate_token()
address, state = session.create_authorization_url(
    METADATA["authorization_endpoint"], code_verifier=verifier, nonce=nonce
)
callback = visit(address)
came_back = parse_qs(urlsplit(callback).query)
check(callback.split("?")[0] == TASK["redirect_uri"], callback)
# RFC 9207, section 2.4; Authlib leaves it to its caller.
check(came_back["iss"] == [METADATA["issuer"]], came_back)

# What came back is refused when it is not what was asked for, and by that nothing is lost.
exchange = {"authorization_response": callback, "code_verifier": verifier}
try:
    session.fetch_token(state="another", **exchange)
except Exception as error:  # its type is Authlib's own business
    check("state" in str(error).lower(), error)
else:
    check(False, "another state was taken")
refuses("invalid_grant", session.fetch_token, state=state, authorization_response=callback,
        code_verifier=generate_token(48))

tokens = session.fetch_token(state=state, **exchange)
claims = id_token_claims(tokens, nonce)
check(claims.header["alg"] == TASK["id_token_signed_response_alg"], claims.header)
check(claims["sub"] == TASK["agent_id"], claims)
check(claims["at_hash"], claims)

person = session.get(METADATA["userinfo_endpoint"])
check(person.status_code == 200, person.text)
person = person.json()
check(person["sub"] == claims["sub"] and person["email"] == claims["email"], person)

refreshed = session.refresh_token(refresh_token=tokens["refresh_token"])
check(refreshed["access_token"] != tokens["access_token"], "a new access token")
check(refreshed["refresh_token"] != tokens["refresh_token"], "a new refresh token")
again = id_token_claims(refreshed, None)
check(again["sub"] == claims["sub"] and again["auth_time"] == claims["auth_time"], again)

introspection = METADATA["introspection_endpoint"]
public = TASK["token_endpoint_auth_method"] == "none"


def introspected(token):
    """The answer of RFC 7662."""
    return session.introspect_token(introspection, token=token)


if public:
    # Introspection is not for public clients (RFC 7662, section 2.1).
    answer = introspected(refreshed["access_token"])
    check(answer.status_code == 401, answer.text)
else:
    seen = introspected(refreshed["access_token"]).json()
    check(seen["active"] and seen["sub"] == claims["sub"], seen)
    check(introspected(refreshed["refresh_token"]).json()["active"], "the refresh token")

revoked = session.revoke_token(
    METADATA["revocation_endpoint"],
    token=refreshed["refresh_token"],
    token_type_hint="refresh_token",
)
check(revoked.status_code == 200, revoked.text)
if not public:
    for token in (
        refreshed["refresh_token"],
        refreshed["access_token"],
        tokens["access_token"],
    ):
        check(introspected(token).json() == {"active": False}, "dead after revocation")
dead = session.get(METADATA["userinfo_endpoint"])
check(dead.status_code == 401, dead.text)
refuses("invalid_grant", session.refresh_token, refresh_token=refreshed["refresh_token"])

print(json.dumps({"claims": dict(claims), "person": person}))
