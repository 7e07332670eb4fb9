//! The waiting page in every situation: it never shows a spinner that nothing stands behind.

use serde_json::json;

use super::{
    driver::{Browser, Scripts},
    proxy::{Mode, Proxy},
    website::Website,
};
use crate::support::{Agent, Api, Authorize, Backend, Options, TestServer, api::authentication};

/// A browser at the waiting page, with a proxy between it and the server.
struct Scene {
    browser: Browser,
    proxy: Proxy,
    api: Api,
    agent: Agent,
    request_id: String,
    // Held so that they go on running.
    _website: Website,
    _server: TestServer,
}

impl Scene {
    async fn start(scripts: Scripts, mode: Mode, set: impl FnOnce(&mut Options)) -> Self {
        let (proxy, website) = (Proxy::start().await, Website::start().await);
        proxy.set(mode);
        let server = TestServer::start(Backend::Sqlite, |options| {
            options.issuer(proxy.url());
            set(options);
        })
        .await;
        proxy.forward_to(server.address());
        let api = server.api();
        let client = json!({ "redirect_uris": [website.redirect_uri()] });
        let client = api.create_client(client).await;
        let agent = api.create_agent(json!({})).await;
        let browser = Browser::start(scripts).await;
        let asked = Authorize::new(&client);
        browser
            .open(&format!("{}/authorize?{}", proxy.url(), asked.query()))
            .await;
        let request_id = request_id(&browser).await;
        Self {
            browser,
            proxy,
            api,
            agent,
            request_id,
            _website: website,
            _server: server,
        }
    }

    /// The agent, on the same machine as the browser.
    async fn authenticate(&self) {
        self.try_to_authenticate().await.expect(200);
    }

    async fn try_to_authenticate(&self) -> crate::support::Reply {
        let body = authentication(&self.request_id, &self.agent);
        self.api.authenticate_with(&body, "").await
    }

    async fn waits(&self) -> String {
        self.browser.sees("Profilio").await
    }

    async fn comes_home_with_a_code(self) {
        let words = self.browser.sees("Welcome back").await;
        assert_eq!(words.trim(), "Welcome back with a code");
        let url = self.browser.url().await;
        assert!(url.contains("state=") && url.contains("iss="), "{url}");
        self.browser.close().await;
    }

    /// Waits until the page tells the person how it ended, in words and with a way back to the
    /// website, or until the website itself was told.
    async fn ends_without_a_code(self, words: &[&str]) {
        let seen = self
            .browser
            .until("the end", |url, text| {
                let text = text.to_lowercase();
                url.contains("error=access_denied") || words.iter().any(|w| text.contains(w))
            })
            .await;
        assert!(!seen.trim().is_empty(), "the page says nothing");
        assert!(
            !self.browser.url().await.contains("code="),
            "a code came of it"
        );
        if !self.browser.url().await.contains("/callback") {
            // A person is not left standing there.
            let back = self
                .browser
                .attribute("a[href*='error=access_denied']", "href")
                .await;
            assert!(back.is_some(), "no way back to the website:\n{seen}");
        }
        self.browser.close().await;
    }
}

/// What an agent reads from the page, in the one way that needs no script.
async fn request_id(browser: &Browser) -> String {
    let id = browser
        .attribute("meta[name='auth-agent-request']", "content")
        .await;
    id.expect("the page names its request")
}

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
async fn a_stream_that_is_cut_is_resumed() {
    let scene = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
    scene.waits().await;
    let first = scene.proxy.has_seen("/events", 1).await;
    assert_eq!(first[0].last_event_id, "");
    scene.proxy.cut();
    let again = scene.proxy.has_seen("/events", 2).await;
    assert_eq!(
        (again[1].status, again[1].last_event_id.is_empty()),
        (200, false)
    );
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
async fn without_any_stream_the_page_polls() {
    let scene = Scene::start(Scripts::On, Mode::NoStreams, |_| {}).await;
    scene.waits().await;
    scene.proxy.has_seen("/api/check-status", 2).await;
    assert!(
        scene
            .proxy
            .seen("/events")
            .iter()
            .all(|stream| stream.status == 403)
    );
    scene.waits().await;
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

#[tokio::test]
async fn an_expired_request_says_so() {
    let lifetime = |options: &mut Options| {
        options.flag("--request-lifetime", 3);
    };
    let scene = Scene::start(Scripts::On, Mode::Open, lifetime).await;
    scene.ends_without_a_code(&["expired"]).await;
}

#[tokio::test]
async fn an_expired_request_says_so_without_scripts() {
    let lifetime = |options: &mut Options| {
        options.flag("--request-lifetime", 3);
    };
    let scene = Scene::start(Scripts::Off, Mode::Open, lifetime).await;
    scene.ends_without_a_code(&["expired"]).await;
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
    let lifetime = |options: &mut Options| {
        options.flag("--request-lifetime", 6);
    };
    let scene = Scene::start(Scripts::On, Mode::Open, lifetime).await;
    scene.api.suspend(&scene.agent).await;
    scene
        .try_to_authenticate()
        .await
        .refused(403, "access_denied");
    assert!(
        !scene.browser.words().await.trim().is_empty(),
        "the page says nothing"
    );
    scene.ends_without_a_code(&["expired"]).await;
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
