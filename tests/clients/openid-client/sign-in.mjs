// A website's backend built on openid-client, unmodified, from discovery to revocation. The
// browser's and the agent's parts, which no library plays, are the few HTTP calls in `visit`.
//
// Takes its task as JSON from the environment variable SIGN_IN, prints what it learnt as JSON, and
// ends with a status other than 0 when anything is not as it should be.

import assert from "node:assert/strict";
import * as client from "openid-client";

const task = JSON.parse(process.env.SIGN_IN);

const authentication = {
  client_secret_basic: () => client.ClientSecretBasic(task.client_secret),
  client_secret_post: () => client.ClientSecretPost(task.client_secret),
  none: () => client.None(),
}[task.token_endpoint_auth_method]();

const config = await client.discovery(
  new URL(task.issuer),
  task.client_id,
  { id_token_signed_response_alg: task.id_token_signed_response_alg },
  authentication,
  {
    execute: [
      // The server under test is on loopback.
      client.allowInsecureRequests,
      // Verify the signature of ID tokens, too, although they come straight from the server.
      client.enableNonRepudiationChecks,
    ],
  },
);
const metadata = config.serverMetadata();
assert.equal(metadata.issuer, task.issuer);
assert.ok(metadata.authorization_response_iss_parameter_supported);
assert.ok(metadata.supportsPKCE());

// To the server and back.
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const expectedNonce = client.randomNonce();
const callback = await visit(
  client.buildAuthorizationUrl(config, {
    redirect_uri: task.redirect_uri,
    scope: "openid profile email",
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
  }),
);
assert.equal(callback.href.split("?")[0], task.redirect_uri);

// What came back is refused when it is not what was asked for, or is another server's.
const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true };
await assert.rejects(
  client.authorizationCodeGrant(config, callback, { ...checks, expectedState: "another" }),
  because(/state/),
);
for (const issuer of ["https://another.example", null]) {
  const forged = new URL(callback);
  if (issuer === null) forged.searchParams.delete("iss");
  else forged.searchParams.set("iss", issuer);
  await assert.rejects(client.authorizationCodeGrant(config, forged, checks), because(/iss/));
}

const tokens = await client.authorizationCodeGrant(config, callback, checks);
const claims = tokens.claims();
const header = JSON.parse(Buffer.from(tokens.id_token.split(".")[0], "base64url"));
assert.equal(header.alg, task.id_token_signed_response_alg);
assert.equal(claims.sub, task.agent_id);
assert.equal(claims.nonce, expectedNonce);
assert.ok(tokens.expiresIn() > 0);

const person = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
assert.equal(person.email, claims.email);

const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
assert.notEqual(refreshed.access_token, tokens.access_token);
assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
assert.equal(refreshed.claims().sub, claims.sub);
assert.equal(refreshed.claims().auth_time, claims.auth_time);

// Introspection is not for public clients (RFC 7662, section 2.1).
const isPublic = task.token_endpoint_auth_method === "none";
const isActive = async (token) => (await client.tokenIntrospection(config, token)).active;
if (isPublic) {
  await assert.rejects(client.tokenIntrospection(config, refreshed.access_token));
} else {
  const seen = await client.tokenIntrospection(config, refreshed.access_token);
  assert.ok(seen.active);
  assert.equal(seen.sub, claims.sub);
  assert.equal(seen.client_id, task.client_id);
  assert.ok(await isActive(refreshed.refresh_token));
}

await client.tokenRevocation(config, refreshed.refresh_token);
if (!isPublic) {
  for (const token of [refreshed.refresh_token, refreshed.access_token, tokens.access_token]) {
    assert.equal(await isActive(token), false);
  }
}
await assert.rejects(client.fetchUserInfo(config, refreshed.access_token, claims.sub));
await assert.rejects(client.refreshTokenGrant(config, refreshed.refresh_token), {
  error: "invalid_grant",
});

console.log(JSON.stringify({ claims, person }));

// The library names the reason in the cause of its error.
function because(reason) {
  return (error) => reason.test(error.cause?.message ?? "");
}

// The browser opens the waiting page, the agent reads it and authenticates, the browser goes home.
async function visit(address) {
  const page = await fetch(address, { redirect: "manual" });
  assert.equal(page.status, 200);
  const cookie = page.headers.getSetCookie().map((each) => each.split(";")[0]).join("; ");
  const html = await page.text();
  const [, request_id] = /window\.authRequest\s*=\s*\{\s*request_id:\s*'([^']+)'/.exec(html);
  const answer = await fetch(metadata.agent_authentication_endpoint, {
    method: "POST",
    headers: { "content-type": "application/json", cookie },
    body: JSON.stringify({
      request_id,
      agent_id: task.agent_id,
      agent_secret: task.agent_secret,
      model: task.model,
    }),
  });
  assert.equal(answer.status, 200, await answer.text());
  const status = new URL(`${task.issuer}/api/check-status`);
  status.searchParams.set("request_id", request_id);
  const { redirect_to } = await (await fetch(status, { headers: { cookie } })).json();
  return new URL(redirect_to);
}
