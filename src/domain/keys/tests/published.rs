//! What websites can verify: a copy of the key set that is five minutes old at most holds the key of every
//! token, from its signing until its end, whenever keys are rotated.

use proptest::prelude::{prop, prop_assert_eq, proptest};

use super::*;

/// For how long a website keeps the key set, whatever it is told.
const COPY_KEPT: u64 = 300;
/// For how long a token lives: [`SCHEDULE`] is what follows from it at the default settings.
const TOKEN_LIVES: u64 = 600;
/// When the server was started for the first time. Nobody has a copy from before.
const BEGIN: u64 = 1_000;

/// The keys as they stood, each time from a second on.
type Life = Vec<(u64, Keys)>;

/// A life with three rotations, each as soon after its moment as another key may be made. Every step is
/// taken so many seconds after it is due.
fn life(schedule: &KeySchedule, mut rotations: [u64; 3], late: u64) -> Life {
    rotations.sort_unstable();
    let mut story = Story::default()
        .at(BEGIN)
        .then("0", generated(RS256))
        .then("0", activated());
    let mut life = vec![(story.position, story.keys.clone())];
    let mut made = 0;
    loop {
        let due = story.keys.0.iter().filter_map(|known| {
            let (step, at) = story.keys.due(known, schedule)?;
            let fact = match step {
                DueStep::Activate => activated(),
                DueStep::Retire => retired(),
            };
            let at = u64::try_from(at.as_second()).unwrap();
            Some((at + late, known.id.clone(), fact))
        });
        let rotation = rotations
            .get(made)
            .filter(|_| story.keys.rotate(RS256).is_ok())
            .map(|at| (BEGIN + at, (made + 1).to_string(), generated(RS256)));
        let next = due.chain(rotation).min_by_key(|(at, ..)| *at);
        let Some((at, id, fact)) = next else {
            return life;
        };
        made += usize::from(!story.keys.0.iter().any(|known| known.id == id));
        // One event a second, for positions are seconds here.
        let before = story.position.max(at - 1);
        story = story.at(before).then(&id, fact);
        life.push((story.position, story.keys.clone()));
    }
}

/// A key whose token some website cannot verify at some second: the key, since when it signed, and since when
/// a copy of the key set without it was to be had. Between its events a life stands still, so this leaves out
/// no second.
fn missing(life: &Life) -> Option<(String, u64, u64)> {
    let ends = life.iter().skip(1).map(|(from, _)| from - 1);
    let spans = || life.iter().zip(ends.clone().chain([u64::MAX / 2]));
    spans().find_map(|((signs_from, signing), signs_until)| {
        let signer = signing.active(RS256).expect("one works at any time");
        spans().find_map(|((copied_from, copied), copied_until)| {
            let could_be_used = copied_until + COPY_KEPT >= *signs_from
                && *copied_from <= signs_until + TOKEN_LIVES;
            let holds = copied.living(RS256).any(|known| known.id == signer.id);
            (could_be_used && !holds).then(|| (signer.id.clone(), *signs_from, *copied_from))
        })
    })
}

#[test]
fn given_the_defaults_when_keys_are_rotated_as_often_as_they_may_then_each_is_known_in_time_and_long_enough()
 {
    let life = life(&SCHEDULE, [0; 3], 0);
    let living = |at: u64| {
        let (_, keys) = life.iter().rfind(|(from, _)| *from <= at).unwrap();
        let ids: Vec<&str> = keys.living(RS256).map(|known| &*known.id).collect();
        (ids.join(" "), keys.active(RS256).unwrap().id.clone())
    };
    let told = |ids: &str, signer: &str| (ids.to_owned(), signer.to_owned());
    for (at, keys) in [
        (1_002, told("0", "0")),
        (1_003, told("0 1", "0")),
        (1_902, told("0 1", "0")),
        (1_903, told("0 1", "1")),
        (1_904, told("0 1 2", "1")),
        (2_804, told("0 1 2", "2")),
        (2_805, told("0 1 2 3", "2")),
        (3_402, told("0 1 2 3", "2")),
        (3_403, told("1 2 3", "2")),
        (u64::MAX, told("3", "3")),
    ] {
        assert_eq!(living(at), keys, "{at}");
    }
    assert_eq!(missing(&life), None);
}

#[test]
fn less_than_the_time_that_a_copy_is_kept_or_a_token_lives_would_not_do() {
    let rotated = |schedule| missing(&life(&schedule, [0, 10_000, 20_000], 0));
    let ahead = |seconds| KeySchedule {
        signing_ahead: Duration::from_secs(seconds),
        ..SCHEDULE
    };
    assert_eq!(rotated(ahead(COPY_KEPT)), None);
    assert!(rotated(ahead(COPY_KEPT - 1)).is_some());
    let kept = |seconds| KeySchedule {
        signing_kept: Duration::from_secs(seconds),
        ..SCHEDULE
    };
    assert_eq!(rotated(kept(TOKEN_LIVES)), None);
    assert!(rotated(kept(TOKEN_LIVES - 1)).is_some());
}

proptest! {
    #[test]
    fn no_token_is_signed_with_or_outlives_a_key_that_a_copy_of_five_minutes_does_not_hold(
        rotations in prop::array::uniform3(0_u64..6_000),
        late in 0_u64..60,
    ) {
        prop_assert_eq!(missing(&life(&SCHEDULE, rotations, late)), None);
    }
}
