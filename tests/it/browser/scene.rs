//! A browser at the waiting page, a proxy between it and the server, and how it all may end.

use serde_json::json;

use super::{
    driver::{Browser, Scripts},
    proxy::{Mode, Proxy},
    website::Website,
};
use crate::support::{
    Agent, Api, Authorize, Backend, Client, Options, TestServer, api::authentication,
};

/// A browser at the waiting page, with a proxy between it and the server.
pub(super) struct Scene {
    pub(super) browser: Browser,
    pub(super) proxy: Proxy,
    pub(super) api: Api,
    pub(super) agent: Agent,
    pub(super) client: Client,
    pub(super) asked: Authorize,
    pub(super) request_id: String,
    pub(super) website: Website,
    pub(super) server: TestServer,
}

impl Scene {
    pub(super) async fn start(
        scripts: Scripts,
        mode: Mode,
        set: impl FnOnce(&mut Options),
    ) -> Self {
        let proxy = Proxy::start().await;
        proxy.set(mode);
        Self::start_with(Browser::start(scripts).await, proxy, set).await
    }

    /// The same with a browser or a proxy that is special.
    pub(super) async fn start_with(
        browser: Browser,
        proxy: Proxy,
        set: impl FnOnce(&mut Options),
    ) -> Self {
        let website = Website::start().await;
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
        let mut scene = Self {
            browser,
            proxy,
            api,
            agent,
            asked: Authorize::new(&client),
            client,
            request_id: String::new(),
            website,
            server,
        };
        scene.asks_again().await;
        scene
    }

    /// The website sends the browser here once more, with a new request.
    pub(super) async fn asks_again(&mut self) {
        self.asks_for(&self.client.clone()).await;
    }

    /// Another website does.
    pub(super) async fn asks_for(&mut self, client: &Client) {
        self.asked = Authorize::new(client);
        let authorize = format!("{}/authorize?{}", self.proxy.url(), self.asked.query());
        self.browser.open(&authorize).await;
        self.request_id = request_id(&self.browser).await;
    }

    /// The page's own address.
    pub(super) fn own_address(&self) -> String {
        format!("{}/authorize/{}", self.proxy.url(), self.request_id)
    }

    /// What the log says of the request that the browser waits for.
    pub(super) async fn log(&self) -> Vec<serde_json::Value> {
        let stream = format!("stream=auth_request/{}", self.request_id);
        self.api.audit_log(&stream).await
    }

    /// The agent, on the same machine as the browser.
    pub(super) async fn authenticate(&self) {
        self.try_to_authenticate().await.expect(200);
    }

    pub(super) async fn try_to_authenticate(&self) -> crate::support::Reply {
        let body = authentication(&self.request_id, &self.agent);
        self.api.authenticate_with(&body, "").await
    }

    pub(super) async fn waits(&self) -> String {
        self.browser.sees("Profilio").await
    }

    pub(super) async fn comes_home_with_a_code(self) {
        self.is_home_with_a_code().await;
        self.browser.close().await;
    }

    /// Waits until the page says that it waits, and for whom.
    pub(super) async fn sees_it_waiting(&self) {
        self.browser
            .until("the waiting page", |_, words| {
                words.contains("Waiting for your agent") && words.contains("Time left")
            })
            .await;
    }

    pub(super) async fn is_home_with_a_code(&self) {
        let words = self.browser.sees("Welcome back").await;
        assert_eq!(
            words.trim(),
            "Welcome back with a code",
            "the last page seen"
        );
        let url = self.browser.url().await;
        assert!(url.contains("state=") && url.contains("iss="), "{url}");
    }

    /// Waits until the page tells the person how it ended, in words, with a way back to the website
    /// and nothing that still moves; and until the website itself was told.
    pub(super) async fn ends_without_a_code(self, words: &[&str]) {
        let told = |url: &str| url.contains("error=access_denied");
        self.browser
            .until("the end", |url, text| {
                let text = text.to_lowercase();
                told(url) || words.iter().any(|w| text.contains(w))
            })
            .await;
        // Read at one moment: the page leaves by itself.
        let page = self
            .browser
            .script(
                "const pulse = document.querySelector('.pulse');
                 return {
                     url: location.href,
                     state: document.querySelector('main')?.dataset.state ?? '',
                     spins: !!pulse && getComputedStyle(pulse).display !== 'none',
                     back: document.querySelector(\"a[href*='error=access_denied']\") !== null,
                 }",
            )
            .await;
        if !told(page["url"].as_str().expect("an address")) {
            assert_ne!(page["state"], "pending", "{page}");
            assert_eq!(
                page["spins"], false,
                "a spinner that nothing stands behind: {page}"
            );
            assert_eq!(page["back"], true, "no way back to the website: {page}");
        }
        // Nobody has to click.
        self.browser
            .until("the website", |url, _| {
                told(url) && url.contains("/callback")
            })
            .await;
        assert!(
            !self.browser.url().await.contains("code="),
            "a code came of it"
        );
        self.browser.close().await;
    }
}

/// What an agent reads from the page, in the one way that needs no script.
pub(super) async fn request_id(browser: &Browser) -> String {
    let id = browser
        .attribute("meta[name='auth-agent-request']", "content")
        .await;
    id.expect("the page names its request")
}

/// An app on the person's own device: this browser cannot go there by itself, so that pages stay.
pub(super) async fn app(api: &Api) -> Client {
    let fields = json!({
        "redirect_uris": ["com.example.app:/callback"],
        "token_endpoint_auth_method": "none",
    });
    api.create_client(fields).await
}
