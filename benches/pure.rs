//! The pure parts, without a database and without HTTP: `cargo bench --bench pure`.

use std::{hint::black_box, sync::Arc, time::Duration};

use auth_agent::{
    crypto::{
        AccessClaims, ArtefactKind, DerivationKeys, KeyRing, MacKey, Presented, SecretKind,
        SecretTagger, SigningKey, TokenMinter, s256,
    },
    domain::{
        Actor, Admission, Agent, AgentRegistered, AuthRequest, Binding, Client, ClientRegistered,
        CodeChallenge, Envelope, EventId, Fact, GrantType, Lifetimes, LivingKey, Metadata, Owner,
        Recorded, RequestFact, RequestId, Scope, Standing, StreamId, SubjectKind, TokenAlgorithm,
        Versioned,
        auth_request::{
            Authenticate, AuthenticationMethod, Created, RedeemCode, Refresh, Revoked,
            RevokedReason, authenticate, redeem_code, refresh,
        },
        decode,
    },
    edge::{self, Clock},
};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use jiff::Timestamp;

const ISSUER: &str = "https://auth.example";
/// The key that everything is derived under.
const KEY: &str = "k1";
const REDIRECT_URI: &str = "https://profilio.example/callback";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// One sign-in, from the waiting page to the revoked grant, with those it depends on.
struct SignIn {
    id: RequestId,
    now: Timestamp,
    standing: Standing,
    authenticate: Authenticate,
    facts: Vec<Recorded<RequestFact>>,
    /// The state after each of the facts.
    states: Vec<AuthRequest>,
}

impl SignIn {
    /// Decided by the very decisions that are measured.
    fn new() -> Self {
        let now = Clock.now();
        let id = edge::new_request_id(now);
        let (client_id, agent_id, owner_id) = (
            edge::new_client_id(),
            edge::new_agent_id(),
            edge::new_owner_id(),
        );
        let scope = Scope::parse("openid profile email").unwrap();
        let client = ClientRegistered {
            client_name: "Profilio".to_owned(),
            redirect_uris: vec![REDIRECT_URI.to_owned()],
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            token_endpoint_auth_method: None,
            scope: scope.clone(),
            id_token_signed_response_alg: TokenAlgorithm::ES256,
            access_token_signed_response_alg: None,
            subject: SubjectKind::Agent,
            minimum_binding: Binding::Address,
            client_uri: None,
        };
        let agent = AgentRegistered {
            owner_id,
            model: None,
            capabilities: Vec::new(),
            allowed_scopes: None,
            allowed_clients: None,
            minimum_binding: Binding::Address,
        };
        let standing = Standing {
            client: Some(Versioned {
                version: 1,
                state: Client {
                    registered: client,
                    admission: Admission::default(),
                },
            }),
            agent: Some(Versioned {
                version: 1,
                state: Agent {
                    registered: agent,
                    admission: Admission::default(),
                    failures_summed_up_at: None,
                },
            }),
            owner: Some(Versioned {
                version: 1,
                state: Owner::default(),
            }),
            derivation_keys: vec![LivingKey {
                id: KEY.to_owned(),
                version: 2,
                activated: 1,
            }],
        };
        let created = Created {
            client_id,
            redirect_uri: REDIRECT_URI.to_owned(),
            scope,
            code_challenge: CodeChallenge::parse(&s256(VERIFIER)).unwrap(),
            expires_at: now + Duration::from_secs(600),
        };
        let authenticate = Authenticate {
            agent_id,
            model: "claude-opus-4".to_owned(),
            method: AuthenticationMethod::Secret,
            binding: Some(Binding::Browser),
            expected_origin: None,
            expected_client_id: None,
            now,
        };
        let (facts, states) = (Vec::new(), Vec::new());
        let mut sign_in = Self {
            id,
            now,
            standing,
            authenticate,
            facts,
            states,
        };
        sign_in.append(vec![RequestFact::Created(created)]);
        sign_in.append(sign_in.authenticated());
        sign_in.append(sign_in.redeemed());
        sign_in.append(sign_in.refreshed());
        let end = Revoked {
            reason: RevokedReason::RevokedByClient,
        };
        sign_in.append(vec![RequestFact::Revoked(end)]);
        sign_in
    }

