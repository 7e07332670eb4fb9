use serde_json::json;

use super::*;

#[test]
fn a_refusal_is_told_in_the_server_s_words() {
    let words =
        json!({"error": "invalid_redirect_uri", "error_description": "http://x uses\nhttp"});
    let told = judged(StatusCode::BAD_REQUEST, words).unwrap_err();
    assert_eq!(told.message(), "http://x uses http");
    let told = judged(StatusCode::BAD_GATEWAY, Value::Null).unwrap_err();
    assert_eq!(told.message(), "the server answered 502 Bad Gateway");
    assert!(judged(StatusCode::CREATED, json!({})).is_ok());
}

/// An address where nobody listens: bound and let go.
fn free_address() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn where_no_server_runs_the_database_is_opened_also_below_an_issuer_s_path() {
    let folder = tempfile::tempdir().unwrap();
    let free = free_address();
    let config = || {
        let mut config = Config::with_defaults(free, &folder.path().join("data")).unwrap();
        config.issuer = Some(format!("http://{free}/auth"));
        config
    };
    LocalApi::open(&config()).await.unwrap().close().await;
    let choice = ServerChoice {
        server: None,
        config: config(),
    };
    let admin = Admin::open(choice).await.unwrap();
    let client = json!({"client_name": "x", "redirect_uris": ["https://a.example/cb"]});
    let made = admin.post("/api/admin/clients", &client).await.unwrap();
    assert!(made["client_id"].as_str().unwrap().starts_with("client_"));
    admin.close().await;
}

#[tokio::test]
async fn with_neither_server_nor_database_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let free = free_address();
    let config = Config::with_defaults(free, &folder.path().join("data")).unwrap();
    let opened = Admin::open(ServerChoice {
        server: None,
        config,
    })
    .await;
    let told = opened.err().unwrap();
    assert!(told.message().contains("no server answers"), "{told:?}");
    assert!(told.message().contains("auth-agent serve"), "{told:?}");
    assert!(!folder.path().join("data").exists());
}
