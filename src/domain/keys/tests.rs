mod published;

use jiff::SignedDuration;

use super::*;
use crate::domain::EventId;

const RS256: KeyGroup = KeyGroup::Signing(TokenAlgorithm::RS256);
const ES256: KeyGroup = KeyGroup::Signing(TokenAlgorithm::ES256);
const SCHEDULE: KeySchedule = KeySchedule {
    signing_ahead: Duration::from_secs(900),
    derivation_ahead: Duration::from_secs(5),
    signing_kept: Duration::from_secs(1_500),
    derivation_kept: Duration::from_secs(10_000),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn generated(group: KeyGroup) -> Fact {
    match group.algorithm() {
        Some(algorithm) => Fact::SigningKey(SigningKeyFact::Generated(SigningKeyGenerated {
            alg: algorithm.to_string(),
            public_jwk: Value::Null,
        })),
        None => Fact::DerivationKey(DerivationKeyFact::Generated(KeyGenerated {})),
    }
}

fn signing(fact: SigningKeyFact) -> Fact {
    Fact::SigningKey(fact)
}

fn activated() -> Fact {
    signing(SigningKeyFact::Activated(KeyActivated {}))
}

fn retired() -> Fact {
    signing(SigningKeyFact::Retired(KeyRetired {}))
}

fn compromised() -> Fact {
    signing(SigningKeyFact::Compromised(KeyCompromised {}))
}

/// A log of keys: its positions are seconds.
#[derive(Default)]
struct Story {
    keys: Keys,
    position: u64,
}

impl Story {
    fn at(mut self, seconds: u64) -> Self {
        self.position = seconds;
        self
    }

    fn then(mut self, id: &str, fact: Fact) -> Self {
        self.position += 1;
        let found = self.keys.0.iter().position(|known| known.id == id);
        let before = found.map(|at| self.keys.0.remove(at));
        let version = before.as_ref().map_or(0, |before| before.version) + 1;
        let event = Recorded {
            position: self.position,
            version,
            id: EventId::from_bytes([0; 16]),
            occurred_at: at(self.position as i64),
            fact,
        };
        let key = Key::apply(before.map(|before| before.key), &event).expect("it can follow");
        let known = KnownKey {
            id: id.to_owned(),
            version,
            key,
        };
        let place = found.unwrap_or(self.keys.0.len());
        self.keys.0.insert(place, known);
        self
    }

    fn status(&self, id: &str) -> KeyStatus {
        self.keys.status(self.known(id))
    }

    fn known(&self, id: &str) -> &KnownKey {
        let found = self.keys.0.iter().find(|known| known.id == id);
        found.expect("there is one")
    }

    fn due(&self, id: &str) -> Option<(DueStep, Timestamp)> {
        self.keys.due(self.known(id), &SCHEDULE)
    }
}

/// One key of each group, the first of them in use.
fn first() -> Story {
    Story::default()
        .then("a", generated(RS256))
        .then("a", activated())
        .then("other", generated(ES256))
        .then("other", activated())
}

#[test]
fn a_key_in_use_stays_so_until_another_is_activated() {
    let story = first();
    assert_eq!(story.status("a"), KeyStatus::Active);
    assert_eq!(story.due("a"), None);

    let story = story.at(99).then("b", generated(RS256));
    assert_eq!(story.status("a"), KeyStatus::Active);
    assert_eq!(story.status("b"), KeyStatus::Next);
    assert_eq!(story.due("b"), Some((DueStep::Activate, at(100 + 900))));

    let story = story.at(1_099).then("b", activated());
    assert_eq!(story.status("a"), KeyStatus::Retiring);
    assert_eq!(story.status("b"), KeyStatus::Active);
    assert_eq!(story.due("a"), Some((DueStep::Retire, at(1_100 + 1_500))));
    assert_eq!(story.due("b"), None);
    assert_eq!(story.status("other"), KeyStatus::Active);

    let story = story.then("a", retired());
    assert_eq!(story.status("a"), KeyStatus::Retired);
    assert_eq!(story.due("a"), None);
    let living: Vec<_> = story.keys.living(RS256).map(|known| &*known.id).collect();
    assert_eq!(living, ["b"]);
}

#[test]
fn a_key_is_kept_from_its_own_successor_on_whatever_follows_or_becomes_of_that() {
    let story = first()
        .at(99)
        .then("b", generated(RS256))
        .then("b", activated())
        .at(199)
        .then("c", generated(RS256))
        .then("c", activated());
    assert_eq!(story.due("a"), Some((DueStep::Retire, at(101 + 1_500))));
    assert_eq!(story.due("b"), Some((DueStep::Retire, at(201 + 1_500))));
    let story = story.then("b", compromised());
    assert_eq!(story.due("a"), Some((DueStep::Retire, at(101 + 1_500))));
    assert_eq!(story.due("b"), None);
}

#[test]
fn a_second_rotation_waits_for_the_first() {
    let story = first();
    let followed = story.keys.rotate(RS256).unwrap().map(|known| &*known.id);
    assert_eq!(followed, Some("a"));
    let story = story.then("b", generated(RS256));
    let pending = story.keys.rotate(RS256).unwrap_err();
    assert_eq!(pending.group, RS256);
    let due = story.due("b").map(|(_, at)| at);
    assert_eq!(Some(pending.activates_at(&SCHEDULE)), due);
    // The other groups do not.
    assert!(story.keys.rotate(ES256).is_ok());
    assert_eq!(story.keys.rotate(KeyGroup::Derivation), Ok(None));
    let story = story.then("b", activated());
    let followed = story.keys.rotate(RS256).unwrap().map(|known| &*known.id);
    assert_eq!(followed, Some("b"));
}

#[test]
fn a_compromised_key_is_gone_at_once_and_nothing_follows_in_its_stream() {
    let story = first()
        .then("a", compromised())
        .then("b", generated(RS256))
        .then("b", activated());
    assert_eq!(story.status("a"), KeyStatus::Compromised);
    assert_eq!(story.due("a"), None);
    assert_eq!(story.keys.active(RS256).map(|known| &*known.id), Some("b"));
    let ended = story.known("a").key.clone();
    for fact in [activated(), retired(), compromised(), generated(RS256)] {
        let event = Recorded {
            position: 50,
            version: 4,
            id: EventId::from_bytes([0; 16]),
            occurred_at: at(50),
            fact,
        };
        assert_eq!(Key::apply(Some(ended.clone()), &event), None);
    }
}

#[test]
fn a_derivation_key_has_a_schedule_of_its_own() {
    let derivation = |fact| Fact::DerivationKey(fact);
    let story = Story::default()
        .then("1", generated(KeyGroup::Derivation))
        .then(
            "1",
            derivation(DerivationKeyFact::Activated(KeyActivated {})),
        )
        .at(99)
        .then("2", generated(KeyGroup::Derivation));
    assert_eq!(story.due("2"), Some((DueStep::Activate, at(105))));
    let story = story.then(
        "2",
        derivation(DerivationKeyFact::Activated(KeyActivated {})),
    );
    assert_eq!(story.due("1"), Some((DueStep::Retire, at(101 + 10_000))));
}
