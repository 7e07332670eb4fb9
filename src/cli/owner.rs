//! `owner`: the people behind the agents.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Failure, Output, changes,
    server::ServerChoice,
    thing::{self, Ending, Kind, Listing, One},
};

/// Owners as the API has them.
pub(crate) const KIND: Kind = Kind {
    word: "owner",
    job: "owner",
    prefix: "owner_",
    path: "/api/admin/owners",
    id: "owner_id",
    name: "user_name",
    has_sign_ins: true,
    secret: "",
    columns: &[
        ("owner id", "owner_id"),
        ("name", "user_name"),
        ("address", "user_email"),
        ("status", "status"),
    ],
    look: "owner show",
};

/// What to do with owners. They are made with their first agent.
#[derive(Debug, Subcommand)]
pub(crate) enum OwnerJob {
    /// List them
    #[command(after_help = "Example:\n  auth-agent owner list --all")]
    List(Box<Listing>),
    /// Show one
    #[command(after_help = "Example:\n  auth-agent owner show owner_0123…")]
    Show(Box<One>),
    /// Change the name or the address
    #[command(
        after_help = "Example:\n  auth-agent owner update owner_0123… --user-email ada@new.example"
    )]
    Update(Box<UpdateOwner>),
    /// Erase a person, and end all of their agents for good. Asks first
    #[command(after_help = "Example:\n  auth-agent owner delete owner_0123…")]
    Delete(Box<Ending>),
    /// The kill switch for all of a person's agents. Asks first
    #[command(after_help = "Example:\n  auth-agent owner suspend owner_0123… --yes")]
    Suspend(Box<Ending>),
    /// Let a suspended person's agents sign in anew; what was dead stays dead
    #[command(after_help = "Example:\n  auth-agent owner reinstate owner_0123…")]
    Reinstate(Box<One>),
}

/// What is to change of an owner.
#[derive(Debug, Args)]
pub(crate) struct UpdateOwner {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// The person's address; no other owner may have it
    #[arg(long, value_name = "ADDRESS")]
    user_email: Option<String>,
    /// The person's name
    #[arg(long)]
    user_name: Option<String>,
    #[command(flatten)]
    server: ServerChoice,
}

/// Does the job.
pub(crate) async fn run(job: OwnerJob, output: Output) -> Result<(), Failure> {
    match job {
        OwnerJob::List(args) => thing::list(&KIND, *args, &[], output).await,
        OwnerJob::Show(args) => thing::show(&KIND, *args, output).await,
        OwnerJob::Update(args) => {
            let mut changes = json!({});
            changes::given(
                &mut changes,
                &[
                    ("user_email", &args.user_email),
                    ("user_name", &args.user_name),
                ],
            );
            thing::update(&KIND, &args.id, changes, args.server, output).await
        }
        OwnerJob::Delete(args) => {
            let and = "Name and address are erased and every agent of theirs ends for good: this \
                       cannot be undone.";
            thing::delete(&KIND, "Erase", *args, and, output).await
        }
        OwnerJob::Suspend(args) => thing::suspend(&KIND, *args, output).await,
        OwnerJob::Reinstate(args) => thing::reinstate(&KIND, *args, output).await,
    }
}
