//! What the waiting page costs, and what it does without: bytes, fonts, images, styles, motion; and
//! that nothing on it moves.

use serde_json::json;

use super::{
    control::{LOOKS, Look},
    driver::Scripts,
    proxy::Mode,
    scene::{Scene, app},
};
use crate::support::process::eventually;

/// Everything of a visit, heads included.
const MOST_BYTES: usize = 20_000;

/// Adds up what the browser says has moved (Layout Instability), and keeps what a screen reader is
/// given to read out.
const WATCH: &str = "window.moved = 0;
    window.told = [];
    addEventListener('DOMContentLoaded', () => {
        const region = document.querySelector('[role=status]');
        new MutationObserver(() => told.push(region.innerText))
            .observe(region, { subtree: true, childList: true, characterData: true });
    });
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.moved += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });";

/// Reads it once two more frames have been drawn.
const MOVED: &str = "return new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(window.moved)))))";

#[tokio::test]
async fn a_visit_weighs_less_than_20_kb_and_needs_no_fonts_images_styles_or_motion() {
    let mut scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    scene.sees_it_waiting().await;
    scene.proxy.has_seen("/events", 1).await;
    scene.proxy.has_seen("/static/icon-", 1).await;
    let loaded = scene
        .browser
        .script(
            "return {
                elsewhere: performance.getEntriesByType('resource')
                    .map(({ name }) => name).filter((name) => new URL(name).origin !== location.origin),
                fonts: document.fonts.size,
                motion: getComputedStyle(document.querySelector('.mark')).animationName,
            }",
        )
        .await;
    let expected = json!({ "elsewhere": [], "fonts": 0, "motion": "turn" });
    assert_eq!(loaded, expected);
    scene.authenticate().await;
    scene.is_home_with_a_code().await;
    let bytes = scene.proxy.bytes();
    assert!((1_000..MOST_BYTES).contains(&bytes), "{bytes} bytes");

    scene
        .browser
        .prefers("prefers-reduced-motion", "reduce")
        .await;
    scene.asks_again().await;
    scene.sees_it_waiting().await;
    let motion = "return getComputedStyle(document.querySelector('.mark')).animationName";
    assert_eq!(scene.browser.script(motion).await, "none");

    scene.browser.blocks(&["*.css", "*.svg", "*.woff*"]).await;
    scene.asks_again().await;
    scene.sees_it_waiting().await;
    let bare = "return [document.styleSheets.length, document.querySelector('img').naturalWidth]";
    let bare = scene.browser.script(bare).await;
    assert_eq!(bare[1], 0, "an image came through: {bare}");
    let colour = "return getComputedStyle(document.querySelector('.card')).borderRadius";
    assert_eq!(scene.browser.script(colour).await, "0px", "a style came");
    // Words, and nothing of another state.
    let words = scene.browser.words().await;
    assert!(words.contains("For the agent") && !words.contains("Return to"));
    scene.authenticate().await;
    scene.comes_home_with_a_code().await;
}

#[tokio::test]
async fn nothing_moves_and_what_changes_is_read_out_and_no_more() {
    let mut scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    let app = app(&scene.api).await;
    scene.browser.runs_first(WATCH).await;
    let [wide, _, phone, _] = LOOKS;
    for look in [
        wide,
        phone,
        Look {
            width: 360,
            ..phone
        },
    ] {
        scene.browser.looks(look).await;
        scene.asks_for(&app).await;
        scene.sees_it_waiting().await;
        let still = async |when: &str| {
            let moved = scene.browser.script(MOVED).await;
            assert_eq!(moved, 0, "{when}, {} wide", look.width);
        };
        // The time that is left has changed meanwhile.
        let left = scene.browser.text("#left").await;
        eventually("a second to pass", async || {
            (scene.browser.text("#left").await != left).then_some(())
        })
        .await;
        still("while it waits").await;
        let told = async || scene.browser.script("return told.splice(0).join()").await;
        assert_eq!(told().await, "", "seconds that pass are read out");
        scene.proxy.set(Mode::NoNews);
        scene.proxy.cut();
        scene.browser.sees("Connection lost").await;
        still("when the server is gone").await;
        let words = told().await.to_string();
        assert!(words.contains("Connection lost") && words.contains("Still trying"));
        scene.proxy.set(Mode::Open);
        scene.sees_it_waiting().await;
        still("when it is back").await;
        scene.authenticate().await;
        scene.browser.sees("going back to the website").await;
        still("at the end").await;
        let words = told().await.to_string();
        assert!(words.contains("Signed in"), "{words}");
    }
    // It does notice.
    let push =
        "document.body.prepend(Object.assign(document.createElement('h1'), { textContent: 'x' }))";
    scene.browser.script(push).await;
    eventually("a movement", async || {
        (scene.browser.script(MOVED).await != 0).then_some(())
    })
    .await;
    scene.browser.close().await;
}
