//! `agent create`: registers an agent with the person behind it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Failure, Output,
    admin::Admin,
    client::Made,
    output::{quoted, this_program},
    secret::SecretFile,
    server::ServerChoice,
};

/// What to do with agents.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentJob {
    /// Register an agent that may sign in
    Create(Box<CreateAgent>),
}

/// What is known of an agent, and what it may do.
#[derive(Debug, Args)]
pub(crate) struct CreateAgent {
    /// What the agent is called
    #[arg(long)]
    name: String,
    /// Address of the person behind it; an owner with that address is found or made
    #[arg(long, value_name = "ADDRESS")]
    user_email: String,
    /// Name of the person behind it
    #[arg(long)]
    user_name: String,
    /// The model that it usually runs on
    #[arg(long)]
    model: Option<String>,
    /// A scope that it may be granted; may be given several times [default: any]
    #[arg(long = "allowed-scope", value_name = "SCOPE")]
    allowed_scopes: Vec<String>,
    /// A client that it may sign in to, by id; may be given several times [default: those that an
    /// administrator registered]
    #[arg(long = "allowed-client", value_name = "CLIENT_ID")]
    allowed_clients: Vec<String>,
    /// How sure a sign-in must be that the agent drives the browser [default: address]
    #[arg(long, value_name = "BINDING", value_parser = ["none", "address", "browser"])]
    minimum_binding: Option<String>,
    /// Write the secret into this new file, mode 0600, instead of showing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerChoice,
}

impl CreateAgent {
    fn body(&self) -> Value {
        let mut body = json!({
            "agent_name": self.name, "user_email": self.user_email, "user_name": self.user_name,
        });
        if let Some(model) = &self.model {
            body["model"] = json!(model);
        }
        if !self.allowed_scopes.is_empty() {
            body["allowed_scopes"] = json!(self.allowed_scopes);
        }
        if !self.allowed_clients.is_empty() {
            body["allowed_clients"] = json!(self.allowed_clients);
        }
        if let Some(binding) = &self.minimum_binding {
            body["minimum_binding"] = json!(binding);
        }
        body
    }
}

/// Does the job.
pub(crate) async fn run(job: AgentJob, output: Output) -> Result<(), Failure> {
    let AgentJob::Create(create) = job;
    let body = create.body();
    let issuer = create.server.issuer()?;
    let file = create
        .secret_file
        .as_deref()
        .map(SecretFile::create)
        .transpose()?;
    let admin = Admin::open(create.server).await?;
    let answer = admin.create("/api/admin/agents", &body).await;
    admin.close().await;
    let made = Made::keep(answer?, "agent_secret", file, create.secret_file.clone())?;

    let agent_id = made.text("agent_id");
    output.json(&made.answer);
    output.line("Agent created.");
    output.line(format!("  agent id       {agent_id}"));
    output.line(format!("  owner id       {}", made.text("owner_id")));
    made.tell_secret("agent secret  ", output);
    let secret = match &create.secret_file {
        Some(path) => format!("--secret-file {}", quoted(&path.to_string_lossy())),
        None => "--secret-stdin".to_owned(),
    };
    output.line("When a waiting page is open, it signs in with:");
    output.line(format!(
        "  {} sign-in <address of the page> --server {issuer} --agent-id {agent_id} {secret} \
         --model {}",
        this_program(),
        create.model.as_deref().map_or("<model>".into(), quoted),
    ));
    Ok(())
}
