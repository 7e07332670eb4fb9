//! Whatever comes by chance: paths, methods, headers and bodies put together at random, from a seed
//! that is printed and can be given again in `AUTH_AGENT_TEST_SEED`.

use super::{Known, matrix, values};
use crate::support::{process::arbitrary, raw::Call};

#[expect(
    clippy::disallowed_methods,
    reason = "a seed of the test's own, no setting of the program"
)]
pub(super) fn seed() -> u64 {
    let given = std::env::var("AUTH_AGENT_TEST_SEED").ok();
    given.map_or_else(arbitrary, |text| text.parse().expect("a number"))
}

/// SplitMix64: small, and the same for a seed everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).expect("it is small")
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Bytes that a header or target may hold on the wire: no line ends.
    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        let byte = |chance: &mut Self| match chance.below(256) as u8 {
            b'\r' | b'\n' => b'x',
            byte => byte,
        };
        (0..length).map(|_| byte(self)).collect()
    }
}

/// That many calls, the same ones for the same seed.
pub(super) fn calls(seed: u64, known: &Known, number: usize) -> Vec<Call> {
    let mut chance = Chance(seed);
    let targets = [matrix::targets(known), matrix::paths(known)].concat();
    let pools = Pools {
        encoded: values::encoded(),
        json: values::json(),
        bodies: values::bodies(),
    };
    let mut calls = Vec::with_capacity(number);
    while calls.len() < number {
        let target = chance.of(&targets).clone();
        if !target.ends_with("/suspend") {
            calls.push(one(&mut chance, known, &pools, &target));
        }
    }
    calls
}

struct Pools {
    encoded: Vec<Vec<u8>>,
    json: Vec<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
}

const NAMES: [&str; 30] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "response_type",
    "grant_type",
    "refresh_token",
    "token",
    "request_id",
    "agent_id",
    "agent_secret",
    "model",
    "expected_origin",
    "client_name",
    "redirect_uris",
    "user_email",
    "user_name",
    "agent_name",
    "after",
    "limit",
    "since",
    "until",
    "stream",
    "%",
];

fn one(chance: &mut Chance, known: &Known, pools: &Pools, target: &str) -> Call {
    let method = *chance.of(&[
        "GET", "POST", "POST", "GET", "HEAD", "DELETE", "X", "OPTIONS",
    ]);
    let mut call = Call::new(method, target);
    if !chance.one_in(4) {
        call = matrix::let_in(known, target, call);
    }
    for _ in 0..chance.below(5) {
        let value: Vec<u8> = if chance.one_in(4) {
            chance.bytes(40)
        } else {
            chance.of(&pools.encoded).clone()
        };
        let pair = [chance.of(&NAMES).as_bytes(), b"=", &value].concat();
        let fits = |byte: &u8| *byte > b' ' && *byte != 0x7f;
        call = call.query(pair.into_iter().filter(fits).collect::<Vec<u8>>());
    }
    for _ in 0..chance.below(4) {
        let name = *chance.of(&[
            "Authorization",
            "Cookie",
            "Accept",
            "Content-Type",
            "Last-Event-ID",
            "Origin",
            "X-Request-Id",
            "If-None-Match",
            "Range",
            "Accept-Encoding",
            "Forwarded",
        ]);
        let value = match name {
            "Authorization" => chance.of(&values::AUTHORIZATIONS).to_vec(),
            "Cookie" => chance
                .of(&values::COOKIES)
                .replace("ID", &known.page.request_id)
                .into_bytes(),
            "Last-Event-ID" => chance.of(&values::EVENT_IDS).to_vec(),
            "Content-Type" => chance.of(&values::MEDIA_TYPES).to_vec(),
            _ => chance.bytes(60),
        };
        call = call.header(name, value);
    }
    match chance.below(4) {
        0 => call,
        1 => {
            let body = chance.of(&pools.bodies).clone();
            call.header("Content-Type", "application/json").body(body)
        }
        2 => {
            let mut body = vec![b'{'];
            for number in 0..chance.below(6) {
                if number > 0 {
                    body.push(b',');
                }
                body.extend_from_slice(format!("{:?}:", chance.of(&NAMES)).as_bytes());
                body.extend_from_slice(chance.of(&pools.json).as_slice());
            }
            body.push(b'}');
            call.header("Content-Type", "application/json").body(body)
        }
        _ => {
            let mut body = Vec::new();
            for _ in 0..chance.below(8) {
                body.extend_from_slice(chance.of(&NAMES).as_bytes());
                body.push(b'=');
                body.extend_from_slice(chance.of(&pools.encoded).as_slice());
                body.push(b'&');
            }
            call.header("Content-Type", "application/x-www-form-urlencoded")
                .body(body)
        }
    }
}
