//! Session swap, played out (docs/security.md): an attacker's browser waits, and somebody else's agent
//! is lured into signing in for it. Two real browsers, two network addresses, or one.

use std::net::Ipv4Addr;

use serde_json::json;

use super::{
    driver::{Browser, Scripts},
    proxy::{Mode, Proxy},
    scene::{Scene, request_id},
};
use crate::support::{Agent, Authorize, Client, Reply, api::authentication};

/// Where the attacker is.
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Where the victim is, unless on the attacker's own network.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The attacker's browser waits in the scene; the victim has another browser, and an agent.
struct Attack {
    attacker: Scene,
    victim: Browser,
    /// From where the victim's browser and agent call.
    address: Ipv4Addr,
    // Held so that it goes on running.
    _network: Proxy,
}

impl Attack {
    /// Both browsers reach the server under the same name.
    async fn from(address: Ipv4Addr) -> Self {
        let attacker = Scene::start(Scripts::On, Mode::Open, |_| {}).await;
        let network = Proxy::between(HERE, address).await;
        network.forward_to(attacker.server.address());
        let (issuer, door) = (attacker.proxy.address(), network.address());
        let route = format!("--host-resolver-rules=MAP {issuer} {door}");
        let victim = Browser::start_with(Scripts::On, &[&route]).await;
        attacker.sees_it_waiting().await;
        attacker.proxy.has_seen("/events", 1).await;
        Self {
            attacker,
            victim,
            address,
            _network: network,
        }
    }

    /// The victim opens a page of its own for the same website; `name=value` of its cookies.
    async fn victim_opens_its_own_page(&self, client: &Client) -> (String, String) {
        let asked = Authorize::new(client);
        let authorize = format!("{}/authorize?{}", self.attacker.proxy.url(), asked.query());
        self.victim.open(&authorize).await;
        self.victim.sees("Waiting for your agent").await;
        let own = request_id(&self.victim).await;
        assert_ne!(own, self.attacker.request_id);
        (own, self.victim.cookies().await)
    }

    /// The victim's agent signs in to a request, and names the website that it means to.
    async fn agent_signs_in(&self, agent: &Agent, request: &str, cookies: &str) -> Reply {
        let http = reqwest::Client::builder()
            .local_address(Some(self.address.into()))
            .no_proxy()
            .build()
            .expect("a client can be built");
        let server = self.attacker.server.base_url();
        let mut body = authentication(request, agent);
        // It does not help: the attacker waits for the right website.
        body["expected_client_id"] = json!(self.attacker.client.id);
        let mut call = http.post(format!("{server}/api/agent/authenticate"));
        if !cookies.is_empty() {
            call = call.header("cookie", cookies);
        }
        self.attacker.api.send(call.json(&body)).await
    }

    /// The attacker's page has gone nowhere, and the log says why.
    async fn is_refused_for(&self, reasons: &[&str]) {
        self.attacker.sees_it_waiting().await;
        assert_eq!(
            self.attacker.browser.url().await,
            self.attacker.own_address()
        );
        let log = self.attacker.log().await;
        let types: Vec<_> = log
            .iter()
            .filter_map(|event| event["type"].as_str())
            .collect();
        let told: Vec<_> = log
            .iter()
            .filter(|event| event["type"] == "AgentRejected")
            .filter_map(|event| event["payload"]["reason"].as_str())
            .collect();
        assert_eq!(told, reasons);
        assert_eq!(
            types.len(),
            1 + reasons.len(),
            "nothing else came of it: {types:?}"
        );
    }

    /// An honest sign-in beside the attack: it takes the victim home, and nobody else.
    async fn victim_comes_home(&self, agent: &Agent, client: &Client) {
        let (own, cookies) = self.victim_opens_its_own_page(client).await;
        let done = self.agent_signs_in(agent, &own, &cookies).await.expect(200);
        assert_eq!(done.str("binding"), "browser");
        self.victim.sees("Welcome back with a code").await;
    }
}

#[tokio::test]
async fn a_session_swap_from_another_address_is_refused_by_default() {
    let attack = Attack::from(ELSEWHERE).await;
    let (client, agent) = (&attack.attacker.client, &attack.attacker.agent);
    let lure = &attack.attacker.request_id;

    // The victim's browser is not shown the attacker's page.
    attack.victim.open(&attack.attacker.own_address()).await;
    let words = attack
        .victim
        .sees("belongs to the browser that opened it")
        .await;
    assert!(!words.contains("Waiting for your agent"), "{words}");
    assert_eq!(attack.victim.cookies().await, "");

    // But the agent was told the id, in whatever way.
    let refused = attack.agent_signs_in(agent, lure, "").await;
    refused.refused(403, "binding_required");
    attack.is_refused_for(&["binding_required"]).await;

    // With what its own browser holds, it says itself that it is another browser.
    let (_, cookies) = attack.victim_opens_its_own_page(client).await;
    let refused = attack.agent_signs_in(agent, lure, &cookies).await;
    refused.refused(403, "browser_mismatch");
    let reasons = ["binding_required", "browser_mismatch"];
    attack.is_refused_for(&reasons).await;

    attack.victim_comes_home(agent, client).await;
    attack.is_refused_for(&reasons).await;
}

#[tokio::test]
async fn a_session_swap_on_one_address_needs_an_agent_that_sends_no_cookies() {
    let mut attack = Attack::from(HERE).await;
    let agent = attack.attacker.agent.clone();

    // A website that asks for more is safe from it.
    let uri = attack.attacker.client.redirect_uri.clone();
    let strict = json!({ "redirect_uris": [uri], "minimum_binding": "browser" });
    let strict = attack.attacker.api.create_client(strict).await;
    let lax = std::mem::replace(&mut attack.attacker.client, strict);
    attack.attacker.asks_again().await;
    let lure = attack.attacker.request_id.clone();
    let refused = attack.agent_signs_in(&agent, &lure, "").await;
    refused.refused(403, "binding_required");
    let (_, cookies) = attack
        .victim_opens_its_own_page(&attack.attacker.client)
        .await;
    let refused = attack.agent_signs_in(&agent, &lure, &cookies).await;
    refused.refused(403, "browser_mismatch");
    let reasons = ["binding_required", "browser_mismatch"];
    attack.is_refused_for(&reasons).await;
    attack
        .victim_comes_home(&agent, &attack.attacker.client)
        .await;
    attack.is_refused_for(&reasons).await;

    // By default one address counts as one place. An agent that sends its browser's cookies, as ours do,
    // is safe there too.
    attack.attacker.client = lax;
    attack.attacker.asks_again().await;
    let lure = attack.attacker.request_id.clone();
    let refused = attack.agent_signs_in(&agent, &lure, &cookies).await;
    refused.refused(403, "browser_mismatch");
    attack.is_refused_for(&["browser_mismatch"]).await;

    // One that sends none cannot be told from one that drives the attacker's browser: the swap works,
    // and log and tokens say that only an address stands behind it.
    let done = attack.agent_signs_in(&agent, &lure, "").await.expect(200);
    assert_eq!(done.str("binding"), "address");
    attack.attacker.is_home_with_a_code().await;
    let log = attack.attacker.log().await;
    let signed_in = log
        .iter()
        .find(|event| event["type"] == "AgentAuthenticated")
        .expect("it is in the log");
    assert_eq!(signed_in["payload"]["binding"], "address");
}
