use std::collections::HashSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::ArtefactKind::{AuthorizationCode, RefreshToken};
use super::*;

const ISSUER: &str = "https://auth.example";

/// Two keys, one of which is issued under.
#[derive(Debug)]
struct Under {
    keys: DerivationKeys,
    active: &'static str,
}

impl Under {
    fn issue(&self, kind: ArtefactKind, request: &RequestId, event: &EventId) -> String {
        self.keys.issue(kind, self.active, request, event).unwrap()
    }
}

fn keys(issuer: &str, active: &'static str) -> Under {
    let keys = vec![("k1".to_owned(), [1; 32]), ("k2".to_owned(), [2; 32])];
    let keys = DerivationKeys::new(issuer, keys).unwrap();
    Under { keys, active }
}

fn request(n: u128) -> RequestId {
    RequestId::from_uuid(Uuid::from_u128(n))
}

fn event(n: u8) -> EventId {
    EventId::from_bytes([n; 16])
}

fn accepted(under: &Under, kind: ArtefactKind, text: &str, event: &EventId) -> bool {
    Presented::parse(kind, text).is_some_and(|presented| under.keys.matches(&presented, event))
}

#[test]
fn an_artefact_matches_the_event_that_issued_it_and_no_other() {
    let keys = keys(ISSUER, "k1");
    for kind in [AuthorizationCode, RefreshToken] {
        let text = keys.issue(kind, &request(1), &event(1));
        assert_eq!(
            Presented::parse(kind, &text).unwrap().request_id,
            request(1)
        );
        assert!(accepted(&keys, kind, &text, &event(1)));
        assert!(!accepted(&keys, kind, &text, &event(2)));
    }
}

#[test]
fn the_text_has_the_documented_form() {
    let text = keys(ISSUER, "k1").issue(AuthorizationCode, &request(1), &event(1));
    assert_eq!(
        text,
        // Fixed for ever, and computed by another implementation: a change would end every
        // sign-in under way.
        "ac_k1.req_00000000000000000000000000000001.Zi7-54WNOyAj_H9UsiLNQ4z20hcLLY1lHLpgz-GByQo"
    );
}

#[test]
fn one_type_is_never_taken_for_the_other() {
    let keys = keys(ISSUER, "k1");
    let code = keys.issue(AuthorizationCode, &request(1), &event(1));
    assert!(Presented::parse(RefreshToken, &code).is_none());
    let renamed = code.replacen("ac_", "rt_", 1);
    assert!(!accepted(&keys, RefreshToken, &renamed, &event(1)));
}

#[test]
fn another_issuer_under_the_same_key_is_refused() {
    let text = keys("https://other.example", "k1").issue(RefreshToken, &request(1), &event(1));
    assert!(!accepted(
        &keys(ISSUER, "k1"),
        RefreshToken,
        &text,
        &event(1)
    ));
}

#[test]
fn another_request_is_refused() {
    let keys = keys(ISSUER, "k1");
    let text = keys.issue(RefreshToken, &request(1), &event(1));
    let moved = text.replacen(&request(1).to_string(), &request(2).to_string(), 1);
    assert!(!accepted(&keys, RefreshToken, &moved, &event(1)));
}

#[test]
fn another_key_id_is_refused_known_or_not() {
    let keys = keys(ISSUER, "k1");
    let text = keys.issue(RefreshToken, &request(1), &event(1));
    assert!(!accepted(
        &keys,
        RefreshToken,
        &text.replacen("k1", "k2", 1),
        &event(1)
    ));
    let unknown = text.replacen("k1", "k3", 1);
    assert!(!accepted(&keys, RefreshToken, &unknown, &event(1)));
    assert!(!keys.keys.knows("k3"));
    let under_unknown = keys.keys.issue(RefreshToken, "k3", &request(1), &event(1));
    assert_eq!(under_unknown, None);
}

