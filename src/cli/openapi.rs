//! `openapi`: what the server can be asked, and what it answers, for programs.

use clap::Args;

use super::{Failure, Output};
use crate::{config::Config, http};

/// Of which server.
#[derive(Debug, Args)]
pub(crate) struct OpenApi {
    #[command(flatten)]
    config: Config,
}

/// Does the job.
pub(crate) fn run(args: &OpenApi, output: Output) -> Result<(), Failure> {
    let issuer = args.config.known_issuer().ok_or_else(|| {
        Failure::usage("under which address is the server? Name it with --issuer")
    })?;
    let document = http::openapi(&issuer);
    // JSON either way: on one line for programs that ask for that.
    output.json(&document);
    output.line(serde_json::to_string_pretty(&document).unwrap_or_default());
    Ok(())
}
