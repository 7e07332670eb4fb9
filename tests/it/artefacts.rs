//! Codes and refresh tokens are derived and not stored: what is not the very one is nothing.

use std::collections::HashSet;

use auth_agent::{
    crypto::{ArtefactKind, DerivationKeys, MasterKey},
    edge,
};
use serde_json::json;

use crate::{
    sql::sql,
    support::{
        Agent, Api, Authorize, Backend, Client, Options, SignIn, TestServer, Tokens,
        on_both_databases,
        process::{PATIENCE, Process, eventually},
    },
};

async fn both(api: &Api) -> (Client, Agent) {
    (
        api.create_client(json!({})).await,
        api.create_agent(json!({})).await,
    )
}

/// A sign-in that is done, and the code of another that waits to be redeemed.
async fn artefacts(api: &Api) -> (Client, SignIn, Authorize, String) {
    let (client, agent) = both(api).await;
    let done = api.sign_in(&client, &agent).await;
    let (asked, _, callback) = api.code(&client, &agent).await;
    (client, done, asked, callback.get("code"))
}

fn long_lived(options: &mut Options) {
    options
        .flag("--code-lifetime", 600)
        .flag("--refresh-grace", 300);
}

/// Neither a code nor a refresh token.
async fn is_nothing(api: &Api, client: &Client, asked: &Authorize, text: &str) {
    api.redeem(client, text, &asked.pkce.verifier)
        .await
        .refused(400, "invalid_grant");
    api.refresh(client, text)
        .await
        .refused(400, "invalid_grant");
    assert!(!api.is_active(client, text).await);
}

on_both_databases! {
    async fn a_code_is_no_refresh_token_and_a_refresh_token_no_code(env: Env) {
        let api = env.api().await;
        let (client, done, asked, code) = artefacts(&api).await;
        let token = done.tokens.refresh();
        api.refresh(&client, &code).await.refused(400, "invalid_grant");
        api.redeem(&client, token, &asked.pkce.verifier).await.refused(400, "invalid_grant");
        let verifier = &done.asked.pkce.verifier;
        api.redeem(&client, token, verifier).await.refused(400, "invalid_grant");
        // Another label does not make it one of the other kind: the kind is in the MAC.
        let (code_body, token_body) = (&code["ac_".len()..], &token["rt_".len()..]);
        is_nothing(&api, &client, &asked, &format!("rt_{code_body}")).await;
        is_nothing(&api, &client, &done.asked, &format!("ac_{token_body}")).await;
        let redeemed = &done.code["ac_".len()..];
        is_nothing(&api, &client, &done.asked, &format!("rt_{redeemed}")).await;
        assert!(api.is_active(&client, token).await);
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    }

    async fn one_byte_changed_anywhere_is_refused(env: Env) {
        let server = env.start(long_lived).await;
        let api = server.api();
        let (client, done, asked, code) = artefacts(&api).await;
        for artefact in [&*code, done.tokens.refresh()] {
            for place in 0..artefact.len() {
                let mut bytes = artefact.as_bytes().to_vec();
                bytes[place] = if bytes[place] == b'b' { b'c' } else { b'b' };
                let changed = String::from_utf8(bytes).unwrap();
                let reply = if artefact == code {
                    api.redeem(&client, &changed, &asked.pkce.verifier).await
                } else {
                    api.refresh(&client, &changed).await
                };
                reply.refused(400, "invalid_grant");
            }
            for text in [
                format!("{artefact}="), format!("{artefact} "), format!(" {artefact}"),
                format!("{artefact}."), artefact.to_uppercase(), artefact.replace('.', ".."),
                artefact[..artefact.len() - 1].to_owned(), artefact[1..].to_owned(),
            ] {
                is_nothing(&api, &client, &asked, &text).await;
            }
        }
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    }

    async fn another_key_id_is_refused(env: Env) {
        let api = env.api().await;
        let (client, done, asked, code) = artefacts(&api).await;
        for artefact in [&*code, done.tokens.refresh()] {
            let (id, rest) = artefact[3..].split_once('.').unwrap();
            let longer = format!("{id}{id}");
            for other in ["", "0", "2", "zz", &longer, "0123456789abcdefg", "-", "%"] {
                let text = format!("{}{other}.{rest}", &artefact[..3]);
                is_nothing(&api, &client, &asked, &text).await;
            }
        }
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    }

    async fn of_one_request_another_requests_artefact_is_refused(env: Env) {
        let api = env.api().await;
        let (client, done, asked, code) = artefacts(&api).await;
        let swapped = |mine: &str, theirs: &str| {
            let mine: Vec<&str> = mine.split('.').collect();
            let theirs: Vec<&str> = theirs.split('.').collect();
            format!("{}.{}.{}", mine[0], theirs[1], mine[2])
        };
        is_nothing(&api, &client, &asked, &swapped(&code, &done.code)).await;
        is_nothing(&api, &client, &asked, &swapped(&done.code, &code)).await;
        is_nothing(&api, &client, &asked, &swapped(done.tokens.refresh(), &code)).await;
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    }

    async fn what_another_issuer_made_from_the_same_database_is_refused(env: Env) {
        let mut server = env.start(long_lived).await;
        let issuer = server.issuer();
        let (client, done, asked, code) = artefacts(&server.api()).await;
        server.restart_with(|options| { options.issuer("https://other.example"); }).await;
        let api = server.api();
        is_nothing(&api, &client, &asked, &code).await;
        is_nothing(&api, &client, &asked, done.tokens.refresh()).await;
        assert!(!api.is_active(&client, &done.tokens.access_token).await);
        api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");

        server.restart_with(|options| { options.issuer(issuer); }).await;
        let api = server.api();
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    }

    async fn what_came_after_a_backup_is_nothing_once_that_is_restored(env: Env) {
        let mut server = env.start(long_lived).await;
        let api = server.api();
        let (client, agent) = both(&api).await;
        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        let head = sql(&server, "select max(position) from events").await.remove(0);
        api.authenticate(&page, &agent).await.expect(200);
        let lost = api.callback(&page).await.get("code");
        // Back to the moment before: the very same sign-in happens again, and yields another code.
        server.stop().await;
        sql(&server, &format!(
            "delete from events where position > {head}; delete from requests; delete from agents;
             delete from clients; delete from owners;
             update checkpoints set position = 0 where name = 'inline';
             update checkpoints set position = 0 where position > {head}"
        )).await;
        server.restart().await;
        let api = server.api();
        api.redeem(&client, &lost, &asked.pkce.verifier).await.refused(400, "invalid_grant");
        api.authenticate(&page, &agent).await.expect(200);
        api.redeem(&client, &lost, &asked.pkce.verifier).await.refused(400, "invalid_grant");
        let code = api.callback(&page).await.get("code");
        assert_ne!(code, lost);
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    }

    async fn leaving_the_derivation_keys_out_of_a_copied_database_leaves_nothing_usable(env: Env) {
        let mut server = env.start(long_lived).await;
        let (client, done, asked, code) = artefacts(&server.api()).await;
        server.stop().await;
        let column = "select sealed from derivation_keys";
        let sealed = sql(&server, column).await.remove(0);
        sql(&server, "delete from derivation_keys").await;
        does_not_start(&server).await;

        // Even somebody who holds the master key, and puts a key in its place, gets nothing.
        let master_key = master_key(&server);
        let (id, _) = code[3..].split_once('.').unwrap();
        let other = master_key.seal(&format!("derivation_key/{id}"), &[7; 32], edge::random());
        sql(&server, &format!("insert into derivation_keys values ('{id}', '{other}', 0)")).await;
        server.restart().await;
        let api = server.api();
        is_nothing(&api, &client, &asked, &code).await;
        is_nothing(&api, &client, &asked, done.tokens.refresh()).await;

        server.stop().await;
        sql(&server, &format!("update derivation_keys set sealed = '{sealed}'")).await;
        server.restart().await;
        let api = server.api();
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    }

    async fn two_events_never_yield_the_same_artefact(env: Env) {
        let server = env.start(|options| { options.flag("--code-lifetime", 1); }).await;
        let api = server.api();
        let (client, agent) = both(&api).await;
        let mut artefacts = HashSet::new();
        let mut add = |text: &str| {
            let mac = text.rsplit('.').next().unwrap().to_owned();
            assert!(artefacts.insert(mac), "{text} was issued twice");
        };
        for _ in 0..10 {
            let (_, page, callback) = api.code(&client, &agent).await;
            let first = callback.get("code");
            add(&first);
            let next = eventually("the next code", async || {
                let code = api.check_status(&page).await.expect(200).str("code").to_owned();
                (code != first).then_some(code)
            })
            .await;
            add(&next);
        }
    }
}

