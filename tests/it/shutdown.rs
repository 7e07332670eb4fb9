//! SIGTERM: streams end, requests in flight are answered, what was answered is kept.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    log::{acts, history},
    support::{
        Authorize, Tokens,
        api::authentication,
        on_both_databases,
        process::{PATIENCE, eventually},
        raw::Raw,
    },
};

/// A call whose body has half arrived: the server is reading the rest.
struct Half {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Half {
    async fn of(to: SocketAddr, path: &str, headers: &str, body: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {to}\r\n{headers}\r\nContent-Length: {}\r\n\
             Expect: 100-continue\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(to).await.expect("the server listens");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        // It asks for the body: the call has reached whoever answers it.
        let mut asked = [0; 25];
        let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut asked)).await;
        read.expect("it asks").expect("it asks");
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        let (first, rest) = body.as_bytes().split_at(body.len() / 2);
        stream.write_all(first).await.expect("it is sent");
        let rest = rest.to_vec();
        Self { stream, rest }
    }

    async fn whole(mut self) -> Raw {
        let sent = self.stream.write_all(&self.rest).await;
        sent.expect("the connection lives");
        let answer = Raw::read(&mut self.stream).await;
        answer.expect("a request in flight is answered")
    }
}

on_both_databases! {
    async fn a_server_that_was_told_to_end_loses_nothing(env: Env) {
        let mut server = env.start(|options| { options.flag("--code-lifetime", 600); }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let (asked, page, callback) = api.code(&client, &agent).await;
        let waiting = api.authorize(&Authorize::new(&client)).await;
        let before = acts(&api, "").await;
        server.restart().await;
        let api = server.api();
        assert_eq!(acts(&api, "").await, before);
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        let reply = api.check_status(&page).await.expect(200);
        assert_eq!(reply.str("code"), callback.get("code"));
        Tokens::of(api.redeem(&client, &callback.get("code"), &asked.pkce.verifier).await);
        api.authenticate(&waiting, &agent).await.expect(200);
        assert!(!api.callback(&waiting).await.get("code").is_empty());
    }

    async fn a_request_in_flight_is_finished_and_answered(env: Env) {
        let mut server = env.start(|options| { options.flag("--code-lifetime", 600); }).await;
        let (api, to) = (server.api(), server.address());
        let client = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        let agent = api.create_agent(json!({})).await;
        let (asked, _, callback) = api.code(&client, &agent).await;
        let waiting = api.authorize(&Authorize::new(&client)).await;
        let form = format!(
            "grant_type=authorization_code&client_id={}&code={}&code_verifier={}",
            client.id, callback.get("code"), asked.pkce.verifier
        );
        let form_type = "Content-Type: application/x-www-form-urlencoded";
        let token = Half::of(to, "/token", form_type, &form).await;
        let body = authentication(&waiting.request_id, &agent).to_string();
        let cookie = format!("Content-Type: application/json\r\nCookie: {}", waiting.cookie);
        let sign_in = Half::of(to, "/api/agent/authenticate", &cookie, &body).await;
        let key = format!(
            "Content-Type: application/json\r\nAuthorization: Bearer {}", server.admin_key()
        );
        let person = json!({"agent_name": "x", "user_email": "x@people.example", "user_name": "x"});
        let create = Half::of(to, "/api/admin/agents", &key, &person.to_string()).await;

        server.process().signal("TERM");
        // It has heard: nobody new is let in.
        eventually("the server to stop listening", async || {
            TcpStream::connect(to).await.is_err().then_some(())
        })
        .await;
        assert_eq!(server.process().ended(), None, "it went without answering");
        let answers = [
            (token.whole().await, 200),
            (sign_in.whole().await, 200),
            (create.whole().await, 201),
        ];
        for (answer, status) in &answers {
            assert_eq!(answer.status, *status, "{answer:?}");
        }
        let status = server.process().end(std::time::Duration::from_secs(10)).await;
        assert!(status.success(), "{status}:\n{}", server.logs());

        server.restart_ended().await;
        let api = server.api();
        let [(tokens, _), _, (agent, _)] = &answers;
        let told = |answer: &Raw| -> Value { serde_json::from_str(&answer.body).unwrap() };
        let access_token = told(tokens)["access_token"].as_str().unwrap().to_owned();
        api.userinfo(&access_token).await.expect(200);
        let events = history(&api, &format!("stream=auth_request/{}", waiting.request_id)).await;
        assert!(events.iter().any(|event| event["type"] == "AgentAuthenticated"));
        let path = format!("/agents/{}", told(agent)["agent_id"].as_str().unwrap());
        api.admin(reqwest::Method::GET, &path, None).await.expect(200);
    }

    async fn waiting_pages_and_requests_in_flight_do_not_hold_up_the_end(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let mut streams = Vec::new();
        let mut pages = Vec::new();
        for _ in 0..30 {
            let page = api.authorize(&Authorize::new(&client)).await;
            let mut stream = api.events(&page).await;
            assert_eq!(stream.next().await.unwrap().status(), "pending");
            streams.push(stream);
            pages.push(page);
        }
        // Agents sign in while the server is told to end: each is answered, or hears nothing.
        let (begun, mut begin) = tokio::sync::mpsc::channel::<()>(pages.len());
        let calls: Vec<_> = pages
            .iter()
            .map(|page| {
                let body = authentication(&page.request_id, &agent);
                let call = api.post("/api/agent/authenticate").json(&body);
                let call = call.header("cookie", &page.cookie);
                let (id, begun) = (page.request_id.clone(), begun.clone());
                tokio::spawn(async move {
                    begun.send(()).await.unwrap();
                    let answered = call.send().await.is_ok_and(|reply| reply.status() == 200);
                    (id, answered)
                })
            })
            .collect();
        for _ in 0..pages.len() / 2 {
            begin.recv().await.unwrap();
        }
        // Ends with status 0 within ten seconds, or panics.
        server.stop().await;
        let answers: Vec<(String, bool)> =
            join_all(calls).await.into_iter().map(Result::unwrap).collect();
        for stream in streams {
            for event in stream.rest().await {
                assert_eq!(event.status(), "authenticated");
            }
        }
        server.restart().await;
        let events = history(&server.api(), "type=AgentAuthenticated").await;
        for (id, answered) in answers {
            let stream = format!("auth_request/{id}");
            let kept = events.iter().any(|event| event["stream"] == *stream);
            assert!(kept || !answered, "an answered sign-in was lost");
        }
    }

    async fn a_request_that_never_ends_does_not_hold_it_up(env: Env) {
        use tokio::io::AsyncWriteExt;
        let mut server = env.start(|_| {}).await;
        let mut open = Vec::new();
        for half in [
            "GET /api/health HTTP/1.1\r\nHost:",
            "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ngrant_type=",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let mut connection = TcpStream::connect(server.address()).await.unwrap();
            connection.write_all(half.as_bytes()).await.unwrap();
            open.push(connection);
        }
        server.api().create_client(json!({})).await;
        // Ends with status 0 within ten seconds, or panics.
        server.stop().await;
        assert!(!server.logs().contains("not closed in good order"), "{}", server.logs());
    }

    async fn sigint_ends_it_as_well(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        let mut stream = api.events(&page).await;
        assert_eq!(stream.next().await.unwrap().status(), "pending");
        server.process().signal("INT");
        let status = server.process().end(std::time::Duration::from_secs(10)).await;
        assert!(status.success(), "{status}");
        assert_eq!(stream.rest().await, []);
    }
}
