//! Discovery says only what is true, and origins may call across exactly where the contract says.

use std::collections::BTreeSet;

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    jwt,
    support::{Api, Tokens, on_both_databases},
};

const DOCUMENTS: [&str; 2] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
];

async fn document(api: &Api) -> Value {
    api.send(api.get(DOCUMENTS[0])).await.expect(200).json
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|text| text.as_str().expect("a text"))
        .collect()
}

/// The headers that CORS is made of.
fn across(reply: &crate::support::Reply) -> Vec<(&str, &str)> {
    let named = reply
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control"));
    named
        .map(|name| (name.as_str(), reply.header(name.as_str())))
        .collect()
}

/// Each is there, and takes GET or POST.
async fn every_endpoint_exists(api: &Api) {
    let document = document(api).await;
    let endpoints: Vec<(&String, &str)> = document
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri")
        .map(|(name, value)| (name, value.as_str().unwrap()))
        .collect();
    let names: BTreeSet<&str> = endpoints.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "agent_authentication_endpoint",
        "authorization_endpoint",
        "introspection_endpoint",
        "jwks_uri",
        "revocation_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
    ];
    assert_eq!(names, expected.into_iter().collect());
    for (name, address) in endpoints {
        // The issuer may be another address than the one that the tests reach it by.
        let path = address
            .strip_prefix(&api.issuer)
            .unwrap_or_else(|| panic!("{name}: {address}"));
        assert!(path.starts_with('/'), "{name}: {address}");
        let get = api.send(api.get(path)).await.status;
        let post = api.send(api.post(path)).await.status;
        assert!(get != 404 && post != 404, "{name} is not there");
        assert!(
            get != 405 || post != 405,
            "{name} takes neither GET nor POST"
        );
    }
}

