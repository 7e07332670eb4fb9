//! `audit`: what happened, read from the log or followed live.

mod follow;

use clap::Args;
use serde_json::Value;

use super::{Failure, Output, admin::Admin, output::one_line, server::ServerChoice};
use crate::http::LOCAL_OPERATOR;

/// Where the log is read.
const PATH: &str = "/api/admin/audit-log";

/// Which events, and how many.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Begin after this position; --follow begins with what happens from now on
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Show so many events at most
    #[arg(
        long, value_name = "NUMBER", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["all", "follow"]
    )]
    limit: u32,
    /// Show all of them
    #[arg(long, conflicts_with = "follow")]
    all: bool,
    /// Only those of this stream
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Only those of this type, such as AgentAuthenticated
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,
    /// Only those that concern this agent
    #[arg(long = "agent", value_name = "AGENT_ID")]
    agent_id: Option<String>,
    /// Only those that concern this client
    #[arg(long = "client", value_name = "CLIENT_ID")]
    client_id: Option<String>,
    /// Only from this time on, as in 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Show events as they happen, until Ctrl-C; goes on by itself after a cut
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    server: ServerChoice,
}

/// Does the job.
pub(crate) async fn run(args: Audit, output: Output) -> Result<(), Failure> {
    for (kind, id) in [
        (&super::agent::KIND, &args.agent_id),
        (&super::client::KIND, &args.client_id),
    ] {
        id.as_deref().map(|id| kind.at(id)).transpose()?;
    }
    let mut query = Vec::new();
    for (name, value) in [
        ("stream", args.stream),
        ("type", args.type_name),
        ("agent_id", args.agent_id),
        ("client_id", args.client_id),
        ("since", args.since),
        ("until", args.until),
    ] {
        query.extend(value.map(|value| (name, value)));
    }
    let after = args.after.map(|after| after.to_string());
    let admin = Admin::open(args.server).await?;
    if args.follow {
        return match &admin {
            Admin::Remote(remote) => follow::run(remote, query, after, output).await,
            Admin::Local(_) => {
                admin.close().await;
                Err(Failure::usage(
                    "no server runs, so nothing happens that could be followed: leave out --follow, or \
                     start one with `auth-agent serve`",
                ))
            }
        };
    }
    let most = (!args.all).then(|| usize::try_from(args.limit).unwrap_or(usize::MAX));
    let page = admin.list(PATH, &query, after.as_deref(), most).await;
    admin.close().await;
    let page = page?;
    for event in &page.items {
        tell(event, output);
    }
    if let Some(next) = page.next {
        output.hint(&format!(
            "there are more: --all shows them, or --after {next}"
        ));
    }
    Ok(())
}

/// An event: a line for people, the event as it was written for programs.
fn tell(event: &Value, output: Output) {
    output.json(event);
    let text = |value: &Value| one_line(value.as_str().unwrap_or_default());
    let actor = &event["metadata"]["actor"];
    let (kind, id) = (text(&actor["type"]), text(&actor["id"]));
    let actor = match (&*kind, &*id) {
        (kind, "") => kind.to_owned(),
        // Who had no key.
        ("admin_key", LOCAL_OPERATOR) => LOCAL_OPERATOR.to_owned(),
        // Their ids say what they are.
        ("agent" | "client", id) => id.to_owned(),
        (kind, id) => format!("{} {id}", kind.replace('_', " ")),
    };
    output.line(format!(
        "{:>8}  {}  {:<20}  {}  {actor}",
        event["position"],
        text(&event["occurred_at"]),
        text(&event["type"]),
        text(&event["stream"]),
    ));
}
