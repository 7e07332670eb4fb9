//! An agent's library that is in use already, unmodified: `auth-agent-sdk` 0.0.3 for Python.

use std::{net::Ipv4Addr, path::PathBuf};

use serde_json::{Value, json};

use super::{
    driver::{Browser, Scripts},
    proxy::Proxy,
    scene::Scene,
};
use crate::support::{
    Authorize,
    process::{PATIENCE, Process},
    server::tool,
};

/// It refuses the names `localhost` and `127.0.0.1`.
const ISSUER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[tokio::test]
async fn the_existing_python_library_signs_in_unmodified() {
    let browser = Browser::start(Scripts::On).await;
    let proxy = Proxy::between(ISSUER, Ipv4Addr::LOCALHOST).await;
    let scene = Scene::start_with(browser, proxy, |_| {}).await;
    scene.sees_it_waiting().await;
    let own_page = Authorize::new(&scene.client);
    let task = json!({
        "agent_id": scene.agent.id,
        "agent_secret": scene.agent.secret,
        "model": "gpt-4",
        "page_url": scene.browser.url().await,
        "page_html": scene.browser.source().await,
        "authorization_url": format!("{}/authorize?{}", scene.proxy.url(), own_page.query()),
    });
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/auth-agent-sdk/sign_in.py"
    );
    let mut command = std::process::Command::new(tool("python/bin/python"));
    command
        .arg(PathBuf::from(script))
        .env("SIGN_IN", task.to_string());
    let mut process = Process::start(&mut command);
    let learnt: Value = process
        .line("what it learnt", |line| serde_json::from_str(line).ok())
        .await;
    let status = process.end(PATIENCE).await;
    assert!(status.success(), "{status}:\n{}", process.output().text());

    assert_eq!(learnt["request_id"], json!(scene.request_id));
    assert_eq!(learnt["status"], "authenticated");
    // It opens pages of its own without keeping their cookies: nobody but a browser is given a code.
    assert_eq!(learnt["own_page"], json!({ "status": "authenticated" }));
    scene.is_home_with_a_code().await;
    let log = scene.log().await;
    let signed_in = &log[1]["payload"];
    assert_eq!(
        (&signed_in["agent_id"], &signed_in["model"]),
        (&json!(scene.agent.id), &json!("gpt-4"))
    );
    scene.browser.close().await;
}
