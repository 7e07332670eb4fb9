//! Many pages of one browser at once: six connections to a host, of which streams take four.

use super::{driver::Scripts, proxy::Mode, scene::Scene};
use crate::support::api::authentication;

/// As `push::STREAMS_PER_BROWSER`.
const STREAMS: usize = 4;

#[tokio::test]
async fn of_ten_tabs_four_are_pushed_to_the_others_poll_and_all_come_home() {
    let mut scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    scene.sees_it_waiting().await;
    let mut tabs = vec![];
    for _ in 0..10 {
        let tab = scene.browser.new_tab().await;
        scene.asks_again().await;
        tabs.push((tab, scene.request_id.clone(), scene.asked.state.clone()));
    }
    // The page that was there first makes eleven.
    let streams = scene.proxy.has_seen("/events", tabs.len() + 1).await;
    let open = streams.iter().filter(|stream| stream.status == 200).count();
    assert_eq!(open, STREAMS);
    assert!(streams.iter().any(|stream| stream.status == 503));
    for (tab, request, _) in &tabs {
        scene.browser.turns_to(tab).await;
        scene.sees_it_waiting().await;
        let own = scene.browser.script("return authRequest.request_id").await;
        assert_eq!(own, **request, "a tab shows another's request");
    }
    // The last opened first.
    for (_, request, _) in tabs.iter().rev() {
        let body = authentication(request, &scene.agent);
        scene.api.authenticate_with(&body, "").await.expect(200);
    }
    for (tab, _, state) in &tabs {
        scene.browser.turns_to(tab).await;
        scene.is_home_with_a_code().await;
        let url = scene.browser.url().await;
        assert!(
            url.contains(&format!("state={state}")),
            "another tab's: {url}"
        );
    }
}
