//! `serve`: runs the server until it is told to stop.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    time::Duration,
};

use clap::Args;
use serde_json::json;
use tokio::time::Instant;
use tracing_subscriber::filter::LevelFilter;

use super::{
    Failure, Output, logging,
    output::{quoted, this_program},
    reload::Reload,
    signals::StopSignals,
};
use crate::{
    config::Config,
    http::{FirstStart, Server, StartError},
};

/// A server that was told to stop is gone within ten seconds; this leaves some for the rest.
const STOPS_WITHIN: Duration = Duration::from_millis(9_500);
/// How long the last traces may take on their way, of that.
#[cfg(feature = "otel")]
const TRACES_WITHIN: Duration = Duration::from_secs(2);

/// The server's settings.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Make a new, empty database although the data folder is of one that is missing: for one start, after
    /// which nothing of the former one is known
    #[arg(long)]
    new_database: bool,
    #[command(flatten)]
    config: Config,
}

/// Does the job: returns when SIGTERM or SIGINT has come and everything is finished and committed.
pub(crate) async fn run(serve: Serve, args: &[OsString], output: Output) -> Result<(), Failure> {
    let mut config = serve.config;
    config.read_environment()?;
    config.validate()?;
    #[cfg(feature = "otel")]
    let (traces, spans) = super::traces::Traces::start()?;
    #[cfg(not(feature = "otel"))]
    let spans = None;
    let (format, filter) = (config.log_format, Some(config.log.as_str()));
    let set_filter = logging::start(format, filter, LevelFilter::INFO, spans)?;
    let mut signals = StopSignals::catch()
        .map_err(|error| Failure::failed(format!("cannot catch signals: {error}")))?;

    let reload = Reload::catch(args, set_filter)?;

    // A first admin key is shown to a person who is there to see it, or kept in a file.
    let shows_key = io::stdout().is_terminal() && !output.is_json();
    let first = FirstStart {
        keeps_admin_key: !shows_key,
        new_database: serve.new_database,
    };
    let server = tokio::select! {
        started = Server::start(&config, first) => started.map_err(|error| match error {
            StartError::Listen(..) => {
                Failure::usage(format!("{error}: choose another address with --listen"))
            }
            StartError::AdminListen(..) => {
                Failure::usage(format!("{error}: choose another address with --admin-listen"))
            }
            error => error.into(),
        })?,
        () = signals.next() => return Ok(()),
    };
    announce(&server, &config, shows_key, output);
    tracing::info!(issuer = server.issuer(), listen = %server.local_addr(), "serving");

    let stop = server.stop_token();
    let reloading = reload.follow(server.reloader());
    let mut running = std::pin::pin!(server.wait());
    tokio::select! {
        // Nobody asked for it: the server has said why.
        () = &mut running => return Err(Failure::failed("the server cannot go on: see its log")),
        () = signals.next() => {}
        () = reloading => {}
    }
    tracing::info!("stopping: ending streams, finishing requests in flight");
    stop.cancel();
    let until = Instant::now() + STOPS_WITHIN;
    let ended = tokio::select! {
        () = &mut running => {
            tracing::info!("stopped");
            Ok(())
        }
        () = signals.next() => Err(Failure::failed("stopped at once by a second signal")),
        () = tokio::time::sleep_until(until) => {
            Err(Failure::failed("did not finish in time and was stopped; nothing that was answered is lost"))
        }
    };
    #[cfg(feature = "otel")]
    if let (Some(traces), Ok(())) = (traces, &ended) {
        let left = until.saturating_duration_since(Instant::now());
        traces.finish(left.min(TRACES_WITHIN)).await;
    }
    ended
}

/// Says what the start did, and after the first one what to try next.
fn announce(server: &Server, config: &Config, shows_key: bool, output: Output) {
    let (issuer, address) = (server.issuer(), server.local_addr());
    output.json(&json!({
        "issuer": issuer, "listen": address, "did": server.notices(),
    }));
    output.line(format!(
        "Auth Agent is serving {issuer}, listening on {address}. Stop it with Ctrl-C."
    ));
    if server.notices().is_empty() {
        return;
    }
    output.line("\nOn this first start it");
    for notice in server.notices() {
        output.line(format!("  {notice}"));
    }
    let key = server.first_admin_key().filter(|_| shows_key);
    if let Some(key) = key {
        output.line(format!(
            "  made the first admin key, shown this once: {}",
            key.expose()
        ));
    }
    let program = this_program();
    let found = if config.known_issuer().as_deref() == Some(DEFAULT_ISSUER) {
        String::new()
    } else {
        format!(" --server {issuer}")
    };
    // Settings rather than --server: a website is set up with the issuer.
    let administers = match server.administration() {
        None => found.clone(),
        Some(address) => format!(
            "{} --admin-listen {address}",
            found.replacen("--server", "--issuer", 1)
        ),
    };
    let folder = match config.data_dir.to_string_lossy() {
        folder if folder == DEFAULT_DATA_DIR || key.is_some() => String::new(),
        folder => format!(" --data-dir {}", quoted(&folder)),
    };
    output.line("\nTry next, in another terminal:");
    if key.is_some() {
        output.line("  export AUTH_AGENT_ADMIN_KEY=<the key above>");
    }
    output.line(format!(
        "  {program} client create --name 'My website' --redirect-uri http://localhost:8080/callback \
         --secret-file client.secret{administers}{folder}"
    ));
    output.line(format!(
        "  {program} agent create --name 'My agent' --user-email you@example.com --user-name 'Your Name' \
         --secret-file agent.secret{administers}{folder}"
    ));
    output.line(format!(
        "  {program} client try <client id> --secret-file client.secret{administers}{folder}"
    ));
    output.line("and once the address that it shows is open in a browser, while the page waits:");
    output.line(format!(
        "  {program} sign-in <address of the page> --agent-id <agent id> --secret-file agent.secret \
         --model <model>{found}"
    ));
    if issuer.starts_with("https:") && config.trusted_proxies().is_empty() {
        output.line(
            "  adding the waiting browser's cookie with --cookie-file: without --trusted-proxies nothing \
             else tells where a call comes from",
        );
    }
}

/// The server that jobs look for when nothing is set.
const DEFAULT_ISSUER: &str = "http://127.0.0.1:3000";
/// The folder that jobs look into when nothing is set.
const DEFAULT_DATA_DIR: &str = "./data";