    fn append(&mut self, facts: Vec<RequestFact>) {
        for fact in facts {
            let number = self.facts.len() as u64 + 1;
            let event = Recorded {
                position: number,
                version: number,
                id: edge::new_event_id(),
                occurred_at: self.now,
                fact,
            };
            let state = AuthRequest::apply(self.states.last().cloned(), &event).unwrap();
            self.states.push(state);
            self.facts.push(event);
        }
    }

    fn authenticated(&self) -> Vec<RequestFact> {
        let (state, lifetimes) = (Some(&self.states[0]), Lifetimes::default());
        authenticate(state, &self.standing, &self.authenticate, &lifetimes).facts
    }

    fn redeemed(&self) -> Vec<RequestFact> {
        let code = self.facts[2].id;
        let command = RedeemCode {
            client_id: self.states[0].asked().client_id,
            presents: &|event| *event == code,
            hashed_verifier: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            redirect_uri: None,
            jti: "0123456789abcdef0123456789abcdef",
            now: self.now,
        };
        redeem_code(
            &self.states[2],
            &self.standing,
            &command,
            &Lifetimes::default(),
        )
        .facts
    }

    fn refreshed(&self) -> Vec<RequestFact> {
        let issued_by = self.facts[3].id;
        let command = Refresh {
            client_id: self.states[0].asked().client_id,
            presents: &|event| *event == issued_by,
            proved_older: false,
            scope: None,
            jti: "fedcba9876543210fedcba9876543210",
            now: self.now,
        };
        refresh(
            &self.states[3],
            &self.standing,
            &command,
            &Lifetimes::default(),
        )
        .facts
    }

    fn envelopes(&self) -> Vec<Envelope> {
        let envelope = |event: &Recorded<RequestFact>| Envelope {
            position: event.position,
            id: event.id,
            stream: StreamId::AuthRequest(self.id).to_string(),
            version: event.version,
            type_name: event.fact.type_name().to_owned(),
            schema: 1,
            occurred_at: event.occurred_at,
            payload: event.fact.payload().unwrap(),
            metadata: Metadata {
                actor: Actor::Browser,
                address_hash: Some("0123456789abcdef0123456789abcdef".to_owned()),
                request_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
            },
        };
        self.facts.iter().map(envelope).collect()
    }
}

fn read(body: &str) -> Recorded<Fact> {
    decode(&serde_json::from_str(body).unwrap()).unwrap().1
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(50)
        .measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_millis(500));
    group
}

fn events(criterion: &mut Criterion) {
    let sign_in = SignIn::new();
    let envelopes = sign_in.envelopes();
    let bodies: Vec<String> = envelopes
        .iter()
        .map(|envelope| serde_json::to_string(envelope).unwrap())
        .collect();

    let mut group = group(criterion, "stream of one sign-in");
    group.throughput(Throughput::Elements(bodies.len() as u64));
    group.bench_function("write envelopes", |b| {
        b.iter(|| {
            for envelope in &envelopes {
                black_box(serde_json::to_string(envelope).unwrap());
            }
        });
    });
    group.bench_function("read envelopes", |b| {
        b.iter(|| {
            for body in &bodies {
                black_box(read(body));
            }
        });
    });
    group.bench_function("fold", |b| {
        b.iter(|| sign_in.facts.iter().fold(None, AuthRequest::apply));
    });
    group.bench_function("read and fold", |b| {
        b.iter(|| {
            bodies.iter().fold(None, |state, body| {
                let Recorded {
                    position,
                    version,
                    id,
                    occurred_at,
                    fact,
                } = read(body);
                let Fact::Request(fact) = fact else {
                    return state;
                };
                let event = Recorded {
                    position,
                    version,
                    id,
                    occurred_at,
                    fact,
                };
                AuthRequest::apply(state, &event)
            })
        });
    });
}

