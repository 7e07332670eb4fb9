//! The waiting page in every situation: it never shows a spinner that nothing stands behind.

use serde_json::json;

use super::{
    driver::Scripts,
    proxy::Mode,
    scene::{Scene, request_id},
};
use crate::support::{Authorize, Options, api::authentication};

#[tokio::test]
async fn the_browser_is_redirected_by_push() {
    let scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    let words = scene.waits().await;
    assert!(
        words.contains("localhost"),
        "the page says where it leads:\n{words}"
    );
    assert_eq!(
        scene
            .browser
            .script("return window.authRequest.request_id")
            .await,
        json!(scene.request_id),
    );
    assert!(scene.browser.picture().await.exists());
    scene.proxy.has_seen("/events", 1).await;
    let polls = scene.proxy.seen("/api/check-status").len();
    scene.authenticate().await;
    let browser = scene.browser.sees("Welcome back").await;
    assert_eq!(browser.trim(), "Welcome back with a code");
    assert_eq!(
        scene.proxy.seen("/api/check-status").len(),
        polls,
        "it was polled, not pushed"
    );
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn a_reload_while_waiting_keeps_the_request() {
    let scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    scene.waits().await;
    let own_address = format!("/authorize/{}", scene.request_id);
    scene
        .browser
        .until("the page's own address", |url, _| {
            url.ends_with(&own_address)
        })
        .await;
    for _ in 0..2 {
        scene.browser.reload().await;
        scene.waits().await;
        assert_eq!(request_id(&scene.browser).await, scene.request_id);
    }
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn without_scripts_the_page_comes_home_all_the_same() {
    let scene = Scene::start(Scripts::Off, Mode::Open, |_| {}).await;
    let words = scene.waits().await;
    assert!(!words.trim().is_empty(), "the page says nothing");
    let loads = scene.proxy.seen("/authorize").len();
    // It has refreshed itself, and still shows the same request.
    scene.proxy.has_seen("/authorize", loads + 1).await;
    scene.waits().await;
    assert_eq!(request_id(&scene.browser).await, scene.request_id);
    assert!(scene.proxy.seen("/events").is_empty(), "a script has run");
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

/// Nobody signs in, and the page says so before it goes by itself.
async fn expires(scripts: Scripts) {
    let lifetime = |options: &mut Options| {
        options.flag("--request-lifetime", 8);
    };
    let scene = Scene::start(scripts, Mode::Open, lifetime).await;
    scene
        .browser
        .sees("goes back to the website in a few")
        .await;
    scene.ends_without_a_code(&["expired"]).await;
}

#[tokio::test]
async fn an_expired_request_says_so() {
    expires(Scripts::On).await;
}

#[tokio::test]
async fn an_expired_request_says_so_without_scripts() {
    expires(Scripts::Off).await;
}

#[tokio::test]
async fn a_suspended_agent_leaves_the_page_open_for_another() {
    let scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    scene.waits().await;
    scene.api.suspend(&scene.agent).await;
    scene
        .try_to_authenticate()
        .await
        .refused(403, "access_denied");
    scene.waits().await;
    let other = scene.api.create_agent(json!({})).await;
    let body = authentication(&scene.request_id, &other);
    scene.api.authenticate_with(&body, "").await.expect(200);
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn a_page_whose_agent_is_suspended_while_it_waits_ends_in_words() {
    let scene = Scene::start(Scripts::On, Mode::NoNews, |_| {}).await;
    scene.waits().await;
    scene.authenticate().await;
    scene.api.suspend(&scene.agent).await;
    scene.proxy.set(Mode::Open);
    scene
        .browser
        .sees("the agent or the website is suspended or revoked")
        .await;
    scene.ends_without_a_code(&["not signed in"]).await;
}

#[tokio::test]
async fn an_agent_suspended_before_the_redirect_takes_nobody_home() {
    let scene = Scene::start(Scripts::On, Mode::NoNews, |_| {}).await;
    scene.waits().await;
    scene.authenticate().await;
    scene.api.suspend(&scene.agent).await;
    scene.proxy.set(Mode::Open);
    scene
        .ends_without_a_code(&["denied", "refused", "suspended"])
        .await;
}

#[tokio::test]
async fn a_form_of_another_site_ends_on_the_waiting_page_and_takes_nothing_away() {
    let scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    scene.waits().await;
    let asked = Authorize::new(&scene.client);
    let action = format!("{}/authorize", scene.proxy.url());
    let form = scene.website.form(&action, &asked.params);
    scene.browser.open(&form).await;
    scene.browser.click("#go").await;
    let own_address = format!("{}/authorize/req_", scene.proxy.url());
    scene
        .browser
        .until("the page's own address", |url, _| {
            url.starts_with(&own_address)
        })
        .await;
    scene.waits().await;
    let posted = request_id(&scene.browser).await;
    assert_ne!(posted, scene.request_id);
    // The first page is still this browser's.
    let first = format!("{}/authorize/{}", scene.proxy.url(), scene.request_id);
    scene.browser.open(&first).await;
    scene.waits().await;
    assert_eq!(request_id(&scene.browser).await, scene.request_id);
    let second = format!("{}/authorize/{posted}", scene.proxy.url());
    scene.browser.open(&second).await;
    scene.waits().await;
    let body = authentication(&posted, &scene.agent);
    scene.api.authenticate_with(&body, "").await.expect(200);
    let words = scene.browser.sees("Welcome back").await;
    assert_eq!(words.trim(), "Welcome back with a code");
    assert!(
        scene
            .browser
            .url()
            .await
            .contains(&format!("state={}", asked.state))
    );
    scene.browser.close().await;
}
