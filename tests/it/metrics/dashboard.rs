//! The dashboard in `docs/` shows what there is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Authorize, Backend, TestServer};

const DASHBOARD: &str = include_str!("../../../docs/grafana-dashboard.json");

/// The metrics that a query names.
fn named(query: &str, names: &mut BTreeSet<String>) {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    names.extend(
        words
            .filter(|word| word.starts_with("auth_agent_"))
            .map(str::to_owned),
    );
}

fn queries(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(query) if name == "expr" || name == "query" => {
                        named(query, names)
                    }
                    value => queries(value, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, names)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_dashboard_exists_and_every_metric_is_on_it() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("the dashboard is JSON");
    let mut shown = BTreeSet::new();
    queries(&dashboard, &mut shown);
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let api = server.api();
    let (client, agent) = (
        api.create_client(json!({})).await,
        api.create_agent(json!({})).await,
    );
    let page = api.authorize(&Authorize::new(&client)).await;
    api.authenticate(&page, &agent).await.expect(200);
    let counted = super::counted(&api).await;
    let exist: BTreeSet<String> = counted.types.keys().cloned().collect();
    let base = |name: &String| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|part| name.strip_suffix(part))
            .find(|family| exist.contains(*family))
            .map_or_else(|| name.clone(), str::to_owned)
    };
    let shown: BTreeSet<String> = shown.iter().map(base).collect();
    let unknown: Vec<_> = shown.difference(&exist).collect();
    assert!(
        unknown.is_empty(),
        "the dashboard shows {unknown:?}, which do not exist"
    );
    let missing: Vec<_> = exist.difference(&shown).collect();
    assert!(
        missing.is_empty(),
        "the dashboard does not show {missing:?}"
    );
}
