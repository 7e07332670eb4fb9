//! The waiting page behind a network that cuts, holds back, refuses and forgets.

use std::time::Duration;

use super::{
    driver::Scripts,
    proxy::Mode,
    scene::{Scene, request_id},
};
use crate::support::process::eventually;

/// Longer than a page that polls waits between two questions.
const LONGER_THAN_A_POLL: Duration = Duration::from_millis(2500);

#[tokio::test]
async fn a_stream_that_is_cut_is_resumed() {
    let scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    scene.waits().await;
    let first = scene.proxy.has_seen("/events", 1).await;
    assert_eq!(first[0].last_event_id, "");
    // A cut may come before the first event has arrived: then there is nothing to resume from.
    eventually("a stream to be resumed", async || {
        let seen = scene.proxy.seen("/events").len();
        scene.proxy.cut();
        let again = scene.proxy.has_seen("/events", seen + 1).await;
        let last = again.last().expect("one more");
        assert_eq!(last.status, 200);
        (!last.last_event_id.is_empty()).then_some(())
    })
    .await;
    scene.waits().await;
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn what_happens_while_the_stream_is_cut_is_not_lost() {
    let scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    scene.waits().await;
    scene.proxy.has_seen("/events", 1).await;
    scene.proxy.set(Mode::NoNews);
    scene.proxy.cut();
    scene.proxy.has_seen("/events", 2).await;
    scene.authenticate().await;
    assert!(
        !scene.browser.words().await.trim().is_empty(),
        "the page says nothing"
    );
    scene.proxy.set(Mode::Open);
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn without_any_stream_the_page_polls_whatever_the_stream_was_answered() {
    let mut scene = Scene::start(Scripts::On, Mode::NoStreams(403), |_| {}).await;
    for status in [403, 404, 429, 503] {
        let polls = scene.proxy.seen("/api/check-status").len();
        scene.proxy.set(Mode::NoStreams(status));
        scene.asks_again().await;
        scene.proxy.has_seen("/api/check-status", polls + 2).await;
        scene.sees_it_waiting().await;
        let streams = format!("{}/events", scene.request_id);
        let streams = scene.proxy.seen(&streams);
        assert!(!streams.is_empty());
        assert!(streams.iter().all(|stream| stream.status == status));
        scene.authenticate().await;
        scene.is_home_with_a_code().await;
    }
    scene.browser.close().await;
}

#[tokio::test]
async fn a_404_of_something_in_between_ends_no_page() {
    let scene = Scene::start(Scripts::On, Mode::NoBackend, |_| {}).await;
    scene.proxy.has_seen("/api/check-status", 3).await;
    scene.authenticate().await;
    scene.proxy.set(Mode::Open);
    scene.is_home_with_a_code().await;
    scene.browser.close().await;
}

#[tokio::test]
async fn a_stream_that_is_held_back_is_replaced_by_polling_and_opened_again() {
    let scene = Scene::start(Scripts::On, Mode::HeldBack, |_| {}).await;
    scene.waits().await;
    scene.proxy.has_seen("/api/check-status", 3).await;
    let held_back = scene.proxy.seen("/events").len();
    scene.proxy.set(Mode::Open);
    scene.proxy.has_seen("/events", held_back + 1).await;
    // From here on it is pushed again: polling has made room.
    let polls = async || scene.proxy.seen("/api/check-status").len();
    eventually("polling to end", async || {
        let before = polls().await;
        tokio::time::sleep(LONGER_THAN_A_POLL).await;
        (polls().await == before).then_some(())
    })
    .await;
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn while_a_stream_is_held_back_polling_takes_the_browser_home() {
    let scene = Scene::start(Scripts::On, Mode::HeldBack, |_| {}).await;
    scene.waits().await;
    scene.proxy.has_seen("/api/check-status", 1).await;
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn a_stream_that_was_refused_is_opened_again_once_it_may() {
    let scene = Scene::start(Scripts::On, Mode::NoStreams(403), |_| {}).await;
    scene.waits().await;
    let refused = scene.proxy.has_seen("/events", 1).await.len();
    scene.proxy.set(Mode::Open);
    let again = scene.proxy.has_seen("/events", refused + 1).await;
    assert_eq!(again.last().expect("one more").status, 200);
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn a_stream_that_dies_without_a_word_strands_nobody() {
    let scene = Scene::start(Scripts::On, Mode::Silenced, |_| {}).await;
    scene.waits().await;
    scene.proxy.has_seen("/events", 1).await;
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn a_page_whose_script_is_gone_asks_for_itself_anew() {
    let scene = Scene::start(Scripts::On, Mode::NoScript, |_| {}).await;
    scene.waits().await;
    let own_address = format!("/authorize/{}", scene.request_id);
    scene.proxy.has_seen(&own_address, 1).await;
    scene.waits().await;
    assert!(scene.proxy.seen("/events").is_empty(), "the script has run");
    assert_eq!(request_id(&scene.browser).await, scene.request_id);
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}
