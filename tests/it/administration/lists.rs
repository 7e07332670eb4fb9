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

    async fn agents_are_found_by_the_person_behind_them(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let of = async |address: &str| api.create_agent(json!({"user_email": address})).await;
        let (mut adas, mut owners) = (vec![], vec![]);
        for _ in 0..3 {
            let agent = of("ada+errands@people.example").await;
            adas.push(json!(agent.id));
            owners = vec![agent.owner_id, of("grace@people.example").await.owner_id];
        }
        let [ada, grace] = owners.try_into().unwrap();
        let page = async |query: &str| {
            let path = format!("/agents?{query}");
            let page = api.admin(Method::GET, &path, None).await.expect(200).json;
            let items = page["items"].as_array().unwrap();
            let ids: Vec<Value> = items.iter().map(|item| item["agent_id"].clone()).collect();
            (ids, page["next"].as_str().map(str::to_owned))
        };
        let nobody = auth_agent::edge::new_owner_id();
        for (query, whose) in [
            (format!("owner_id={ada}"), &*adas),
            ("user_email=ada%2Berrands%40people.example".to_owned(), &adas),
            ("user_email=ADA%2Berrands@People.Example".to_owned(), &adas),
            (format!("user_email=ada%2Berrands@people.example&owner_id={ada}"), &adas),
            (format!("user_email=ada%2Berrands@people.example&owner_id={grace}"), &[]),
            (format!("owner_id={nobody}"), &[]),
            ("user_email=nobody@people.example".to_owned(), &[]),
        ] {
            assert_eq!(page(&query).await, (whose.to_vec(), None), "{query}");
        }
        // In pages like any list.
        let (first, next) = page(&format!("owner_id={ada}&limit=2")).await;
        assert_eq!(first, adas[..2]);
        let rest = format!("owner_id={ada}&limit=2&after={}", next.unwrap());
        assert_eq!(page(&rest).await, (adas[2..].to_vec(), None));

        for (query, told) in [
            ("owner_id=ada", "owner_id is "),
            ("user_email=ada", "user_email is not an address"),
            ("user_email=a@b.example&user_email=a@b.example", "user_email"),
            ("owner=x", "expected limit, after, owner_id, user_email"),
        ] {
            let reply = api.admin(Method::GET, &format!("/agents?{query}"), None).await;
            reply.refused(400, "invalid_request");
            assert!(reply.str("error_description").contains(told), "{query}: {}", reply.text);
        }

        // By the address that the person has now; once they are erased by none.
        let path = format!("/owners/{ada}");
        let moved = json!({"user_email": "ada@moved.example"});
        api.admin(Method::PUT, &path, Some(moved)).await.expect(200);
        assert_eq!(page("user_email=ada%2Berrands@people.example").await, (vec![], None));
        assert_eq!(page("user_email=ada@moved.example").await, (adas.clone(), None));
        api.admin(Method::DELETE, &path, None).await.expect(204);
        assert_eq!(page("user_email=ada@moved.example").await, (vec![], None));
        assert_eq!(page(&format!("owner_id={ada}")).await, (adas, None));
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
                let page = api.admin(Method::GET, &path, None).await;
                if kind == "audit-log" {
                    // A log has no such place: it was put back since.
                    page.refused(400, "invalid_request");
                } else {
                    let empty = json!({"items": [], "next": null});
                    assert_eq!(page.expect(200).json, empty, "{kind} after {after}");
                }
            }
        }
    }
}
