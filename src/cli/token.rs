//! `token`: sign-ins that are alive, and ending one.

use clap::{Args, Subcommand};

use super::{
    Failure, Output,
    thing::{self, Ending, Kind, Listing},
};

/// Active grants as the API has them. One sign-in is one grant, by the id of its request.
pub(crate) const KIND: Kind = Kind {
    word: "sign-in",
    job: "token",
    prefix: "req_",
    path: "/api/admin/tokens",
    id: "sid",
    name: "",
    has_sign_ins: false,
    secret: "",
    columns: &[
        ("sid", "sid"),
        ("agent id", "agent_id"),
        ("client id", "client_id"),
        ("model", "model"),
        ("scope", "scope"),
        ("issued", "issued_at"),
        ("expires", "expires_at"),
    ],
    look: "token list",
};

/// What to do with the tokens of a sign-in.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenJob {
    /// List the sign-ins whose tokens are alive
    #[command(after_help = "Example:\n  auth-agent token list --agent agent_0123…")]
    List(Box<ListTokens>),
    /// End a sign-in, with every token of it. Asks first
    #[command(after_help = "Example:\n  auth-agent token revoke req_0123…")]
    Revoke(Box<Ending>),
}

/// Whose sign-ins.
#[derive(Debug, Args)]
pub(crate) struct ListTokens {
    /// Only those of this agent
    #[arg(long = "agent", value_name = "AGENT_ID")]
    agent_id: Option<String>,
    /// Only those at this client
    #[arg(long = "client", value_name = "CLIENT_ID")]
    client_id: Option<String>,
    /// Only those of this person's agents
    #[arg(long = "owner", value_name = "OWNER_ID")]
    owner_id: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

/// Does the job.
pub(crate) async fn run(job: TokenJob, output: Output) -> Result<(), Failure> {
    match job {
        TokenJob::List(args) => {
            let mut query = Vec::new();
            for (kind, id) in [
                (&super::agent::KIND, args.agent_id),
                (&super::client::KIND, args.client_id),
                (&super::owner::KIND, args.owner_id),
            ] {
                if let Some(id) = id {
                    kind.at(&id)?;
                    query.push((kind.id, id));
                }
            }
            thing::list(&KIND, args.listing, &query, output).await
        }
        TokenJob::Revoke(args) => {
            thing::delete(&KIND, "Revoke", *args, "Every token of it ends.", output).await
        }
    }
}
