//! What people and their browsers do: go back, load again, open twice, clear cookies, live in
//! yesterday. A clear outcome each.

use super::{
    driver::Scripts,
    proxy::Mode,
    scene::{Scene, request_id},
};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A clock that is wrong by so many milliseconds.
fn wrong_clock(by: i64) -> String {
    format!(
        "{{
            const Right = Date;
            Date = class extends Right {{
                constructor(...given) {{ given.length ? super(...given) : super(Right.now() + {by}); }}
                static now() {{ return Right.now() + {by}; }}
            }};
        }}"
    )
}

#[tokio::test]
async fn back_again_and_twice_end_at_the_website_or_in_words() {
    let mut scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    let form = scene.website.form(
        &format!("{}/authorize", scene.proxy.url()),
        &scene.asked.params,
    );
    scene.browser.open(&form).await;
    scene.browser.click("#go").await;
    scene.sees_it_waiting().await;
    scene.request_id = request_id(&scene.browser).await;
    assert_eq!(scene.browser.url().await, scene.own_address());
    scene.authenticate().await;
    scene.is_home_with_a_code().await;
    let callback = scene.browser.url().await;

    // The waiting page is not in the history: back leads past it.
    scene.browser.back().await;
    scene
        .browser
        .until("the website's form", |url, _| url == form)
        .await;
    scene.browser.forward().await;
    scene.is_home_with_a_code().await;

    // Until the website has taken the code, the page's own address leads there.
    scene.browser.open(&scene.own_address()).await;
    scene.is_home_with_a_code().await;
    scene.browser.open(&callback).await;
    scene.is_home_with_a_code().await;
    let verifier = &scene.asked.pkce.verifier;
    let code = |url: &str| {
        let url: url::Url = url.parse().expect("an address");
        let code = url.query_pairs().find(|(name, _)| name == "code");
        code.expect("a code").1.into_owned()
    };
    let code = code(&callback);
    let taken = scene.api.redeem(&scene.client, &code, verifier).await;
    taken.expect(200);

    // From then on the page says so, however often it is asked, and the website is not sent a second
    // code.
    for _ in 0..2 {
        scene.browser.open(&scene.own_address()).await;
        let words = scene.browser.sees("Already signed in").await;
        assert!(words.contains("You can close this page"), "{words}");
    }
    scene.browser.close().await;
}

#[tokio::test]
async fn cookies_cleared_midway_end_at_the_website_or_in_words() {
    let mut scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    // A stream that is open goes on: the browser had proved itself.
    scene.sees_it_waiting().await;
    scene.proxy.has_seen("/events", 1).await;
    scene.browser.forgets().await;
    scene.authenticate().await;
    scene.is_home_with_a_code().await;

    // One that has to be opened anew is not for this browser any more.
    scene.asks_again().await;
    scene.sees_it_waiting().await;
    let streams = scene.proxy.seen("/events").len();
    scene.browser.forgets().await;
    scene.proxy.cut();
    let again = scene.proxy.has_seen("/events", streams + 1).await;
    assert_eq!(again.last().expect("one more").status, 403);
    scene.authenticate().await;
    let words = scene.browser.sees("Cannot go back by itself").await;
    assert!(words.contains("Start again from the website"), "{words}");
    assert!(!words.contains("For the agent"), "it is over: {words}");
    scene.browser.reload().await;
    scene
        .browser
        .sees("belongs to the browser that opened it")
        .await;

    // And that helps.
    scene.asks_again().await;
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn a_clock_that_is_off_by_a_day_changes_nothing() {
    let mut scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    // The clocks add up: a day ahead, then a day behind.
    for (by, off) in [(DAY, DAY), (-2 * DAY, -DAY)] {
        scene.browser.runs_first(&wrong_clock(by)).await;
        let before = auth_agent::edge::Clock.now().as_millisecond();
        scene.asks_again().await;
        let now = scene.browser.script("return Date.now()").await;
        let now = now.as_i64().expect("milliseconds") - before;
        assert!(
            (off..off + DAY / 2).contains(&now),
            "the clock is off by {now}"
        );
        scene.sees_it_waiting().await;
        let left = scene.browser.text("#left").await;
        let minutes: u32 = left.split(':').next().unwrap().parse().unwrap();
        assert!((5..=10).contains(&minutes), "{left} of ten minutes is left");
        scene.authenticate().await;
        scene.is_home_with_a_code().await;
    }
    scene.browser.close().await;
}
