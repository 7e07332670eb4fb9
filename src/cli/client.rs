//! `client create`: registers a website.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Failure, Output, admin::Admin, output::one_line, secret::SecretFile, server::ServerChoice,
};

/// What to do with clients.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientJob {
    /// Register a website that agents may sign in to
    Create(Box<CreateClient>),
}

/// A client's metadata (RFC 7591 §2).
#[derive(Debug, Args)]
pub(crate) struct CreateClient {
    /// What the website is called on the waiting page
    #[arg(long)]
    name: String,
    /// Where browsers are sent back to, exactly; may be given several times
    #[arg(long = "redirect-uri", value_name = "URI", required = true)]
    redirect_uris: Vec<String>,
    /// Scopes that it may ask for, separated by spaces
    #[arg(long)]
    scope: Option<String>,
    /// How it authenticates at the token endpoint [default: Basic or post, as it likes]
    #[arg(long, value_name = "METHOD", value_parser = ["none", "client_secret_basic", "client_secret_post"])]
    auth_method: Option<String>,
    /// Signature of its ID tokens [default: RS256]
    #[arg(long, value_name = "ALG", value_parser = ["RS256", "ES256", "EdDSA"])]
    id_token_alg: Option<String>,
    /// Whose id is the subject of its tokens [default: agent]
    #[arg(long, value_parser = ["agent", "owner"])]
    subject: Option<String>,
    /// How sure it must be that the agent drives the browser [default: address]
    #[arg(long, value_name = "BINDING", value_parser = ["none", "address", "browser"])]
    minimum_binding: Option<String>,
    /// Write the secret into this new file, mode 0600, instead of showing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerChoice,
}

impl CreateClient {
    fn body(&self) -> Value {
        let mut body = json!({ "client_name": self.name, "redirect_uris": self.redirect_uris });
        for (field, value) in [
            ("scope", &self.scope),
            ("token_endpoint_auth_method", &self.auth_method),
            ("id_token_signed_response_alg", &self.id_token_alg),
            ("subject", &self.subject),
            ("minimum_binding", &self.minimum_binding),
        ] {
            if let Some(value) = value {
                body[field] = json!(value);
            }
        }
        body
    }
}

/// Does the job.
pub(crate) async fn run(job: ClientJob, output: Output) -> Result<(), Failure> {
    let ClientJob::Create(create) = job;
    let body = create.body();
    if create.auth_method.as_deref() == Some("none") && create.secret_file.is_some() {
        return Err(Failure::usage(
            "a client with --auth-method none has no secret to keep",
        ));
    }
    let issuer = create.server.issuer()?;
    let file = create
        .secret_file
        .as_deref()
        .map(SecretFile::create)
        .transpose()?;
    let admin = Admin::open(create.server).await?;
    let answer = admin.create("/api/admin/clients", &body).await;
    admin.close().await;
    let made = Made::keep(answer?, "client_secret", file, create.secret_file)?;

    output.json(&made.answer);
    output.line("Client created. Its website is set up with:");
    output.line(format!("  issuer         {issuer}"));
    output.line(format!("  client id      {}", made.text("client_id")));
    made.tell_secret("client secret ", output);
    for uri in create.redirect_uris {
        output.line(format!("  redirect URI   {}", one_line(&uri)));
    }
    Ok(())
}

/// What a server created, with its secret where it belongs.
pub(crate) struct Made {
    /// The answer, without the secret when that went into a file.
    pub(crate) answer: Value,
    secret_field: &'static str,
    secret_file: Option<PathBuf>,
}

impl Made {
    /// Puts the secret into the file, if there is one.
    pub(crate) fn keep(
        mut answer: Value,
        secret_field: &'static str,
        file: Option<SecretFile>,
        path: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        if let (Some(file), Some(path)) = (file, &path) {
            let secret = answer[secret_field].as_str().unwrap_or_default();
            file.write(secret).map_err(|error| {
                let path = path.display();
                Failure::failed(format!("created, but its secret is lost: {path}: {error}"))
            })?;
            if let Some(fields) = answer.as_object_mut() {
                fields.remove(secret_field);
                fields.insert("secret_file".to_owned(), json!(path));
            }
        }
        Ok(Self {
            answer,
            secret_field,
            secret_file: path,
        })
    }

    /// A text of the answer.
    pub(crate) fn text(&self, field: &str) -> String {
        one_line(self.answer[field].as_str().unwrap_or_default())
    }

    /// Shows the secret this once, or says where it is.
    pub(crate) fn tell_secret(&self, label: &str, output: Output) {
        match (&self.secret_file, self.answer[self.secret_field].as_str()) {
            (Some(path), _) => output.line(format!("  {label} in {}", path.display())),
            (None, Some(secret)) => {
                output.line(format!("  {label} {} (shown this once)", one_line(secret)));
            }
            (None, None) => {}
        }
    }
}
