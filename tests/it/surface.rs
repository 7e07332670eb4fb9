//! What holds for every response, and where things are under an issuer with a path (http-api.md §5).

use reqwest::{Method, header};
use serde_json::json;

use crate::support::{Api, Authorize, Reply, WaitingPage, on_both_databases};

/// The files that a page loads, as it names them.
fn files(page: &WaitingPage) -> Vec<String> {
    let html = &page.html;
    let begins = html.match_indices("/static/").map(|(at, _)| at);
    let ends = |at: usize| at + html[at..].find('"').expect("a quoted address");
    begins.map(|at| html[at..ends(at)].to_owned()).collect()
}

/// The three headers of every response.
#[track_caller]
fn has_the_headers_of_all(headers: &header::HeaderMap, what: &str) {
    assert_eq!(headers["x-content-type-options"], "nosniff", "{what}");
    assert_eq!(headers["referrer-policy"], "no-referrer", "{what}");
    let id = headers["x-request-id"].to_str().unwrap();
    assert!(!id.is_empty(), "{what}");
}

async fn get(api: &Api, path: &str) -> Reply {
    api.send(api.get(path)).await
}

on_both_databases! {
    async fn every_kind_of_response_has_the_headers_of_all(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let shown = api.open(&asked, "").await;
        has_the_headers_of_all(&shown.headers, "a page");
        let page = WaitingPage::of(shown);
        for (what, status, reply) in [
            ("JSON", 200, get(&api, "/api/health").await),
            ("the front page", 200, get(&api, "/").await),
            ("a document", 200, get(&api, "/.well-known/openid-configuration").await),
            ("a 303", 303, api.send(api.post("/authorize").form(&asked.params)).await),
            ("a fault told to the website", 303, api.open(&asked.with("scope", "none"), "").await),
            ("an error page", 400, get(&api, "/authorize").await),
            ("an unknown request", 404, get(&api, "/api/requests/req_none").await),
            ("an unknown path", 404, get(&api, "/no/such/path").await),
            ("a wrong method", 405, api.send(api.call(Method::DELETE, "/token")).await),
            ("a file", 200, get(&api, &files(&page)[0]).await),
            ("no key", 401, get(&api, "/api/admin/clients").await),
            ("a preflight", 204, {
                let call = api.call(Method::OPTIONS, "/token");
                api.send(call.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")).await
            }),
        ] {
            assert_eq!(reply.status, status, "{what}: {}", reply.text);
            has_the_headers_of_all(&reply.headers, what);
        }
        has_the_headers_of_all(&api.events(&page).await.headers, "a stream");
    }

    async fn a_callers_own_harmless_request_id_is_kept(env: Env) {
        let api = env.api().await;
        for (sent, kept) in [("my-call_0001", true), ("short", false), ("has spaces in it", false)] {
            let reply = api.send(api.get("/api/health").header("x-request-id", sent)).await;
            has_the_headers_of_all(&reply.headers, sent);
            assert_eq!(reply.header("x-request-id") == sent, kept, "{sent}");
        }
    }

    async fn files_are_kept_for_ever_under_the_hash_of_their_content(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        for (begin, content_type) in [
            ("/static/waiting-", "text/javascript; charset=utf-8"),
            ("/static/style-", "text/css; charset=utf-8"),
            ("/static/icon-", "image/svg+xml"),
        ] {
            let files = files(&page);
            let file = files.iter().find(|file| file.starts_with(begin)).expect("the page names it");
            let reply = get(&api, file).await.expect(200);
            assert_eq!(reply.header("content-type"), content_type);
            assert_eq!(reply.header("cache-control"), "public, max-age=31536000, immutable");
            assert!(!reply.text.is_empty());
            // Another version's name leads nowhere, and nobody keeps that answer.
            let (stem, extension) = file.rsplit_once('.').unwrap();
            let (name, _) = stem.rsplit_once('-').unwrap();
            for other in [format!("{name}-0000000000000000.{extension}"), format!("{name}.{extension}")] {
                let reply = get(&api, &other).await;
                reply.refused(404, "not_found");
                assert_eq!(reply.header("cache-control"), "no-store");
            }
        }
        for nothing in ["/static/", "/static/..%2f..%2fCargo.toml", "/static/%FF"] {
            get(&api, nothing).await.refused(404, "not_found");
        }
    }

    async fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow(env: Env) {
        let api = env.api().await;
        for path in ["/nothing", "/token/more", "/api", "/api/agent", "/.well-known/nothing"] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let reply = api.send(api.call(method, path)).await;
                reply.refused(404, "not_found");
                assert!(reply.str("error_description").ends_with(&format!(" {path}")), "{}", reply.text);
            }
        }
        for (path, wrong, allowed) in [
            ("/", Method::POST, "GET,HEAD"),
            ("/token", Method::GET, "POST"),
            ("/introspect", Method::GET, "POST"),
            ("/revoke", Method::PUT, "POST"),
            ("/userinfo", Method::DELETE, "GET,HEAD,POST"),
            ("/authorize", Method::PUT, "GET,HEAD,POST"),
            ("/authorize/req_none", Method::POST, "GET,HEAD"),
            ("/api/agent/authenticate", Method::GET, "POST"),
            ("/api/check-status", Method::POST, "GET,HEAD"),
            ("/api/requests/req_none", Method::DELETE, "GET,HEAD"),
            ("/api/requests/req_none/events", Method::POST, "GET,HEAD"),
            ("/.well-known/jwks.json", Method::POST, "GET,HEAD"),
            ("/static/none", Method::POST, "GET,HEAD"),
            ("/api/health", Method::POST, "GET,HEAD"),
        ] {
            let reply = api.send(api.call(wrong.clone(), path)).await;
            reply.refused(405, "method_not_allowed");
            let mut methods: Vec<_> = reply.header("allow").split(',').map(str::trim).collect();
            methods.sort_unstable();
            assert_eq!(methods.join(","), allowed, "{wrong} {path}");
        }
    }

    async fn the_server_s_own_address_says_what_it_is_and_where_to_read_on(env: Env) {
        let api = env.api().await;
        let front = get(&api, "/").await.expect(200);
        assert_eq!(front.header("content-type"), "text/html; charset=utf-8");
        assert!(front.header("content-security-policy").contains("default-src 'none'"));
        assert!(front.text.contains(&api.issuer) && !front.text.contains("<script"), "{}", front.text);
        let mut links = 0;
        for link in front.text.split(" href=\"").skip(1) {
            let path = link.split('"').next().unwrap();
            get(&api, path).await.expect(200);
            links += 1;
        }
        assert!(links >= 4, "{}", front.text);
        let server = env.start(|options| { options.issuer("https://auth.example/tenant"); }).await;
        let front = api.get(&format!("{}/tenant", server.base_url())).send().await.unwrap();
        assert_eq!(front.status(), 200);
        assert!(front.text().await.unwrap().contains("href=\"/tenant/openapi\""));
    }

    async fn under_an_issuer_with_a_path_everything_is_there_and_nothing_at_the_root(env: Env) {
        let server = env.start(|options| { options.issuer("https://auth.example/tenant"); }).await;
        let (api, root) = (server.api(), server.base_url());
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;

        // RFC 8414 §3.1 puts the well-known part first, OpenID Connect Discovery §4 last.
        let last = get(&api, "/.well-known/openid-configuration").await.expect(200);
        let first = format!("{root}/.well-known/oauth-authorization-server/tenant");
        for form in [&*first, "/.well-known/oauth-authorization-server"] {
            let reply = get(&api, form).await.expect(200);
            assert_eq!(reply.json, last.json, "{form}");
            assert_eq!(reply.header("access-control-allow-origin"), "*");
        }
        let mut paths = vec!["/api/health".to_owned(), "/api/admin/clients".to_owned()];
        for (name, address) in last.json.as_object().unwrap() {
            if name.ends_with("_endpoint") || name == "jwks_uri" {
                let address = address.as_str().unwrap();
                let path = address.strip_prefix("https://auth.example/tenant").expect("below the issuer");
                paths.push(path.to_owned());
            }
        }

        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        paths.push(format!("/authorize/{}", page.request_id));
        paths.push(format!("/api/requests/{}", page.request_id));
        paths.push(format!("/api/requests/{}/events", page.request_id));
        paths.push(format!("/api/check-status?request_id={}", page.request_id));
        let files = files(&page);
        for file in &files {
            assert!(page.html.contains(&format!("\"/tenant{file}\"")), "{file}");
            get(&api, file).await.expect(200);
        }
        paths.extend(files);
        paths.push("/.well-known/openid-configuration".to_owned());
        paths.push("/.well-known/oauth-authorization-server".to_owned());
        for path in &paths {
            let here = api.send(api.call(Method::OPTIONS, path)).await;
            assert_ne!(here.status, 404, "{path}");
            get(&api, &format!("{root}{path}")).await.refused(404, "not_found");
            api.send(api.post(&format!("{root}{path}"))).await.refused(404, "not_found");
        }
        // What is not there is named whole.
        for (path, named) in [("/nothing", "/tenant/nothing"), ("/api/nothing", "/tenant/api/nothing")] {
            let reply = get(&api, path).await;
            reply.refused(404, "not_found");
            assert!(reply.str("error_description").ends_with(&format!(" {named}")), "{}", reply.text);
        }

        // And it works: page, stream and the way home.
        let post = api.send(api.post("/authorize").form(&Authorize::new(&client).params)).await;
        assert!(post.expect(303).header("location").starts_with("/tenant/authorize/req_"));
        let mut stream = api.events(&page).await;
        assert_eq!(stream.next().await.expect("the current state").status(), "pending");
        api.authenticate(&page, &agent).await.expect(200);
        assert_eq!(stream.next().await.expect("a change").status(), "authenticated");
        let code = api.callback(&page).await.get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
    }

    async fn the_page_of_an_ended_sign_in_has_the_policy_of_all_pages_and_goes_back(env: Env) {
        let server = env.start(|options| { options.flag("--request-lifetime", 2); }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        let ended = api.events(&page).await.rest().await;
        assert_eq!(ended.last().expect("an end").status(), "expired");
        let path = format!("/authorize/{}", page.request_id);
        let shown = api.send(api.get(&path).header(header::COOKIE, &page.cookie)).await.expect(200);
        let policy = shown.header("content-security-policy");
        for directive in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"] {
            assert!(policy.contains(directive), "{policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(shown.header("cache-control"), "no-store");
        assert_eq!(shown.header("x-frame-options"), "DENY");
        assert!(!shown.text.contains("<script"), "nothing here needs a script");
        let refresh = format!("<meta http-equiv=\"refresh\" content=\"5;url={}?", client.redirect_uri);
        assert!(shown.text.contains(&refresh), "{}", shown.text);
    }
}