on_both_databases! {
    async fn the_document_is_the_same_at_both_addresses(env: Env) {
        let api = env.api().await;
        let mut told = Vec::new();
        for path in DOCUMENTS {
            let reply = api.send(api.get(path)).await.expect(200);
            assert_eq!(reply.header("content-type"), "application/json");
            told.push(reply.text);
        }
        assert_eq!(told[0], told[1]);
        let document: Value = serde_json::from_str(&told[0]).unwrap();
        assert_eq!(document["issuer"], *api.issuer);
    }

    async fn every_endpoint_of_the_document_exists(env: Env) {
        every_endpoint_exists(&env.api().await).await;
    }

    async fn every_endpoint_of_the_document_exists_below_an_issuer_with_a_path(env: Env) {
        let issuer = "https://auth.example:8443/tenant/One";
        let server = env.start(|options| { options.issuer(issuer); }).await;
        let api = server.api();
        every_endpoint_exists(&api).await;
        // RFC 8414 §3.1 puts the well-known part before the issuer's path.
        let before = format!("{}{}/tenant/One", server.base_url(), DOCUMENTS[0]);
        let told = api.send(api.get(&before)).await.expect(200).json;
        assert_eq!(told, document(&api).await);
        // Nothing is outside of it.
        for path in ["/token", "/authorize", "/.well-known/jwks.json", "/api/health"] {
            let outside = format!("{}{path}", server.base_url());
            assert_eq!(api.send(api.get(&outside)).await.status, 404, "{path}");
        }
    }

    async fn every_algorithm_of_the_document_has_a_key_and_the_keys_are_public(env: Env) {
        let api = env.api().await;
        let document = document(&api).await;
        let reply = api.send(api.get("/.well-known/jwks.json")).await.expect(200);
        let keys = reply.json["keys"].as_array().unwrap();
        let mut algorithms = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for key in keys {
            for name in ["kid", "alg", "use", "kty"] {
                assert!(key[name].is_string(), "{key} has no {name}");
            }
            assert_eq!(key["use"], "sig");
            for secret in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert_eq!(key.get(secret), None, "a private part is published");
            }
            algorithms.insert(key["alg"].as_str().unwrap());
            assert!(ids.insert(key["kid"].as_str().unwrap()), "a kid occurs twice");
        }
        assert_eq!(algorithms, texts(&document["id_token_signing_alg_values_supported"]));
        assert_eq!(algorithms, ["ES256", "EdDSA", "RS256"].into_iter().collect());
        for alg in algorithms {
            let client = api.create_client(json!({"id_token_signed_response_alg": alg})).await;
            let agent = api.create_agent(json!({})).await;
            let done = api.sign_in(&client, &agent).await;
            let id_token = done.tokens.id_token.as_deref().unwrap();
            assert_eq!(jwt::header(id_token)["alg"], alg);
            jwt::verified(&api, id_token, &client.id).await;
        }
    }

    async fn the_document_offers_only_what_works(env: Env) {
        let api = env.api().await;
        let document = document(&api).await;
        assert_eq!(texts(&document["response_types_supported"]), ["code"].into());
        assert_eq!(texts(&document["code_challenge_methods_supported"]), ["S256"].into());
        let grants = texts(&document["grant_types_supported"]);
        assert_eq!(grants, ["authorization_code", "refresh_token"].into());
        let methods = texts(&document["token_endpoint_auth_methods_supported"]);
        assert_eq!(methods, ["client_secret_basic", "client_secret_post", "none"].into());
        for method in &methods {
            let client = api.create_client(json!({"token_endpoint_auth_method": method})).await;
            let agent = api.create_agent(json!({})).await;
            let done = api.sign_in(&client, &agent).await;
            api.revoke(&client, done.tokens.refresh()).await.expect(200);
        }
        assert_eq!(methods, texts(&document["revocation_endpoint_auth_methods_supported"]));
        let methods = texts(&document["introspection_endpoint_auth_methods_supported"]);
        assert_eq!(methods, ["client_secret_basic", "client_secret_post"].into());
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        for not_offered in
            ["claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported"]
        {
            assert_eq!(document[not_offered], false, "{not_offered}");
        }
        let agents = texts(&document["agent_authentication_methods_supported"]);
        assert_eq!(agents, ["agent_secret"].into());
        // Every scope of the document can be asked for, every claim of it occurs.
        let scopes = texts(&document["scopes_supported"]).into_iter().collect::<Vec<_>>().join(" ");
        let client = api.create_client(json!({"subject": "owner"})).await;
        let agent = api.create_agent(json!({})).await;
        let asked = crate::support::Authorize::new(&client).with("scope", &scopes);
        let page = api.authorize(&asked).await;
        api.authenticate(&page, &agent).await.expect(200);
        let code = api.callback(&page).await.get("code");
        let tokens = Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
        let claims = jwt::claims(tokens.id_token.as_deref().unwrap());
        let names: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, texts(&document["claims_supported"]));
    }

    async fn origins_may_call_across_exactly_where_the_contract_says(env: Env) {
        let api = env.api().await;
        let from = |method: Method, path: &str| {
            api.call(method, path).header(header::ORIGIN, "https://evil.example")
        };
        let open = [
            (Method::GET, DOCUMENTS[0]), (Method::GET, DOCUMENTS[1]),
            (Method::GET, "/.well-known/jwks.json"), (Method::POST, "/token"),
            (Method::GET, "/widget/signin-button.js"),
            (Method::POST, "/revoke"), (Method::GET, "/userinfo"), (Method::POST, "/userinfo"),
        ];
        for (method, path) in open {
            let reply = api.send(from(method.clone(), path)).await;
            assert_eq!(across(&reply), [("access-control-allow-origin", "*")], "{path}");
            let preflight = from(Method::OPTIONS, path)
                .header(header::ACCESS_CONTROL_REQUEST_METHOD, method.as_str())
                .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization, content-type");
            let reply = api.send(preflight).await;
            assert!((200..300).contains(&reply.status), "{path}: {}", reply.status);
            assert_eq!(reply.header("access-control-allow-origin"), "*");
            assert!(reply.header("access-control-allow-methods").contains(method.as_str()));
            let headers = reply.header("access-control-allow-headers").to_ascii_lowercase();
            assert!(headers.contains("authorization") && headers.contains("content-type"));
            assert_eq!(reply.header("access-control-allow-credentials"), "", "{path}");
        }

        let client = api.create_client(json!({})).await;
        let asked = crate::support::Authorize::new(&client);
        let page = api.authorize(&asked).await;
        let id = &page.request_id;
        let closed = [
            (Method::GET, format!("/authorize?{}", asked.query())),
            (Method::POST, "/authorize".into()),
            (Method::GET, format!("/authorize/{id}")),
            (Method::GET, format!("/api/requests/{id}")),
            (Method::GET, format!("/api/requests/{id}/events")),
            (Method::GET, format!("/api/check-status?request_id={id}")),
            (Method::POST, "/api/agent/authenticate".into()),
            (Method::POST, "/introspect".into()),
            (Method::GET, "/api/admin/clients".into()),
            (Method::GET, "/api/health".into()),
            (Method::GET, "/api/ready".into()),
            (Method::GET, "/api/stats".into()),
            (Method::GET, "/no/such/path".into()),
        ];
        for (method, path) in closed {
            let reply = api.send(from(method.clone(), &path)).await;
            assert_eq!(across(&reply), [], "{path}");
            let preflight = from(Method::OPTIONS, &path)
                .header(header::ACCESS_CONTROL_REQUEST_METHOD, method.as_str());
            let reply = api.send(preflight).await;
            assert_eq!(across(&reply), [], "{path}");
            assert!(reply.status >= 400, "{path}: {}", reply.status);
        }
    }
}
