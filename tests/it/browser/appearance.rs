//! Every page of the server in every state, as [`Examiner`] looks at it.

use serde_json::json;

use super::{
    driver::Scripts,
    examiner::Examiner,
    proxy::Mode,
    scene::{Scene, app, request_id},
};
use crate::support::{Authorize, Backend, TestServer};

#[tokio::test]
async fn axe_finds_nothing_on_any_page_in_any_state() {
    let examiner = Examiner::new();
    let mut scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    let (website, app) = (
        scene.api.create_client(json!({})).await,
        app(&scene.api).await,
    );

    scene.asks_for(&website).await;
    scene.sees_it_waiting().await;
    let words = scene.browser.sees("Back to profilio.example").await;
    assert!(words.contains(&scene.request_id) && words.contains("/api/agent/authenticate"));
    examiner.examine(&scene.browser, "waiting").await;

    scene.proxy.set(Mode::NoNews);
    scene.proxy.cut();
    scene.browser.sees("Connection lost").await;
    examiner.examine(&scene.browser, "lost").await;
    scene.proxy.set(Mode::Open);
    scene.sees_it_waiting().await;

    scene.asks_for(&app).await;
    scene.sees_it_waiting().await;
    scene.authenticate().await;
    scene.browser.sees("going back to the website").await;
    examiner.examine(&scene.browser, "signed-in").await;
    let status = format!(
        "return fetch('/api/check-status?request_id={}').then((answer) => answer.json())",
        scene.request_id
    );
    let status = scene.browser.script(&status).await;
    let code = status["code"].as_str().expect("the browser may know it");
    let verifier = &scene.asked.pkce.verifier;
    scene.api.redeem(&app, code, verifier).await.expect(200);
    scene.browser.open(&scene.own_address()).await;
    scene.browser.sees("Already signed in").await;
    examiner.examine(&scene.browser, "completed").await;

    scene.proxy.set(Mode::NoNews);
    scene.asks_for(&app).await;
    scene.authenticate().await;
    scene.api.suspend(&scene.agent).await;
    scene.proxy.set(Mode::Open);
    scene.browser.sees("Not signed in").await;
    examiner.examine(&scene.browser, "denied").await;
    scene.browser.reload().await;
    scene.browser.sees("Not signed in").await;
    examiner.examine(&scene.browser, "denied-reloaded").await;
    scene.api.reinstate(&scene.agent).await;

    scene.proxy.set(Mode::Forgotten);
    scene.asks_for(&website).await;
    scene.browser.sees("not known any more").await;
    examiner.examine(&scene.browser, "unknown").await;

    scene.proxy.set(Mode::NoStreams(503));
    scene.asks_for(&website).await;
    scene.browser.forgets().await;
    scene.authenticate().await;
    scene.browser.sees("Cannot go back by itself").await;
    examiner.examine(&scene.browser, "stranded").await;
    scene.proxy.set(Mode::Open);
}

#[tokio::test]
async fn axe_finds_nothing_on_any_error_page_and_each_says_what_to_do() {
    let examiner = Examiner::new();
    let scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    let website = scene.api.create_client(json!({})).await;
    let asked = Authorize::new(&website);
    let authorize = format!("{}/authorize", scene.proxy.url());
    let page = |asked: Authorize| format!("{authorize}?{}", asked.query());
    let of_another = scene.api.authorize(&Authorize::new(&website)).await;
    let slash = format!("{}/", website.redirect_uri);
    let cases = [
        (
            "redirect-uri",
            page(asked.clone().with("redirect_uri", &slash)),
            "it differs from a registered one in the slash at its end",
        ),
        (
            "client-id",
            page(asked.clone().with("client_id", "profilio")),
            "client_id is not one that is registered here: it has the form client_",
        ),
        (
            "repeated",
            page(asked.and("client_id", &website.id)),
            "client_id is repeated",
        ),
        (
            "another-browser",
            format!("{authorize}/{}", of_another.request_id),
            "belongs to the browser that opened it",
        ),
        (
            "no-such-request",
            format!("{authorize}/req_00000000000000000000000000000000"),
            "it ended long ago, or its id is not whole",
        ),
        ("front", scene.proxy.url(), "Discovery document"),
        (
            "openapi",
            format!("{}/openapi", scene.proxy.url()),
            "/api/agent/authenticate",
        ),
    ];
    for (state, address, words) in cases {
        scene.browser.open(&address).await;
        scene.browser.sees(words).await;
        examiner.examine(&scene.browser, state).await;
    }

    // Without scripts there is nobody to examine it with.
    scene.browser.scripts(false).await;
    scene.browser.open(&page(Authorize::new(&website))).await;
    scene.browser.sees("JavaScript is off").await;
    let picture = examiner.pictures.join("no-javascript.png");
    scene.browser.picture_into(&picture).await;
    scene.browser.scripts(true).await;

    // Requests that end at once, and no second one from the same address.
    let hasty = TestServer::start(Backend::Sqlite, |options| {
        options
            .env("AUTH_AGENT_LIMITS", "on")
            .flag("--request-lifetime", 2)
            .flag("--limit-requests-per-address", "1/h burst 1");
    })
    .await;
    let app = app(&hasty.api()).await;
    let authorize = format!("{}/authorize?", hasty.base_url());
    let open = async || {
        let address = format!("{authorize}{}", Authorize::new(&app).query());
        scene.browser.open(&address).await;
    };
    open().await;
    let request = request_id(&scene.browser).await;
    scene.browser.sees("Time ran out").await;
    examiner.examine(&scene.browser, "expired").await;
    let own_address = format!("{}/authorize/{request}", hasty.base_url());
    scene.browser.open(&own_address).await;
    scene.browser.sees("Time ran out").await;
    examiner.examine(&scene.browser, "expired-reloaded").await;
    open().await;
    scene.browser.sees("try again in 60 minutes").await;
    examiner.examine(&scene.browser, "too-many").await;

    // It does find what is wrong.
    let spoil = "document.documentElement.removeAttribute('lang')";
    scene.browser.script(spoil).await;
    let found = examiner.violations(&scene.browser).await;
    assert_eq!(found[0][0], "html-has-lang", "{found:#}");
    scene.browser.close().await;
}