#[test]
fn an_old_key_still_matches_after_rotation() {
    let text = keys(ISSUER, "k1").issue(RefreshToken, &request(1), &event(1));
    let rotated = keys(ISSUER, "k2");
    assert!(accepted(&rotated, RefreshToken, &text, &event(1)));
    assert!(
        rotated
            .issue(RefreshToken, &request(1), &event(1))
            .starts_with("rt_k2.")
    );
}

#[test]
fn other_spellings_are_refused() {
    let text = keys(ISSUER, "k1").issue(AuthorizationCode, &request(0xab), &event(1));
    let (head, mac) = text.rsplit_once('.').unwrap();
    for other in [
        String::new(),
        "ac_".to_owned(),
        "ac_..".to_owned(),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}="),
        format!("{text}."),
        format!("{text}.x"),
        text.to_uppercase(),
        head.to_owned(),
        format!("{}.{mac}", head.to_uppercase()),
        format!("{head}.{}", &mac[1..]),
        format!("{head}.{mac}A"),
        text.repeat(1_000),
    ] {
        assert!(
            Presented::parse(AuthorizationCode, &other).is_none(),
            "{other}"
        );
    }
}

#[test]
fn two_events_never_yield_the_same_artefact() {
    let keys = keys(ISSUER, "k1");
    let mut seen = HashSet::new();
    for n in 0..=255 {
        for kind in [AuthorizationCode, RefreshToken] {
            assert!(seen.insert(keys.issue(kind, &request(1), &event(n))));
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_at_start() {
    let bad = |id: &str| DerivationKeys::new(ISSUER, vec![(id.to_owned(), [1; 32])]).err();
    assert_eq!(bad("abcdefghijklmn16"), None);
    for id in ["", "abcdefghijklmno17", "K1", "k.1", "k_1", "ä"] {
        assert_eq!(bad(id), Some(DerivationKeyError::BadKeyId(id.to_owned())));
    }
    let twice = vec![("k1".to_owned(), [1; 32]), ("k1".to_owned(), [2; 32])];
    assert_eq!(
        DerivationKeys::new(ISSUER, twice).err(),
        Some(DerivationKeyError::BadKeyId("k1".to_owned()))
    );
    assert_eq!(
        DerivationKeys::new(ISSUER, Vec::new()).err(),
        Some(DerivationKeyError::Empty)
    );
}

#[test]
fn debug_shows_neither_key_nor_mac() {
    let keys = keys(ISSUER, "k1");
    let text = keys.issue(RefreshToken, &request(1), &event(1));
    let presented = Presented::parse(RefreshToken, &text).unwrap();
    let shown = format!("{keys:?} {presented:?}");
    assert!(!shown.contains("[1, 1"), "{shown}");
    assert!(!shown.contains("mac"), "{shown}");
}

proptest! {
    #[test]
    fn one_changed_byte_is_refused(
        seed: u128,
        event: [u8; 16],
        at in 0_usize..TEXT_MAX,
        with in 1_u8..0x7f,
    ) {
        let keys = keys(ISSUER, "k1");
        let event = EventId::from_bytes(event);
        let mut bytes = keys.issue(AuthorizationCode, &request(seed), &event).into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != with);
        bytes[at] = with;
        let text = String::from_utf8(bytes).unwrap();
        prop_assert!(!accepted(&keys, AuthorizationCode, &text, &event));
    }

    #[test]
    fn any_text_is_taken_without_harm(text in "(ac_k1\\.)?.{0,120}") {
        let keys = keys(ISSUER, "k1");
        prop_assert!(!accepted(&keys, AuthorizationCode, &text, &event(1)));
    }

    #[test]
    fn different_events_differ(request_id: u128, a: [u8; 16], b: [u8; 16]) {
        prop_assume!(a != b);
        let keys = keys(ISSUER, "k1");
        let issue = |e| keys.issue(RefreshToken, &request(request_id), &EventId::from_bytes(e));
        prop_assert_ne!(issue(a), issue(b));
        prop_assert_eq!(issue(a), issue(a));
    }
}