/// The master key, as an operator has it.
pub(crate) fn master_key(server: &TestServer) -> MasterKey {
    let text = match server.backend() {
        Backend::Sqlite => std::fs::read_to_string(server.data_dir().join("master.key")).unwrap(),
        Backend::Postgres => {
            let command = server.command();
            let mut settings = command.get_envs();
            let found = settings.find(|(name, _)| *name == "AUTH_AGENT_MASTER_KEY");
            found.unwrap().1.unwrap().to_str().unwrap().to_owned()
        }
    };
    MasterKey::from_base64(text.trim()).unwrap()
}

/// `serve` refuses a stopped server's data, with one line.
async fn does_not_start(server: &TestServer) {
    let mut process = Process::start(server.command().arg("serve"));
    let status = process.end(PATIENCE).await;
    let output = process.output();
    let said = |text: &str| text.lines().filter(|line| !line.starts_with('{')).count();
    let text = eventually("the reason", async || {
        let text = output.text();
        (text.ends_with('\n') && said(&text) > 0).then_some(text)
    })
    .await;
    assert_eq!((status.code(), said(&text)), (Some(2), 1), "{text}");
}

#[test]
fn every_event_kind_request_issuer_and_key_yields_an_artefact_of_its_own() {
    let mut seen = HashSet::new();
    let requests: Vec<_> = (0..3)
        .map(|_| edge::new_request_id(edge::Clock.now()))
        .collect();
    let events: Vec<_> = (0..500).map(|_| edge::new_event_id()).collect();
    for issuer in ["https://one.example", "https://two.example"] {
        for key in [[1; 32], [2; 32]] {
            let keys = DerivationKeys::new(issuer, vec![("1".into(), key)]).unwrap();
            for kind in [ArtefactKind::AuthorizationCode, ArtefactKind::RefreshToken] {
                for request in &requests {
                    for event in &events {
                        let text = keys.issue(kind, "1", request, event).unwrap();
                        assert_eq!(Some(&text), keys.issue(kind, "1", request, event).as_ref());
                        let mac = text.rsplit('.').next().unwrap().to_owned();
                        assert!(seen.insert(mac), "{text} was issued twice");
                    }
                }
            }
        }
    }
}
