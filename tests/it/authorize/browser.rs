//! The waiting page belongs to the browser that opened it: cookies, reloads, several tabs.

use std::collections::BTreeMap;

use super::*;
use crate::support::process::eventually;

/// A browser's cookie jar for one server.
#[derive(Default, Clone)]
pub(super) struct Jar(pub(super) BTreeMap<String, String>);

impl Jar {
    /// Takes in what an answer sets and removes.
    fn take(&mut self, reply: &Reply) {
        for cookie in reply.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn header(&self) -> String {
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    pub(super) async fn open(&mut self, api: &Api, asked: &Authorize) -> WaitingPage {
        let reply = api.open(asked, &self.header()).await;
        self.take(&reply);
        WaitingPage::of(reply)
    }
}

/// The pieces of a Set-Cookie header after the first.
fn attributes(cookie: &str) -> Vec<&str> {
    cookie.split("; ").skip(1).collect()
}

on_both_databases! {
    async fn the_cookie_has_256_bits_and_is_for_this_host_alone(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let reply = api.open(&Authorize::new(&client), "").await;
        let cookie = reply.header("set-cookie").to_owned();
        let page = WaitingPage::of(reply);
        let value = page.cookie.strip_prefix(&format!("aa_{}=", page.request_id)).unwrap();
        assert!(value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()), "{value}");
        let attributes = attributes(&cookie);
        for needed in ["Path=/", "HttpOnly", "SameSite=Lax"] {
            assert!(attributes.contains(&needed), "{cookie}");
        }
        assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
        let other = api.authorize(&Authorize::new(&client)).await;
        assert!(!other.cookie.contains(value), "each request has a secret of its own");
    }

    async fn with_an_https_issuer_the_cookie_is_secure_and_has_the_host_prefix(env: Env) {
        let server = env.start(|options| { options.issuer("https://auth.example"); }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({"minimum_binding": "browser"})).await;
        let reply = api.open(&Authorize::new(&client), "").await;
        let cookie = reply.header("set-cookie").to_owned();
        let page = WaitingPage::of(reply);
        assert!(cookie.starts_with(&format!("__Host-aa_{}=", page.request_id)), "{cookie}");
        for needed in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
            assert!(attributes(&cookie).contains(&needed), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        // Without the prefix anybody on a sibling host could have set it.
        let plain = WaitingPage { cookie: page.cookie.replace("__Host-", ""), ..page.clone() };
        api.authenticate(&plain, &agent).await.refused(403, "binding_required");
        assert_eq!(api.check_status(&plain).await.json, json!({"status": "pending"}));
        api.authenticate(&page, &agent).await.expect(200);
    }

    async fn a_reload_by_the_same_browser_is_the_same_request(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let mut jar = Jar::default();
        let first = jar.open(&api, &asked).await;
        for _ in 0..3 {
            assert_eq!(jar.open(&api, &asked).await.request_id, first.request_id);
        }
        // The same parameters in another order, and by POST.
        let mut turned = asked.clone();
        turned.params.reverse();
        assert_eq!(jar.open(&api, &turned).await.request_id, first.request_id);
        let post = api.post("/authorize").header(header::COOKIE, jar.header());
        let reply = api.send(post.form(&asked.params)).await.expect(303);
        assert_eq!(reply.header("location"), format!("/authorize/{}", first.request_id));
        assert_eq!(opened(&api, &client).await, 1);
    }

    async fn other_parameters_are_another_request(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let mut jar = Jar::default();
        let first = jar.open(&api, &asked).await;
        let mut seen = vec![first.request_id];
        for (name, value) in
            [("state", "x"), ("nonce", "x"), ("scope", "openid"), ("login_hint", "x"), ("unknown", "x")]
        {
            let page = jar.open(&api, &asked.clone().with(name, value)).await;
            assert!(!seen.contains(&page.request_id), "{name}");
            seen.push(page.request_id);
        }
    }

    async fn another_browser_gets_another_request(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let first = api.authorize(&asked).await;
        let forged = format!("aa_{}={}", first.request_id, "0".repeat(64));
        for cookies in ["", &forged, "other=1", "aa_=; aa_req_x=y; ;;=;\u{7e}"] {
            let page = WaitingPage::of(api.open(&asked, cookies).await);
            assert_ne!(page.request_id, first.request_id, "{cookies}");
            assert_ne!(page.cookie, first.cookie);
        }
    }

    async fn a_request_that_has_ended_is_not_shown_again_by_its_link(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let asked = Authorize::new(&client);
        let mut jar = Jar::default();
        let first = jar.open(&api, &asked).await;
        api.authenticate(&first, &agent).await.expect(200);
        let code = api.callback(&first).await.get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
        let second = jar.open(&api, &asked).await;
        assert_ne!(first.request_id, second.request_id);
        assert_eq!(jar.open(&api, &asked).await.request_id, second.request_id);
    }

    async fn the_link_of_a_request_that_an_agent_has_signed_in_to_takes_its_browser_home(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let asked = Authorize::new(&client);
        let mut jar = Jar::default();
        let page = jar.open(&api, &asked).await;
        api.authenticate(&page, &agent).await.expect(200);
        let own_address = format!("/authorize/{}", page.request_id);
        let reply = api.open(&asked, &jar.header()).await.expect(303);
        assert_eq!(reply.header("location"), own_address);
        let post = api.post("/authorize").header(header::COOKIE, jar.header());
        let reply = api.send(post.form(&asked.params)).await.expect(303);
        assert_eq!(reply.header("location"), own_address);
        let call = api.get(&own_address).header(header::COOKIE, jar.header());
        let code = home(api.send(call).await).get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
        assert_eq!(opened(&api, &client).await, 1);
        // Another browser gets a page of its own.
        assert_ne!(api.authorize(&asked).await.request_id, page.request_id);
    }

    async fn nobody_who_only_looks_is_given_a_code_or_causes_one(env: Env) {
        let server = env.start(|options| { options.flag("--code-lifetime", 1); }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        let path = format!("/authorize/{}", page.request_id);
        let look = |method: Method, purpose: &'static str| {
            let call = api.call(method, &path).header(header::COOKIE, &page.cookie);
            api.send(call.header("sec-purpose", purpose))
        };
        api.authenticate(&page, &agent).await.expect(200);
        let later = api.authorize(&Authorize::new(&client)).await;
        api.authenticate(&later, &agent).await.expect(200);
        let issued = |page: &WaitingPage| {
            let query = format!("stream=auth_request/{}&type=CodeIssued", page.request_id);
            let api = &api;
            async move { api.audit_log(&query).await }
        };
        for _ in 0..2 {
            let looks = [
                look(Method::HEAD, "").await.expect(200),
                look(Method::GET, "prefetch").await.expect(503),
                look(Method::GET, "Prefetch;Prerender").await.expect(503),
            ];
            assert!(looks.iter().all(|reply| !reply.headers.contains_key(header::LOCATION)));
            // Once more when the code has run out, as it has when a later one is replaced.
            eventually("the code to run out", async || {
                api.check_status(&later).await.expect(200);
                (issued(&later).await.len() > 1).then_some(())
            })
            .await;
        }
        assert_eq!(issued(&page).await.len(), 1);
        look(Method::GET, "").await.expect(303);
        let codes = issued(&page).await;
        assert_eq!(codes.len(), 2);
        // The log knows which call of the browser it was, and from where.
        let created = &api.audit_log(&format!("stream=auth_request/{}", page.request_id)).await[0];
        let metadata = &codes[1]["metadata"];
        assert_eq!(metadata["address_hash"], created["metadata"]["address_hash"]);
        assert!(metadata["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{metadata}");
    }

    async fn two_tabs_at_once_keep_both_requests(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({"minimum_binding": "browser"})).await;
        let (one, other) = (Authorize::new(&client), Authorize::new(&client));
        let (first, second) = tokio::join!(api.open(&one, ""), api.open(&other, ""));
        let mut jar = Jar::default();
        jar.take(&first);
        jar.take(&second);
        assert_eq!(jar.0.len(), 2);
        for (asked, reply) in [(one, first), (other, second)] {
            let page = WaitingPage { cookie: jar.header(), ..WaitingPage::of(reply) };
            let done = api.authenticate(&page, &agent).await.expect(200);
            assert_eq!(done.str("binding"), "browser");
            assert_eq!(api.callback(&page).await.get("state"), asked.state);
        }
    }

    async fn a_cross_site_post_takes_nothing_away(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let asked = Authorize::new(&client);
        let mut jar = Jar::default();
        let mut page = jar.open(&api, &asked).await;
        // SameSite=Lax: the browser sends no cookie along, but takes in what the answer sets.
        for params in [&asked.params, &Authorize::new(&client).params] {
            let post = api.post("/authorize").header(header::ORIGIN, "https://elsewhere.example");
            jar.take(&api.send(post.form(params)).await.expect(303));
        }
        assert_eq!(jar.0.len(), 3);
        page.cookie = jar.header();
        assert_eq!(jar.open(&api, &asked).await.object["client_id"], client.id);
        assert_eq!(api.check_status(&page).await.str("status"), "pending");
        api.authenticate(&page, &agent).await.expect(200);
        assert_eq!(api.callback(&page).await.get("state"), asked.state);
    }

    async fn the_pages_address_shows_it_to_its_browser_and_to_no_other(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        let path = format!("/authorize/{}", page.request_id);
        let show = |cookie: String| {
            let call = api.get(&path).header(header::COOKIE, cookie);
            async { api.send(call).await }
        };
        let again = WaitingPage::of(show(page.cookie.clone()).await);
        assert_eq!(again.object, page.object);
        let other = api.authorize(&Authorize::new(&client)).await;
        let swapped = page.cookie.replace(&page.request_id, &other.request_id);
        let forged = format!("aa_{}={}", page.request_id, other.cookie.split('=').nth(1).unwrap());
        for cookie in [other.cookie, swapped, forged, String::new()] {
            let reply = show(cookie).await.expect(403);
            assert!(reply.header("content-type").starts_with("text/html"));
            assert!(!reply.text.contains(&client.id));
        }
        for unknown in ["req_00000000000000000000000000000000", "x", "%FF", "%00", "req_%2e%2e"] {
            let reply = api.send(api.get(&format!("/authorize/{unknown}"))).await.expect(404);
            assert!(reply.header("content-type").starts_with("text/html"), "{unknown}");
        }
        // Once an agent has signed in, the address leads home; without JavaScript this is the way.
        api.authenticate(&page, &agent).await.expect(200);
        let home = home(show(page.cookie.clone()).await);
        assert_eq!(home.url, api.callback(&page).await.url);
        show(String::new()).await.expect(403);
    }

    async fn parallel_loads_of_one_link_by_one_browser_open_one_request(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let mut jar = Jar::default();
        jar.open(&api, &Authorize::new(&client)).await;
        let asked = Authorize::new(&client);
        let cookies = jar.header();
        let loads = (0..20).map(|_| api.open(&asked, &cookies));
        let pages: Vec<_> =
            futures_util::future::join_all(loads).await.into_iter().map(WaitingPage::of).collect();
        for page in &pages {
            assert_eq!(page.request_id, pages[0].request_id);
            assert_eq!(page.cookie, pages[0].cookie);
        }
        assert_eq!(opened(&api, &client).await, 2);
    }
}
