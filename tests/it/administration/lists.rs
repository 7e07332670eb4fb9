//! Lists: whole, in pages, within bounds.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, on_both_databases};

/// The ids of a whole list, page by page.
async fn walked(api: &Api, kind: &str, limit: usize) -> Vec<Value> {
    let member = format!("{}_id", kind.trim_end_matches('s'));
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/{kind}?limit={limit}{after}");
        let page = api.admin(Method::GET, &path, None).await.expect(200).json;
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item[&member].clone()));
        match page["next"].as_str() {
            Some(next) => {
                assert_eq!(items.len(), limit, "a page with a next one is full");
                after = format!("&after={next}");
            }
            None => {
                assert_eq!(page["next"], Value::Null);
                return ids;
            }
        }
    }
}

on_both_databases! {
    async fn pages_put_together_are_the_whole_list_in_the_order_of_registration(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (mut clients, mut agents, mut owners) = (vec![], vec![], vec![]);
        for _ in 0..6 {
            let public = json!({"token_endpoint_auth_method": "none"});
            clients.push(json!(api.create_client(public).await.id));
            let agent = api.create_agent(json!({})).await;
            agents.push(json!(agent.id));
            owners.push(json!(agent.owner_id));
        }
        for (kind, all) in [("clients", clients), ("agents", agents), ("owners", owners)] {
            for limit in [1, 2, 3, 5, 6, 7, 500] {
                assert_eq!(walked(&api, kind, limit).await, all, "{kind} by {limit}");
            }
            // What was registered meanwhile comes last, not in between.
            let page = api.admin(Method::GET, &format!("/{kind}?limit=4"), None).await.json;
            let next = page["next"].as_str().unwrap();
            let path = format!("/{kind}?after={next}");
            let rest = api.admin(Method::GET, &path, None).await.expect(200).json;
            assert_eq!(rest["items"].as_array().unwrap().len(), 2);
        }
    }

    async fn fifty_come_unless_more_are_asked_for(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        for _ in 0..51 {
            api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        }
        let page = api.admin(Method::GET, "/clients", None).await.expect(200).json;
        assert_eq!(page["items"].as_array().unwrap().len(), 50);
        let path = format!("/clients?after={}", page["next"].as_str().unwrap());
        let rest = api.admin(Method::GET, &path, None).await.expect(200).json;
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    }

    async fn a_limit_or_cursor_that_is_none_is_named(env: Env) {
        let api = env.api().await;
        for kind in ["clients", "agents", "owners", "audit-log"] {
            for limit in ["1", "500"] {
                let path = format!("/{kind}?limit={limit}");
                api.admin(Method::GET, &path, None).await.expect(200);
            }
            let wrong = ["0", "501", "-1", "1.5", "x", "99999999999999999999", "1%00", "%ff"];
            for (name, value) in wrong.map(|value| ("limit", value)).into_iter().chain(
                ["-1", "x", "99999999999999999999", "1.5", "%00"].map(|value| ("after", value)),
            ) {
                let path = format!("/{kind}?{name}={value}");
                let reply = api.admin(Method::GET, &path, None).await;
                reply.refused(400, "invalid_request");
                let encoded = value.contains('%');
                assert!(encoded || reply.str("error_description").contains(name), "{}", reply.text);
            }
            let twice = format!("/{kind}?limit=1&limit=1");
            api.admin(Method::GET, &twice, None).await.refused(400, "invalid_request");
            // The far end is an empty page, on every database.
            for after in ["9223372036854775807", "18446744073709551615"] {
                let path = format!("/{kind}?after={after}");
                let page = api.admin(Method::GET, &path, None).await.expect(200).json;
                assert_eq!(page, json!({"items": [], "next": null}), "{kind} after {after}");
            }
        }
    }
}
