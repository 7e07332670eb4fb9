//! Registering websites: what is taken, what is refused and why, and what is shown once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, Reply, on_both_databases};

async fn register(api: &Api, fields: Value) -> Reply {
    let mut body = json!({"client_name": "Profilio", "redirect_uris": ["https://a.example/cb"]});
    for (name, value) in fields.as_object().expect("an object") {
        body[name] = value.clone();
    }
    api.admin(Method::POST, "/clients", Some(body)).await
}

on_both_databases! {
    async fn a_secret_is_shown_once_and_never_again(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let secret = client.secret.clone().unwrap();
        assert_eq!(client.json["client_secret_expires_at"], 0);
        let shown = api.admin(Method::GET, &format!("/clients/{}", client.id), None).await;
        let listed = api.admin(Method::GET, "/clients?limit=500", None).await;
        let log = api.admin(Method::GET, "/audit-log?limit=500", None).await;
        for reply in [&shown, &listed, &log] {
            assert_eq!(reply.status, 200);
            assert!(reply.text.contains(&client.id));
            assert!(!reply.text.contains(&secret), "{}", reply.text);
        }
        for member in ["client_secret", "client_secret_expires_at"] {
            assert_eq!(shown.json.get(member), None);
            assert_eq!(listed.json["items"][0].get(member), None);
        }
        // Apart from that, what was answered is what is shown.
        let mut answered = client.json.clone();
        let object = answered.as_object_mut().unwrap();
        object.retain(|name, _| !name.starts_with("client_secret"));
        assert_eq!(shown.json, answered);
        assert_eq!(listed.json["items"], json!([answered]));
    }

    async fn a_public_client_is_given_no_secret(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        assert_eq!(client.secret, None);
        assert_eq!(client.json.get("client_secret"), None);
        assert_eq!(client.json.get("client_secret_expires_at"), None);
    }

    async fn two_clients_never_get_the_same_secret(env: Env) {
        let api = env.api().await;
        let one = api.create_client(json!({})).await;
        let other = api.create_client(json!({})).await;
        assert_ne!(one.secret, other.secret);
        assert_ne!(one.id, other.id);
        assert!(one.secret.unwrap().len() >= 43, "at least 256 bits");
    }

    async fn a_redirect_uri_at_fault_is_named_among_several_with_the_reason(env: Env) {
        let api = env.api().await;
        for (uri, why) in [
            ("http://example.com", "loopback"),
            ("http://192.168.1.7/cb", "loopback"),
            ("https://*.example.com/cb", "wildcard"),
            ("https://example.com/*", "wildcard"),
            ("https://user@example.com/cb", "user name"),
            ("https://user:password@example.com/cb", "user name"),
            ("https://example.com/cb#top", "fragment"),
            ("https://example.com/cb#", "fragment"),
            ("com.example.app:/cb", "public client"),
            ("myapp:/cb", "scheme"),
            ("javascript:alert(1)", "scheme"),
            ("data:text/html,x", "scheme"),
            ("/cb", "absolute"),
            ("example.com/cb", "absolute"),
            ("https://example.com/a b", "character"),
        ] {
            let uris = json!(["https://a.example/cb", uri, "https://b.example/cb"]);
            let reply = register(&api, json!({"redirect_uris": uris})).await;
            reply.refused(400, "invalid_redirect_uri");
            let told = reply.str("error_description");
            assert!(told.contains(uri) && told.contains(why), "{uri}: {told}");
            assert!(!told.contains("a.example") && !told.contains("b.example"), "{told}");
        }
        for uris in [json!([]), json!(vec!["https://a.example/cb"; 11])] {
            let reply = register(&api, json!({"redirect_uris": uris})).await;
            reply.refused(400, "invalid_redirect_uri");
            assert!(reply.str("error_description").contains("1 to 10"));
        }
        let long = format!("https://a.example/{}", "x".repeat(2_048));
        let reply = register(&api, json!({"redirect_uris": [long]})).await;
        reply.refused(400, "invalid_redirect_uri");
        assert!(reply.str("error_description").contains("2,048"));
    }

    async fn a_private_scheme_is_for_public_clients_with_a_dot_in_it(env: Env) {
        let api = env.api().await;
        let public = |uri: &str| json!({
            "token_endpoint_auth_method": "none", "redirect_uris": [uri],
        });
        for uri in [
            "com.example.app:/cb",
            "com.example.app:/cb?x=1",
            "https://a.example/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:8080/cb",
            "http://localhost:8080/cb",
        ] {
            let reply = register(&api, public(uri)).await.expect(201);
            assert_eq!(reply.json["redirect_uris"], json!([uri]));
        }
        for uri in ["myapp:/cb", "http://example.com/cb", "com.example.app:/cb#x"] {
            register(&api, public(uri)).await.refused(400, "invalid_redirect_uri");
        }
    }

    async fn what_is_absent_has_the_documented_default(env: Env) {
        let api = env.api().await;
        let made = register(&api, json!({})).await.expect(201).json;
        assert_eq!(made["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(made["response_types"], json!(["code"]));
        assert_eq!(made["id_token_signed_response_alg"], "RS256");
        assert_eq!(made["minimum_binding"], "address");
        assert_eq!(made["subject"], "agent");
        assert_eq!(made.get("token_endpoint_auth_method"), None);
        let only = json!({"grant_types": ["authorization_code"]});
        let made = register(&api, only).await.expect(201).json;
        assert_eq!(made["grant_types"], json!(["authorization_code"]));
    }

    async fn whatever_else_is_at_fault_is_named(env: Env) {
        let api = env.api().await;
        for (fields, named) in [
            (json!({"redirect_url": "https://a.example"}), "redirect_url"),
            (json!({"client_secret": "mine"}), "client_secret"),
            (json!({"client_name": ""}), "client_name"),
            (json!({"client_name": " \t "}), "client_name"),
            (json!({"client_name": "x".repeat(65)}), "client_name"),
            (json!({"client_name": "a\u{202e}b"}), "client_name"),
            (json!({"client_name": "a\nb"}), "client_name"),
            (json!({"client_name": 7}), "client_name"),
            (json!({"redirect_uris": "https://a.example"}), "redirect_uris"),
            (json!({"redirect_uris": ["https://a.example", 7]}), "redirect_uris[1]"),
            (json!({"grant_types": ["refresh_token"]}), "grant_types"),
            (json!({"grant_types": ["password"]}), "grant_types"),
            (json!({"response_types": ["token"]}), "response_types"),
            (json!({"token_endpoint_auth_method": "private_key_jwt"}), "token_endpoint_auth_method"),
            (json!({"scope": "openid \"x\""}), "scope"),
            (json!({"id_token_signed_response_alg": "none"}), "id_token_signed_response_alg"),
            (json!({"id_token_signed_response_alg": "HS256"}), "id_token_signed_response_alg"),
            (json!({"subject": "everybody"}), "subject"),
            (json!({"minimum_binding": "some"}), "minimum_binding"),
            (json!({"client_uri": "javascript:alert(1)"}), "client_uri"),
        ] {
            let reply = register(&api, fields).await.expect(400);
            let told = reply.str("error_description");
            assert!(told.contains(named), "{named}: {told}");
            assert!(["invalid_client_metadata", "invalid_request"].contains(&reply.error()));
        }
        for missing in ["client_name", "redirect_uris"] {
            let mut body = json!({"client_name": "x", "redirect_uris": ["https://a.example"]});
            body.as_object_mut().unwrap().remove(missing);
            let reply = api.admin(Method::POST, "/clients", Some(body)).await.expect(400);
            assert!(reply.str("error_description").contains(missing));
        }
    }

    async fn what_was_refused_has_left_nothing(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let before = crate::log::acts(&api, "").await;
        register(&api, json!({"redirect_uris": ["http://example.com"]})).await.expect(400);
        register(&api, json!({"nonsense": true})).await.expect(400);
        assert_eq!(crate::log::acts(&api, "").await, before);
        let listed = api.admin(Method::GET, "/clients", None).await.expect(200);
        assert_eq!(listed.json, json!({"items": [], "next": null}));
    }

    async fn an_unknown_client_is_404(env: Env) {
        let api = env.api().await;
        let unknown = auth_agent::edge::new_client_id().to_string();
        let agent = api.create_agent(json!({})).await;
        for id in [&*unknown, "x", &agent.id, "%00", "%ff"] {
            api.admin(Method::GET, &format!("/clients/{id}"), None).await.refused(404, "not_found");
        }
    }

    async fn a_redirect_uri_that_a_browser_reads_otherwise_is_not_registered(env: Env) {
        let api = env.api().await;
        for uri in [
            "https:/example.com/cb", "https:example.com/cb", "https:///x", "https://@example.com/cb",
            "https://:@example.com/cb", "https://ex%61mple.com/cb", "https://example.com/%zz",
            "https://example.com:443/cb", "https://EXAMPLE.com/cb", "https://example.com/a/../cb",
        ] {
            let body = json!({"client_name": "x", "redirect_uris": ["https://a.example/", uri]});
            let reply = api.admin(Method::POST, "/clients", Some(body)).await;
            reply.refused(400, "invalid_redirect_uri");
            assert!(reply.str("error_description").contains(uri), "{}", reply.text);
        }
    }
}
