//! `agent`: who signs in, each with the person behind it.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};

use super::{
    Failure, Output,
    admin::Admin,
    changes,
    made::{Made, secret_file},
    output::{quoted, this_program},
    server::ServerChoice,
    thing::{self, Ending, Kind, Listing, One, RotateSecret},
};

/// Agents as the API has them.
pub(crate) const KIND: Kind = Kind {
    word: "agent",
    job: "agent",
    prefix: "agent_",
    path: "/api/admin/agents",
    id: "agent_id",
    name: "agent_name",
    has_sign_ins: true,
    secret: "agent_secret",
    columns: &[
        ("agent id", "agent_id"),
        ("name", "agent_name"),
        ("status", "status"),
        ("owner id", "owner_id"),
        ("model", "model"),
    ],
    look: "agent show",
};

/// What to do with agents.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentJob {
    /// Register an agent that may sign in
    #[command(
        after_help = "Example:\n  auth-agent agent create --name Errands --user-email ada@people.example --user-name 'Ada Lovelace' \\\n    --secret-file agent.secret"
    )]
    Create(Box<CreateAgent>),
    /// List them, those that were deleted included
    #[command(after_help = "Example:\n  auth-agent agent list --user-email ada@people.example")]
    List(Box<ListAgents>),
    /// Show one, with the person behind it
    #[command(after_help = "Example:\n  auth-agent agent show agent_0123…")]
    Show(Box<One>),
    /// Change what is given and leave the rest
    #[command(
        after_help = "Example:\n  auth-agent agent update agent_0123… --minimum-binding browser --clear model"
    )]
    Update(Box<UpdateAgent>),
    /// End one for good, with all that it signed in to. Asks first
    #[command(after_help = "Example:\n  auth-agent agent delete agent_0123…")]
    Delete(Box<Ending>),
    /// The kill switch: refuse it, and end all that it signed in to. Asks first
    #[command(after_help = "Example:\n  auth-agent agent suspend agent_0123… --yes")]
    Suspend(Box<Ending>),
    /// Let a suspended one sign in anew; what was dead stays dead
    #[command(after_help = "Example:\n  auth-agent agent reinstate agent_0123…")]
    Reinstate(Box<One>),
    /// Give a new secret; the former one is refused at once, or after a grace
    #[command(
        after_help = "Example:\n  auth-agent agent rotate-secret agent_0123… --grace 3600 --secret-file agent.secret"
    )]
    RotateSecret(Box<RotateSecret>),
}

/// Whose agents.
#[derive(Debug, Args)]
pub(crate) struct ListAgents {
    /// Only those of this owner
    #[arg(long = "owner", value_name = "OWNER_ID")]
    owner_id: Option<String>,
    /// Only those of the owner with this address
    #[arg(long, value_name = "ADDRESS", value_parser = NonEmptyStringValueParser::new())]
    user_email: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

/// What is known of a new agent, and what it may do.
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
    #[command(flatten)]
    policy: Policy,
    /// Write the secret into this new file, mode 0600, instead of showing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerChoice,
}

/// What is to change of an agent.
#[derive(Debug, Args)]
pub(crate) struct UpdateAgent {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// What the agent is called
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    policy: Policy,
    /// Take a field back to its default; may be given several times
    #[arg(long, value_name = "FIELD", value_parser = [
        "model", "capability", "allowed-scope", "allowed-client", "minimum-binding",
    ])]
    clear: Vec<String>,
    #[command(flatten)]
    server: ServerChoice,
}

/// The fields that can be cleared: flag, and name in the API.
const CLEARABLE: [(&str, &str); 5] = [
    ("model", "model"),
    ("capability", "capabilities"),
    ("allowed-scope", "allowed_scopes"),
    ("allowed-client", "allowed_clients"),
    ("minimum-binding", "minimum_binding"),
];

/// What need not be said of an agent. A list that is given replaces the former one.
#[derive(Debug, Args)]
struct Policy {
    /// The model that it usually runs on
    #[arg(long)]
    model: Option<String>,
    /// Something that it can do, in a word; may be given several times
    #[arg(long = "capability", value_name = "WORD")]
    capabilities: Vec<String>,
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
}

impl Policy {
    fn add_to(&self, body: &mut Value) {
        changes::given(
            body,
            &[
                ("model", &self.model),
                ("minimum_binding", &self.minimum_binding),
            ],
        );
        for (field, list) in [
            ("capabilities", &self.capabilities),
            ("allowed_scopes", &self.allowed_scopes),
            ("allowed_clients", &self.allowed_clients),
        ] {
            if !list.is_empty() {
                body[field] = json!(list);
            }
        }
    }
}

impl UpdateAgent {
    fn changes(&self) -> Result<Value, Failure> {
        let mut changes = json!({});
        changes::given(&mut changes, &[("agent_name", &self.name)]);
        self.policy.add_to(&mut changes);
        changes::cleared(&mut changes, &self.clear, &CLEARABLE)?;
        Ok(changes)
    }
}

/// Does the job.
pub(crate) async fn run(job: AgentJob, output: Output) -> Result<(), Failure> {
    match job {
        AgentJob::Create(args) => create(*args, output).await,
        AgentJob::List(args) => {
            let mut query = Vec::new();
            if let Some(id) = args.owner_id {
                super::owner::KIND.at(&id)?;
                query.push(("owner_id", id));
            }
            query.extend(args.user_email.map(|address| ("user_email", address)));
            thing::list(&KIND, args.listing, &query, output).await
        }
        AgentJob::Show(args) => thing::show(&KIND, *args, output).await,
        AgentJob::Update(args) => {
            let changes = args.changes()?;
            thing::update(&KIND, &args.id, changes, args.server, output).await
        }
        AgentJob::Delete(args) => {
            thing::delete(&KIND, "Delete", *args, "This cannot be undone.", output).await
        }
        AgentJob::Suspend(args) => thing::suspend(&KIND, *args, output).await,
        AgentJob::Reinstate(args) => thing::reinstate(&KIND, *args, output).await,
        AgentJob::RotateSecret(args) => {
            let next = "Put it where the agent reads it.";
            thing::rotate_secret(&KIND, *args, next, output).await
        }
    }
}

async fn create(create: CreateAgent, output: Output) -> Result<(), Failure> {
    let mut body = json!({
        "agent_name": create.name, "user_email": create.user_email, "user_name": create.user_name,
    });
    create.policy.add_to(&mut body);
    let issuer = create.server.issuer()?;
    let file = secret_file(create.secret_file.as_deref())?;
    let admin = Admin::open(create.server).await?;
    let answer = admin.post(KIND.path, &body).await;
    admin.close().await;
    let made = Made::keep(answer?, KIND.secret, file, create.secret_file.clone())?;

    let agent_id = made.text("agent_id");
    output.json(&made.answer);
    output.line("Agent created.");
    output.line(format!("  agent id       {agent_id}"));
    output.line(format!("  owner id       {}", made.text("owner_id")));
    made.tell_secret("agent secret  ", output)?;
    let secret = match &create.secret_file {
        Some(path) => format!("--secret-file {}", quoted(&path.to_string_lossy())),
        None => "--secret-stdin".to_owned(),
    };
    output.line("When a waiting page is open, it signs in with:");
    output.line(format!(
        "  {} sign-in <address of the page> --server {issuer} --agent-id {agent_id} {secret} \
         --model {}",
        this_program(),
        create
            .policy
            .model
            .as_deref()
            .map_or("<model>".into(), quoted),
    ));
    Ok(())
}
