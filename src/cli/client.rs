//! `client`: websites that agents sign in to.

mod trial;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Failure, Output,
    admin::Admin,
    changes,
    made::{Made, secret_file},
    output::{one_line, quoted, this_program},
    server::ServerChoice,
    thing::{self, Ending, Kind, Listing, One, RotateSecret},
};

/// Clients as the API has them.
pub(crate) const KIND: Kind = Kind {
    word: "client",
    job: "client",
    prefix: "client_",
    path: "/api/admin/clients",
    id: "client_id",
    name: "client_name",
    has_sign_ins: true,
    secret: "client_secret",
    columns: &[
        ("client id", "client_id"),
        ("name", "client_name"),
        ("status", "status"),
        ("redirect URIs", "redirect_uris"),
    ],
    look: "client show",
};

/// What to do with clients.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientJob {
    /// Register a website that agents may sign in to
    #[command(
        after_help = "Example:\n  auth-agent client create --name Profilio --redirect-uri https://profilio.example/callback"
    )]
    Create(Box<CreateClient>),
    /// List them, those that were deleted included
    #[command(after_help = "Example:\n  auth-agent client list --all")]
    List(Box<Listing>),
    /// Show one
    #[command(after_help = "Example:\n  auth-agent client show client_0123…")]
    Show(Box<One>),
    /// Change what is given and leave the rest
    #[command(
        after_help = "Example:\n  auth-agent client update client_0123… --name 'New name' --clear client-uri"
    )]
    Update(Box<UpdateClient>),
    /// End one for good: nobody signs in there, and what was signed in is dead. Asks first
    #[command(after_help = "Example:\n  auth-agent client delete client_0123…")]
    Delete(Box<Ending>),
    /// Begin a sign-in in the place of its website, which need not be there, and show how it ends
    #[command(
        after_help = "Example:\n  auth-agent client try client_0123… --secret-file client.secret"
    )]
    Try(Box<trial::TryClient>),
    /// Give a new secret; the former one is refused at once, or after a grace
    #[command(
        after_help = "Example:\n  auth-agent client rotate-secret client_0123… --grace 3600 --secret-file client.secret"
    )]
    RotateSecret(Box<RotateSecret>),
}

/// A new client's metadata (RFC 7591 §2).
#[derive(Debug, Args)]
pub(crate) struct CreateClient {
    /// What the website is called on the waiting page
    #[arg(long)]
    name: String,
    /// Where browsers are sent back to, exactly; may be given several times
    #[arg(long = "redirect-uri", value_name = "URI", required = true)]
    redirect_uris: Vec<String>,
    #[command(flatten)]
    metadata: Metadata,
    /// Write the secret into this new file, mode 0600, instead of showing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerChoice,
}

/// What is to change of a client.
#[derive(Debug, Args)]
pub(crate) struct UpdateClient {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// What the website is called on the waiting page
    #[arg(long)]
    name: Option<String>,
    /// Where browsers are sent back to, exactly; may be given several times, and replaces all former ones
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    #[command(flatten)]
    metadata: Metadata,
    /// Take a field back to its default; may be given several times
    #[arg(long, value_name = "FIELD", value_parser = [
        "scope", "auth-method", "grant-type", "id-token-alg", "access-token-alg", "subject",
        "minimum-binding", "client-uri",
    ])]
    clear: Vec<String>,
    #[command(flatten)]
    server: ServerChoice,
}

/// The fields that can be cleared: flag, and name in the API.
const CLEARABLE: [(&str, &str); 8] = [
    ("scope", "scope"),
    ("auth-method", "token_endpoint_auth_method"),
    ("grant-type", "grant_types"),
    ("id-token-alg", "id_token_signed_response_alg"),
    ("access-token-alg", "access_token_signed_response_alg"),
    ("subject", "subject"),
    ("minimum-binding", "minimum_binding"),
    ("client-uri", "client_uri"),
];

