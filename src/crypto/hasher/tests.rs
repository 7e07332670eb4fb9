use futures_util::FutureExt as _;

use super::*;

fn hasher(permits: usize, queue: usize) -> Hasher {
    Hasher::new(permits, queue, MacKey::from_bytes([1; 32]))
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

#[tokio::test]
async fn a_secret_matches_its_own_hash_only() {
    let hasher = hasher(1, 1);
    let phc = hasher.hash(&secret("right")).await.unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    assert_ne!(
        phc,
        hasher.hash(&secret("right")).await.unwrap(),
        "the salt is random"
    );
    assert_eq!(hasher.verify("c1", "right", &phc).await, Ok(true));
    assert_eq!(hasher.verify("c1", "wrong", &phc).await, Ok(false));
    assert_eq!(hasher.verify("c1", "", &phc).await, Ok(false));
}

#[tokio::test]
async fn an_unreadable_hash_matches_nothing() {
    let hasher = hasher(1, 1);
    for phc in [
        "",
        "$",
        "plain",
        "$argon2id$v=19$m=19456,t=2,p=1$",
        "$scrypt$ln=1$AAAA$AAAA",
    ] {
        assert_eq!(hasher.verify("c1", "right", phc).await, Ok(false), "{phc}");
    }
    assert!(hasher.shared.checks.is_empty());
}

#[tokio::test]
async fn what_was_proved_costs_no_hash_again() {
    let hasher = hasher(1, 0);
    let phc = hasher.hash(&secret("right")).await.unwrap();
    assert_eq!(hasher.verify("c1", "right", &phc).await, Ok(true));

    // Nothing can be hashed from here on: only what is remembered can be answered.
    let _all = hasher.offload.admit().unwrap();
    assert_eq!(hasher.verify("c1", "right", &phc).await, Ok(true));
    assert_eq!(hasher.verify("c1", "wrong", &phc).await, Err(Busy));
    assert_eq!(
        hasher.verify("c2", "right", &phc).await,
        Err(Busy),
        "another credential"
    );
    assert_eq!(
        hasher.verify("c1", "right", "$other").await,
        Err(Busy),
        "another hash"
    );
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let hasher = hasher(1, 1);
    let phc = hasher.hash(&secret("right")).await.unwrap();
    assert_eq!(hasher.verify("c1", "wrong", &phc).await, Ok(false));
    assert!(hasher.shared.proved.proofs.is_empty());
    let _all = (
        hasher.offload.admit().unwrap(),
        hasher.offload.admit().unwrap(),
    );
    assert_eq!(hasher.verify("c1", "wrong", &phc).await, Err(Busy));
}

#[tokio::test]
async fn over_the_bound_is_busy_at_once() {
    let hasher = hasher(1, 1);
    let running = hasher.offload.admit().unwrap().turn().await.unwrap();
    let (b, c) = (secret("b"), secret("c"));
    let mut waiting = Box::pin(hasher.hash(&b));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(hasher.hash(&c).now_or_never(), Some(Err(Busy)));
    assert_eq!(
        hasher.verify("c1", "c", "$").now_or_never(),
        Some(Err(Busy))
    );
    drop(running);
    assert!(waiting.await.is_ok());
    assert!(
        hasher.hash(&c).await.is_ok(),
        "and then there is room again"
    );
}

#[tokio::test]
async fn concurrent_checks_of_one_secret_share_one_hash() {
    // With no queue, a second hash at the same time would be refused.
    let hasher = Arc::new(hasher(1, 0));
    let phc = hasher.hash(&secret("right")).await.unwrap();
    let checks: Vec<_> = (0..50)
        .map(|_| {
            let (hasher, phc) = (Arc::clone(&hasher), phc.clone());
            tokio::spawn(async move { hasher.verify("c1", "right", &phc).await })
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap(), Ok(true));
    }
    assert!(hasher.shared.checks.is_empty());
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_take_the_answer_from_the_others() {
    let hasher = hasher(1, 1);
    let phc = hasher.hash(&secret("right")).await.unwrap();
    let turn = hasher.offload.admit().unwrap().turn().await.unwrap();
    let [mut first, mut second] = [(); 2].map(|()| Box::pin(hasher.verify("c1", "right", &phc)));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(
        second.as_mut().now_or_never().is_none(),
        "it waits for the first one's hash"
    );
    drop(first);
    drop(turn);
    assert_eq!(second.await, Ok(true));
}

#[tokio::test]
async fn a_check_that_nobody_awaits_any_more_is_given_up() {
    let hasher = hasher(1, 1);
    let phc = hasher.hash(&secret("right")).await.unwrap();
    let turn = hasher.offload.admit().unwrap().turn().await.unwrap();
    assert_eq!(hasher.verify("c1", "right", &phc).now_or_never(), None);
    assert_eq!(hasher.shared.checks.len(), 1);
    drop(turn);
    while !hasher.shared.checks.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(hasher.shared.proved.proofs.is_empty());
    assert!(hasher.hash(&secret("next")).await.is_ok());
}

#[test]
fn the_memory_is_bounded_and_keeps_the_newest() {
    let memo = Memo::new(3);
    for n in 0..100_u8 {
        let id = format!("c{n}");
        memo.remember(&id, [n; 32]);
        assert!(memo.holds(&id, &[n; 32]));
        assert!(!memo.holds(&id, &[n + 1; 32]));
        assert!(memo.proofs.len() <= 3);
    }
    let known: Vec<_> = memo
        .proofs
        .iter()
        .map(|entry| entry.key().clone())
        .collect();
    for id in &known {
        memo.remember(id, [200; 32]);
    }
    assert_eq!(known.len(), 3);
    assert!(
        known.iter().all(|id| memo.holds(id, &[200; 32])),
        "the known push nobody out"
    );
}

#[tokio::test]
async fn debug_shows_neither_key_nor_secret() {
    let hasher = hasher(1, 1);
    let phc = hasher.hash(&secret("a-secret")).await.unwrap();
    assert_eq!(hasher.verify("c1", "a-secret", &phc).await, Ok(true));
    let shown = format!("{hasher:?}");
    assert!(
        !shown.contains("a-secret") && shown.contains("MacKey([masked])"),
        "{shown}"
    );
}
