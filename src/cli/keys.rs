//! `keys`: the server's own keys, and a new master key.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Failure, Output,
    admin::Admin,
    ask::{Consent, confirmed},
    secret,
    server::ServerChoice,
    table,
};
use crate::{
    config::{Config, environment_secret},
    crypto::{MasterKey, Secret},
    http,
};

const LIST: &str = "/api/admin/keys";
const ROTATE: &str = "/api/admin/keys/rotate";
const NEW_MASTER_KEY: &str = "AUTH_AGENT_NEW_MASTER_KEY";

/// The server's own keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysJob {
    /// List the signing and derivation keys, and when each takes its next step
    #[command(after_help = "Example:\n  auth-agent keys list")]
    List(Box<ListKeys>),
    /// Make new keys, which follow the ones in use without anybody noticing
    #[command(
        after_help = "Examples:\n  auth-agent keys rotate --alg RS256\n  auth-agent keys rotate --derivation --compromised"
    )]
    Rotate(Box<RotateKeys>),
    /// Seal everything under a new master key, while no server runs
    #[command(
        after_help = "Examples:\n  auth-agent keys rewrap\n  auth-agent keys rewrap --new-key-file new-master.key"
    )]
    Rewrap(Box<RewrapKeys>),
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct ListKeys {
    #[command(flatten)]
    server: ServerChoice,
}

/// Which keys.
#[derive(Debug, Args)]
pub(crate) struct RotateKeys {
    /// Only the signing key of that algorithm [default: all three]
    #[arg(long, value_name = "ALG", value_parser = ["RS256", "ES256", "EdDSA"])]
    alg: Option<String>,
    /// The key that codes and refresh tokens are derived under, instead of the signing keys
    #[arg(long, conflicts_with = "alg")]
    derivation: bool,
    /// Somebody else may have the keys: all that was made with them dies at once
    #[arg(long)]
    compromised: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: ServerChoice,
}

impl RotateKeys {
    fn body(&self) -> Value {
        let mut body = json!({ "use": if self.derivation { "derivation" } else { "signing" } });
        if let Some(alg) = &self.alg {
            body["alg"] = json!(alg);
        }
        if self.compromised {
            body["compromised"] = json!(true);
        }
        body
    }

    fn question(&self) -> &'static str {
        if self.derivation {
            "Every sign-in under the derivation keys ends at once: all codes, refresh tokens and access tokens. Go on?"
        } else {
            "The signing keys leave the key set at once, and no token that they signed is good any more. Go on?"
        }
    }
}

/// Where the new master key comes from: a file, standard input, or `AUTH_AGENT_NEW_MASTER_KEY`.
#[derive(Debug, Args)]
pub(crate) struct RewrapKeys {
    /// File with the new master key, base64 of 32 bytes; - reads standard input [default:
    /// AUTH_AGENT_NEW_MASTER_KEY, else a random one in the place of <data dir>/master.key]
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    #[command(flatten)]
    config: Config,
}

/// Does the job.
pub(crate) async fn run(job: KeysJob, output: Output) -> Result<(), Failure> {
    match job {
        KeysJob::List(list) => {
            let admin = Admin::open(list.server).await?;
            let answer = admin.get(LIST).await;
            admin.close().await;
            tell(&answer?, output);
            Ok(())
        }
        KeysJob::Rotate(rotate) => {
            let consent = Consent::of(rotate.yes || !rotate.compromised)?;
            let (body, question) = (rotate.body(), rotate.question());
            if consent == Consent::Ask {
                confirmed(question)?;
            }
            let admin = Admin::open(rotate.server).await?;
            let answer = admin.post(ROTATE, &body).await;
            admin.close().await;
            tell(&answer?, output);
            Ok(())
        }
        KeysJob::Rewrap(job) => rewrap(*job, output).await,
    }
}

fn tell(answer: &Value, output: Output) {
    output.json(answer);
    let keys = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    let headings = ["status", "use", "alg", "key id", "created", "next step"];
    for line in table::lines(&headings, &rows) {
        output.line(line);
    }
}

/// A key, with the step that it takes next or has taken last.
fn row(key: &Value) -> Vec<String> {
    let step = [
        ("signs from", "activates_at"),
        ("kept until", "retires_at"),
        ("retired", "retired_at"),
        ("compromised", "compromised_at"),
    ];
    let step = step.iter().find(|(_, field)| key[*field].is_string());
    let step = step.map(|(words, field)| format!("{words} {}", table::text(&key[*field])));
    let fields = ["status", "use", "alg", "key_id", "created_at"];
    let mut row: Vec<String> = fields.map(|field| table::text(&key[field])).into();
    row.push(step.unwrap_or_else(|| table::text(&Value::Null)));
    row
}

/// The new key, if one is given.
fn new_master_key(job: &RewrapKeys) -> Result<Option<MasterKey>, Failure> {
    let (text, from): (Secret, String) = match &job.new_key_file {
        Some(path) if path.as_os_str() == "-" => {
            (secret::from_stdin()?, "standard input".to_owned())
        }
        Some(path) => (secret::from_file(path)?, path.display().to_string()),
        None => match environment_secret(NEW_MASTER_KEY)? {
            Some(key) => (key, NEW_MASTER_KEY.to_owned()),
            None => return Ok(None),
        },
    };
    MasterKey::from_base64(text.expose())
        .map(Some)
        .map_err(|error| Failure::usage(format!("{from}: {error}")))
}

async fn rewrap(job: RewrapKeys, output: Output) -> Result<(), Failure> {
    let new = new_master_key(&job)?;
    let mut config = job.config;
    config.read_environment()?;
    config.validate()?;
    let done = http::rewrap(&config, new).await?;
    output.json(&json!({
        "former_fingerprint": done.former, "fingerprint": done.fingerprint,
        "sealed": done.sealed, "file": done.file,
    }));
    output.line(format!(
        "Sealed {} keys under the master key of fingerprint {} instead of {}.",
        done.sealed, done.fingerprint, done.former
    ));
    match done.file {
        Some(file) => output.line(format!(
            "It is in {}: keep a copy in a safe place, nothing can be read without it. Backups need the \
             master key that was there when they were made.",
            file.display()
        )),
        None => output.line(
            "Set AUTH_AGENT_MASTER_KEY to it on every node before you start one. Backups need the master \
             key that was there when they were made.",
        ),
    }
    Ok(())
}
