//! Many cookies of one browser, and what others put beside them.

use super::{browser::Jar, *};

fn request_of(cookie_name: &str) -> &str {
    cookie_name.strip_prefix("aa_").unwrap()
}

on_both_databases! {
    async fn a_browser_keeps_twenty_cookies_and_the_oldest_go_first(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let mut jar = Jar::default();
        let mut ids = vec![];
        for _ in 0..22 {
            ids.push(jar.open(&api, &Authorize::new(&client)).await.request_id);
            assert!(jar.0.len() <= 20);
        }
        let kept: Vec<_> = ids[2..].iter().map(|id| format!("aa_{id}")).collect();
        assert!(kept.iter().all(|name| jar.0.contains_key(name)), "{:?}", jar.0.keys());
        assert_eq!(jar.0.len(), 20);
    }

    async fn a_browser_with_more_cookies_than_it_should_have_keeps_its_newest_pages(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({"minimum_binding": "browser"})).await;
        // A browser that has lost every removal, oldest cookie first, as browsers send them.
        let mut cookies = String::new();
        let mut pages = vec![];
        for _ in 0..30 {
            let asked = Authorize::new(&client);
            let page = api.authorize(&asked).await;
            cookies = format!("{cookies}; {}", page.cookie).trim_start_matches("; ").to_owned();
            pages.push((asked, page));
        }
        let (asked, newest) = pages.last().unwrap();
        let reload = api.open(asked, &cookies).await;
        assert_eq!(WaitingPage::of(reload).request_id, newest.request_id);
        // Its own address tidies up too: the ten oldest go.
        let path = format!("/authorize/{}", newest.request_id);
        let shown = api.send(api.get(&path).header(header::COOKIE, &cookies)).await.expect(200);
        let removed: Vec<_> = shown
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|cookie| cookie.to_str().unwrap())
            .filter(|cookie| cookie.contains("Max-Age=0"))
            .map(|cookie| request_of(cookie.split('=').next().unwrap()))
            .collect();
        let mut oldest: Vec<_> = pages[..10].iter().map(|(_, page)| &*page.request_id).collect();
        oldest.reverse();
        assert_eq!(removed, oldest);
        // The agent drives this browser, whatever else is in its jar; an old page is still its own.
        for (_, page) in [&pages[0], &pages[29]] {
            let page = WaitingPage { cookie: cookies.clone(), ..page.clone() };
            let done = api.authenticate(&page, &agent).await.expect(200);
            assert_eq!(done.str("binding"), "browser");
        }
    }

    async fn a_neighbour_in_other_letters_takes_no_cookie_away(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({"minimum_binding": "browser"})).await;
        for neighbour in ["name=Jörg".as_bytes(), b"\xff\xfe", b"latin=J\xf6rg"] {
            let asked = Authorize::new(&client);
            let page = api.authorize(&asked).await;
            let cookies = [neighbour, b"; ", page.cookie.as_bytes(), b"; ", neighbour].concat();
            let path = format!("/authorize?{}", asked.query());
            let reply = api.send(api.get(&path).header(header::COOKIE, &*cookies)).await;
            assert_eq!(WaitingPage::of(reply).request_id, page.request_id);
            let call = api.post("/api/agent/authenticate").header(header::COOKIE, &*cookies);
            let body = crate::support::api::authentication(&page.request_id, &agent);
            assert_eq!(api.send(call.json(&body)).await.expect(200).str("binding"), "browser");
            let path = format!("/api/check-status?request_id={}", page.request_id);
            let polled = api.send(api.get(&path).header(header::COOKIE, &*cookies)).await;
            assert!(polled.json["redirect_to"].is_string());
        }
    }

    async fn a_planted_duplicate_does_not_stand_before_the_browsers_own_cookie(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({"minimum_binding": "browser"})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        let planted = format!("aa_{}={}", page.request_id, "0".repeat(64));
        for cookie in [format!("{planted}; {}", page.cookie), format!("{}; {planted}", page.cookie)] {
            let page = WaitingPage { cookie, ..page.clone() };
            assert_eq!(api.events(&page).await.status, 200);
            let done = api.authenticate(&page, &agent).await.expect(200);
            assert_eq!(done.str("binding"), "browser");
        }
    }
}
