//! `admin-key`: who may administer, by keys with a name and a role.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Failure, Output,
    admin::Admin,
    made::{Made, secret_file},
    output::quoted,
    server::ServerChoice,
    thing::{self, Ending, Kind, Listing},
};

/// Admin keys as the API has them.
pub(crate) const KIND: Kind = Kind {
    word: "admin key",
    job: "admin-key",
    prefix: "admin_key_",
    path: "/api/admin/admin-keys",
    id: "admin_key_id",
    name: "name",
    has_sign_ins: false,
    secret: "admin_key",
    columns: &[
        ("admin key id", "admin_key_id"),
        ("name", "name"),
        ("role", "role"),
        ("created", "created_at"),
    ],
    look: "admin-key list",
};

/// What to do with admin keys.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminKeyJob {
    /// Make one; it is shown once
    #[command(
        after_help = "Example:\n  auth-agent admin-key create --name grafana --role metrics --secret-file metrics.key"
    )]
    Create(Box<CreateAdminKey>),
    /// List them, without the keys themselves
    #[command(after_help = "Example:\n  auth-agent admin-key list")]
    List(Box<Listing>),
    /// Refuse one from now on, on every node. Asks first
    #[command(after_help = "Example:\n  auth-agent admin-key delete admin_key_0123…")]
    Delete(Box<Ending>),
}

/// A new key.
#[derive(Debug, Args)]
pub(crate) struct CreateAdminKey {
    /// Under which name the log tells what it did; no two keys have the same
    #[arg(long)]
    name: String,
    /// What it opens: everything; everything that changes nothing; the metrics alone
    #[arg(long, value_parser = ["admin", "auditor", "metrics"])]
    role: String,
    /// Write the key into this new file, mode 0600, instead of showing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerChoice,
}

/// Does the job.
pub(crate) async fn run(job: AdminKeyJob, output: Output) -> Result<(), Failure> {
    match job {
        AdminKeyJob::Create(args) => create(*args, output).await,
        AdminKeyJob::List(args) => thing::list(&KIND, *args, &[], output).await,
        AdminKeyJob::Delete(args) => {
            let and = "Whoever uses it is refused from then on.";
            let id = args.id.clone();
            let note = async |admin: &Admin| note_of_the_last(admin, &id).await;
            thing::delete_noting(&KIND, "Delete", *args, and, note, output).await
        }
    }
}

/// What is to be known before the last key of role admin ends. A running server refuses that itself.
async fn note_of_the_last(admin: &Admin, id: &str) -> Option<String> {
    if !admin.is_local() {
        return None;
    }
    let keys = admin.list(KIND.path, &[], None, None).await.ok()?.items;
    let mut admins = keys.iter().filter(|key| key["role"] == "admin");
    let is_last = admins.next()?["admin_key_id"] == id && admins.next().is_none();
    is_last.then(|| {
        "It is the last key of role admin: from then on nobody administers the running server, unless \
         AUTH_AGENT_ADMIN_KEY is set in its environment. While it is stopped, `auth-agent admin-key create \
         --name NAME --role admin` makes another one."
            .to_owned()
    })
}

async fn create(create: CreateAdminKey, output: Output) -> Result<(), Failure> {
    let file = secret_file(create.secret_file.as_deref())?;
    let body = json!({ "name": create.name, "role": create.role });
    let admin = Admin::open(create.server).await?;
    let answer = admin.post(KIND.path, &body).await;
    admin.close().await;
    let made = Made::keep(answer?, KIND.secret, file, create.secret_file.clone())?;

    output.json(&made.answer);
    output.line("Admin key created.");
    output.line(format!("  admin key id   {}", made.text("admin_key_id")));
    output.line(format!("  name           {}", made.text("name")));
    output.line(format!("  role           {}", made.text("role")));
    made.tell_secret("admin key     ", output)?;
    let key = create.secret_file.as_deref().map_or_else(
        || "<the key above>".to_owned(),
        |path| format!("\"$(cat {})\"", quoted(&path.to_string_lossy())),
    );
    output.line(match create.role.as_str() {
        "metrics" => "Give it to what reads /metrics, as a bearer token.".to_owned(),
        _ => format!("Use it with:\n  export AUTH_AGENT_ADMIN_KEY={key}"),
    });
    Ok(())
}