fn decisions(criterion: &mut Criterion) {
    let sign_in = SignIn::new();
    let mut group = group(criterion, "decide");
    group.bench_function("authenticate", |b| b.iter(|| sign_in.authenticated()));
    group.bench_function("redeem", |b| b.iter(|| sign_in.redeemed()));
    group.bench_function("refresh", |b| b.iter(|| sign_in.refreshed()));
}

fn artefacts(criterion: &mut Criterion) {
    let kind = ArtefactKind::RefreshToken;
    let keys = vec![(KEY.to_owned(), edge::random())];
    let keys = DerivationKeys::new(ISSUER, keys).unwrap();
    let (id, event): (RequestId, EventId) =
        (edge::new_request_id(Clock.now()), edge::new_event_id());
    let text = keys.issue(kind, KEY, &id, &event).unwrap();

    let holder = edge::new_agent_id().to_string();
    let tagger = SecretTagger::new(MacKey::from_bytes(edge::random()));
    let secret = tagger.issue(SecretKind::Agent, &holder, edge::random());
    let guess = format!("{}{}", &secret.expose()[..46], "A".repeat(11));

    let mut group = group(criterion, "derive and check");
    group.bench_function("derive a refresh token", |b| {
        b.iter(|| keys.issue(kind, KEY, &id, &event))
    });
    group.bench_function("check a refresh token", |b| {
        b.iter(|| {
            Presented::parse(kind, &text).is_some_and(|presented| keys.matches(&presented, &event))
        });
    });
    group.bench_function("tag of a genuine secret", |b| {
        b.iter(|| tagger.is_ours(SecretKind::Agent, &holder, secret.expose()));
    });
    group.bench_function("tag of a guess", |b| {
        b.iter(|| tagger.is_ours(SecretKind::Agent, &holder, &guess));
    });
    group.bench_function("challenge of a verifier", |b| {
        b.iter(|| s256(black_box(VERIFIER)))
    });
}

fn tokens(criterion: &mut Criterion) {
    use TokenAlgorithm::{ES256, EdDSA, RS256};
    let sign_in = SignIn::new();
    let now = sign_in.now.as_second();
    let claims = AccessClaims {
        iss: ISSUER.to_owned(),
        sub: sign_in.authenticate.agent_id.to_string(),
        aud: vec![ISSUER.to_owned()],
        client_id: sign_in.states[0].asked().client_id.to_string(),
        scope: "openid profile email".to_owned(),
        model: "claude-opus-4".to_owned(),
        agent_id: sign_in.authenticate.agent_id,
        binding: "browser".to_owned(),
        jti: "0123456789abcdef0123456789abcdef".to_owned(),
        sid: sign_in.id,
        iat: now,
        exp: now + 600,
        auth_time: now,
        amr: vec!["pwd".to_owned()],
        act: None,
    };
    let keys = [EdDSA, ES256, RS256].map(|algorithm| SigningKey::generate(algorithm).unwrap());
    let minter = TokenMinter::new(
        Arc::new(KeyRing::new(keys.map(Arc::new).into()).unwrap()),
        ISSUER.to_owned(),
    );
    // RSA leaves the runtime for a thread of its own: that is part of what it costs.
    let runtime = tokio::runtime::Runtime::new().unwrap();

    let mut group = group(criterion, "access token");
    for algorithm in [EdDSA, ES256, RS256] {
        group.bench_function(format!("sign {algorithm}"), |b| {
            b.to_async(&runtime)
                .iter(|| minter.sign(algorithm, "at+jwt", &claims));
        });
        let token = runtime
            .block_on(minter.sign(algorithm, "at+jwt", &claims))
            .unwrap();
        group.bench_function(format!("verify {algorithm}"), |b| {
            b.iter(|| minter.verify_access_token(&token).is_some());
        });
    }
}

criterion_group!(benches, events, decisions, artefacts, tokens);
criterion_main!(benches);
