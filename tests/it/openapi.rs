//! The server's description of itself: whole, valid, and the same in all its forms.

use std::collections::{BTreeSet, HashSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Backend, TestServer,
    described::{document, example_fits},
    on_both_databases, routes,
    server::{PROGRAM, tool},
};

/// Every operation with its path and method.
fn operations() -> Vec<(String, String, &'static Value)> {
    let mut operations = Vec::new();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((path.clone(), method.clone(), operation));
        }
    }
    operations
}

/// Every value at any depth.
fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a Value)) {
    see(value);
    match value {
        Value::Object(members) => members.values().for_each(|member| walk(member, see)),
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        _ => {}
    }
}

#[test]
fn every_path_and_method_of_the_router_is_described_and_nothing_else() {
    let described: BTreeSet<(String, String)> = operations()
        .into_iter()
        .map(|(path, method, _)| (path, method))
        .collect();
    assert_eq!(described, routes::operations());
}

#[test]
fn every_operation_has_a_name_of_its_own_a_group_and_words() {
    let tags: HashSet<&str> = document()["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let mut used = HashSet::new();
    let mut names = HashSet::new();
    for (path, method, operation) in operations() {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} twice");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(tags.contains(tag), "{method} {path}: {tag}");
        used.insert(tag);
        assert!(!operation["summary"].as_str().unwrap().is_empty());
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let said = answer["description"].as_str().unwrap();
            assert!(!said.is_empty(), "{method} {path} {status}");
        }
    }
    assert_eq!(used, tags, "a group without operations");
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let mut used = HashSet::from(["SignInStatus", "Event"]);
    walk(document, &mut |value| {
        if let Some(reference) = value["$ref"].as_str() {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
            used.insert(reference.rsplit('/').next().unwrap());
        }
    });
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(used.contains(&**name), "{name} is used nowhere");
    }
}

#[test]
fn every_path_parameter_is_described() {
    for (path, method, operation) in operations() {
        let named: BTreeSet<&str> = path
            .split('{')
            .skip(1)
            .map(|part| part.split('}').next().unwrap())
            .collect();
        let parameters = operation["parameters"].as_array();
        let told: BTreeSet<&str> = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, told, "{method} {path}");
    }
}

#[test]
fn every_example_fits_its_schema() {
    let mut seen = 0;
    for (path, method, operation) in operations() {
        let answers = operation["responses"].as_object().unwrap().values();
        for (index, told) in answers.chain([&operation["requestBody"]]).enumerate() {
            for (media_type, content) in told["content"].as_object().into_iter().flatten() {
                if content["example"].is_null() {
                    continue;
                }
                let place = format!("example {method} {path} {index} {media_type}");
                let fits = example_fits(&place, &content["schema"], &content["example"]);
                assert_eq!(fits, Ok(()), "{place}");
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

/// By the validator that others use; `./test` installs it.
#[test]
fn it_is_valid_openapi() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, document().to_string()).unwrap();
    let checked = std::process::Command::new(tool("python/bin/python"))
        .args(["-m", "openapi_spec_validator", "--schema", "3.1"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}{checked:?}");
}

#[test]
fn the_command_needs_no_server() {
    let printed = std::process::Command::new(PROGRAM)
        .args([
            "openapi",
            "--json",
            "--issuer",
            "https://auth.example/tenant",
        ])
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(
        document["servers"],
        json!([{ "url": "https://auth.example/tenant" }])
    );
    let well_known = "/.well-known/oauth-authorization-server/tenant";
    assert_eq!(
        document["paths"][well_known]["servers"],
        json!([{ "url": "https://auth.example" }])
    );
}

#[tokio::test]
async fn a_server_describes_itself_below_its_issuer_s_path() {
    let server = TestServer::start(Backend::Sqlite, |options| {
        options.issuer("https://auth.example/tenant");
    })
    .await;
    let api = server.api();
    let told = api.send(api.get("/openapi.json")).await.expect(200);
    assert_eq!(
        told.json["servers"][0]["url"],
        "https://auth.example/tenant"
    );
    let page = api.send(api.get("/openapi")).await.expect(200);
    assert!(page.text.contains("href=\"/tenant/openapi.json\""));
}

on_both_databases! {
    async fn it_is_served_and_shown_as_it_is_printed(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let served = api.send(api.get("/openapi.json")).await.expect(200);
        let printed = document();
        assert_eq!(served.json["servers"][0]["url"], server.issuer());
        for part in ["openapi", "info", "tags", "paths"] {
            assert_eq!(served.json[part], printed[part], "{part}");
        }
        assert_eq!(served.header("cache-control"), "public, max-age=300");
        // Discovery is open to other origins; this is not (http-api.md section 5).
        assert_eq!(served.header("access-control-allow-origin"), "");

        let page = api.send(api.get("/openapi")).await.expect(200);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        assert!(!page.text.contains("<script") && !page.text.contains(" style="));
        for (_, _, operation) in operations() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(page.text.contains(&format!("<article id=\"{name}\">")), "{name}");
            assert!(page.text.contains(&format!("href=\"#{name}\"")), "{name}");
        }
        for name in document()["components"]["schemas"].as_object().unwrap().keys() {
            assert!(page.text.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
        for path in ["/openapi.json", "/openapi"] {
            api.send(api.call(Method::HEAD, path)).await.expect(200);
            api.send(api.post(path)).await.refused(405, "method_not_allowed");
        }
    }
}
