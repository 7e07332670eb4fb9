//! `demo`: a server, a sample website and an agent on this machine, with nothing to configure and
//! nothing left behind.
//!
//! The server is on `127.0.0.1` and the website on `localhost`, so that their cookies stay apart as
//! those of two real sites do.

mod auto;
mod browser;
mod feed;
mod folder;
mod sse;
mod stage;
mod website;

use std::{future::Future, pin::pin, time::Duration};

use clap::Args;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;

use super::{Failure, Output, logging, signals::StopSignals};
use feed::Feed;
use stage::Stage;

/// A sign-in that plays by itself takes well under a second; beyond this something hangs.
const PLAY_WITHIN: Duration = Duration::from_secs(60);
/// How long the last events may take to show once the play is over.
const LAST_EVENTS: Duration = Duration::from_millis(100);

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Port of the server [default: 3000, or the next one that is free]
    #[arg(long)]
    port: Option<u16>,
    /// Port of the sample website [default: 3001, or the next one that is free]
    #[arg(long, value_name = "PORT")]
    website_port: Option<u16>,
    /// Play browser and agent too, and end: status 0 only if the website holds a verified ID token
    #[arg(long)]
    auto: bool,
}

/// Does the job.
pub(crate) async fn run(args: &Demo, output: Output) -> Result<(), Failure> {
    if args
        .port
        .is_some_and(|port| port != 0 && args.website_port == Some(port))
    {
        return Err(Failure::usage(
            "--port and --website-port are the same: give the website another one",
        ));
    }
    drop(logging::start(None, None, LevelFilter::WARN, None)?);
    let mut signals = StopSignals::catch()
        .map_err(|error| Failure::failed(format!("cannot catch signals: {error}")))?;
    let stage = Stage::set(args.port, args.website_port).await?;
    let done = perform(args, &stage, &mut signals, output).await;
    stage.strike().await;
    done
}

async fn perform(
    args: &Demo,
    stage: &Stage,
    signals: &mut StopSignals,
    output: Output,
) -> Result<(), Failure> {
    let events = pin!(stage.server.events());
    let feed = Feed::new(stage, output, !args.auto);
    output.json(&json!({
        "server": stage.server.issuer(), "website": stage.website.address(),
        "agent_id": stage.agent.id,
    }));
    output.line("Auth Agent demo, on a fresh database that is gone when it ends");
    output.line(format!("  server   {}", stage.server.issuer()));
    output.line(format!("  website  {}", stage.website.address()));
    if args.auto {
        output.line("\nBrowser and agent play by themselves:");
        let play = async {
            tokio::time::timeout(PLAY_WITHIN, auto::play(stage, output))
                .await
                .unwrap_or_else(|_| {
                    let seconds = PLAY_WITHIN.as_secs();
                    Err(Failure::failed(format!(
                        "the sign-in was not done after {seconds} s"
                    )))
                })
        };
        return alongside(play, events, feed, signals).await;
    }
    output.line(format!(
        "\nOpen {} in a browser and press the button.",
        stage.website.address()
    ));
    output.line("The line that makes the agent sign in appears here. Ctrl-C ends the demo.\n");
    let until_stopped = std::future::pending::<Result<(), Failure>>();
    let ended = alongside(until_stopped, events, feed, signals).await;
    output.line("\nEnded; nothing is left behind.");
    // Ctrl-C is how a demo ends.
    ended.or(Ok(()))
}

/// Does something while the events are shown, until it is done or a signal comes.
async fn alongside(
    doing: impl Future<Output = Result<(), Failure>>,
    mut events: impl Stream<Item = Value> + Unpin,
    mut feed: Feed<'_>,
    signals: &mut StopSignals,
) -> Result<(), Failure> {
    let mut doing = pin!(doing);
    let done = loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => feed.show(&event),
            done = &mut doing => break done,
            () = signals.next() => break Err(Failure::failed("stopped before it was done")),
        }
    };
    while let Ok(Some(event)) = tokio::time::timeout(LAST_EVENTS, events.next()).await {
        feed.show(&event);
    }
    done
}