/// What need not be said of a client.
#[derive(Debug, Args)]
struct Metadata {
    /// Scopes that it may ask for, separated by spaces
    #[arg(long)]
    scope: Option<String>,
    /// How it authenticates at the token endpoint [default: Basic or post, as it likes]
    #[arg(long, value_name = "METHOD", value_parser = ["none", "client_secret_basic", "client_secret_post"])]
    auth_method: Option<String>,
    /// A grant that it may use; may be given several times [default: both]
    #[arg(long = "grant-type", value_name = "GRANT", value_parser = ["authorization_code", "refresh_token"])]
    grant_types: Vec<String>,
    /// Signature of its ID tokens [default: RS256]
    #[arg(long, value_name = "ALG", value_parser = ["RS256", "ES256", "EdDSA"])]
    id_token_alg: Option<String>,
    /// Signature of its access tokens [default: EdDSA]
    #[arg(long, value_name = "ALG", value_parser = ["RS256", "ES256", "EdDSA"])]
    access_token_alg: Option<String>,
    /// Whose id is the subject of its tokens [default: agent]
    #[arg(long, value_parser = ["agent", "owner"])]
    subject: Option<String>,
    /// How sure it must be that the agent drives the browser [default: address]
    #[arg(long, value_name = "BINDING", value_parser = ["none", "address", "browser"])]
    minimum_binding: Option<String>,
    /// The website's home page, whose origin agents may expect
    #[arg(long, value_name = "URL")]
    client_uri: Option<String>,
}

impl Metadata {
    fn add_to(&self, body: &mut Value) {
        changes::given(
            body,
            &[
                ("scope", &self.scope),
                ("token_endpoint_auth_method", &self.auth_method),
                ("id_token_signed_response_alg", &self.id_token_alg),
                ("access_token_signed_response_alg", &self.access_token_alg),
                ("subject", &self.subject),
                ("minimum_binding", &self.minimum_binding),
                ("client_uri", &self.client_uri),
            ],
        );
        if !self.grant_types.is_empty() {
            body["grant_types"] = json!(self.grant_types);
        }
    }
}

impl UpdateClient {
    fn changes(&self) -> Result<Value, Failure> {
        let mut changes = json!({});
        changes::given(&mut changes, &[("client_name", &self.name)]);
        if !self.redirect_uris.is_empty() {
            changes["redirect_uris"] = json!(self.redirect_uris);
        }
        self.metadata.add_to(&mut changes);
        changes::cleared(&mut changes, &self.clear, &CLEARABLE)?;
        Ok(changes)
    }
}

/// Does the job.
pub(crate) async fn run(job: ClientJob, output: Output) -> Result<(), Failure> {
    match job {
        ClientJob::Create(args) => create(*args, output).await,
        ClientJob::List(args) => thing::list(&KIND, *args, &[], output).await,
        ClientJob::Show(args) => thing::show(&KIND, *args, output).await,
        ClientJob::Update(args) => {
            let changes = args.changes()?;
            thing::update(&KIND, &args.id, changes, args.server, output).await
        }
        ClientJob::Delete(args) => {
            thing::delete(&KIND, "Delete", *args, "This cannot be undone.", output).await
        }
        ClientJob::Try(args) => trial::run(*args, output).await,
        ClientJob::RotateSecret(args) => {
            let next = "Put it where the website's backend reads it.";
            thing::rotate_secret(&KIND, *args, next, output).await
        }
    }
}

async fn create(create: CreateClient, output: Output) -> Result<(), Failure> {
    let mut body = json!({ "client_name": create.name, "redirect_uris": create.redirect_uris });
    create.metadata.add_to(&mut body);
    if create.metadata.auth_method.as_deref() == Some("none") && create.secret_file.is_some() {
        return Err(Failure::usage(
            "a client with --auth-method none has no secret to keep",
        ));
    }
    let issuer = create.server.issuer()?;
    let file = secret_file(create.secret_file.as_deref())?;
    let admin = Admin::open(create.server).await?;
    let answer = admin.post(KIND.path, &body).await;
    admin.close().await;
    let made = Made::keep(answer?, KIND.secret, file, create.secret_file.clone())?;

    output.json(&made.answer);
    output.line("Client created. Its website is set up with:");
    output.line(format!("  issuer         {issuer}"));
    output.line(format!("  client id      {}", made.text("client_id")));
    made.tell_secret("client secret ", output)?;
    for uri in create.redirect_uris {
        output.line(format!("  redirect URI   {}", one_line(&uri)));
    }
    let secret = create
        .secret_file
        .as_deref()
        .map_or_else(String::new, |path| {
            format!(" --secret-file {}", quoted(&path.to_string_lossy()))
        });
    output.line("A sign-in can be tried before there is a website, while the server runs:");
    output.line(format!(
        "  {} client try {}{secret}",
        this_program(),
        made.text("client_id")
    ));
    Ok(())
}
