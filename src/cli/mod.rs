//! The command line: a file for each job, and what the jobs share.
//!
//! Exit status: 0 when the job is done, 1 when it failed or was refused, 2 when it was asked for
//! wrongly or a setting cannot be used. What went wrong is one line on standard error, and with
//! `--json` also one object on standard output.

mod admin;
mod admin_key;
mod agent;
mod ask;
mod audit;
mod backup;
mod changes;
mod client;
mod completions;
mod config;
mod demo;
mod doors;
mod failure;
mod help;
mod keys;
mod logging;
mod made;
mod oidc;
mod openapi;
mod output;
mod owner;
mod progress;
mod projections;
mod reload;
mod secret;
mod serve;
mod server;
mod sign_in;
mod signals;
mod table;
mod thing;
mod token;
#[cfg(feature = "otel")]
mod traces;

use std::{ffi::OsString, io::ErrorKind, process::ExitCode, time::Duration};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config as settings;
use failure::Failure;
use output::Output;

/// How long the runtime may take to end once the job is done; whatever mattered was awaited.
const RUNTIME_ENDS_WITHIN: Duration = Duration::from_millis(200);
/// Settings that matter to jobs that only look for a server; the others are left out of their help.
const SHOWN_EVERYWHERE: [&str; 4] = ["config", "issuer", "data_dir", "database_url"];

/// Sign in with Google, for AI agents: an OAuth 2.1 and OpenID Connect server whose users are
/// autonomous agents.
#[derive(Debug, Parser)]
#[command(name = "auth-agent", version)]
struct Cli {
    /// Write JSON for programs instead of lines for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Run the server; needs no argument on a fresh machine
    #[command(
        after_help = "Example:\n  auth-agent serve --data-dir /var/lib/auth-agent --issuer https://auth.example"
    )]
    Serve(Box<serve::Serve>),
    /// See it work: a server, a sample website and an agent on this machine, nothing to configure
    Demo(demo::Demo),
    /// Agents, who sign in
    #[command(subcommand)]
    Agent(agent::AgentJob),
    /// Clients, the websites that agents sign in to
    #[command(subcommand)]
    Client(client::ClientJob),
    /// Owners, the people behind the agents
    #[command(subcommand)]
    Owner(owner::OwnerJob),
    /// Tokens: sign-ins that are alive, and ending one
    #[command(subcommand)]
    Token(token::TokenJob),
    /// Admin keys: who may administer, and read
    #[command(subcommand)]
    AdminKey(admin_key::AdminKeyJob),
    /// The audit log: who did what, when; read it or follow it live
    #[command(
        after_help = "Examples:\n  auth-agent audit --type AgentAuthenticated --since 2026-01-31T00:00:00Z\n  auth-agent audit --last 20\n  auth-agent audit --follow"
    )]
    Audit(Box<audit::Audit>),
    /// The server's own keys, and a new master key
    #[command(subcommand)]
    Keys(keys::KeysJob),
    /// The read models: check them against the log, or make them anew
    #[command(subcommand)]
    Projections(projections::ProjectionsJob),
    Backup(Box<backup::BackupJob>),
    Restore(Box<backup::RestoreJob>),
    /// Act as an agent: sign in on a waiting page
    #[command(
        after_help = "Example:\n  auth-agent sign-in req_0123… --agent-id agent_0123… --secret-file agent.secret --model claude-opus-4"
    )]
    SignIn(Box<sign_in::SignIn>),
    /// The settings: what holds and why, whether it would do, and a file to begin with
    #[command(subcommand)]
    Config(config::ConfigJob),
    /// The description of the API (OpenAPI 3.1), for programs
    #[command(
        name = "openapi",
        after_help = "Example:\n  auth-agent openapi --issuer https://auth.example > openapi.json"
    )]
    OpenApi(Box<openapi::OpenApi>),
    /// Completion of jobs and flags, for a shell
    #[command(
        after_help = "Example:\n  auth-agent completions bash > ~/.local/share/bash-completion/completions/auth-agent"
    )]
    Completions(completions::Completions),
}

/// Runs the job that the arguments (the program's name first) ask for.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match read(&args) {
        Ok(cli) => cli,
        Err(Unread::Shown(status)) => return status,
        Err(Unread::Refused(failure)) => return failure.report(Output::new(asks_for_json(&args))),
    };
    let output = Output::new(cli.json);
    // What they are for is not what they tell.
    let serves = matches!(cli.job, Job::Serve(_) | Job::Demo(_));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(perform(cli.job, &args, output));
            runtime.shutdown_timeout(RUNTIME_ENDS_WITHIN);
            done
        }
        Err(error) => Err(Failure::failed(format!("cannot start: {error}"))),
    };
    match (done, output.untold().filter(|_| !serves)) {
        (Ok(()), None) => ExitCode::SUCCESS,
        // Whoever read had enough.
        (Ok(()), Some(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::FAILURE,
        (Ok(()), Some(error)) => {
            let told = format!("done, but not all could be told: standard output: {error}");
            Failure::failed(told).report(output)
        }
        (Err(failure), _) => failure.report(output),
    }
}

async fn perform(job: Job, args: &[OsString], output: Output) -> Result<(), Failure> {
    match job {
        Job::Serve(serve) => serve::run(*serve, args, output).await,
        Job::Demo(demo) => demo::run(&demo, output).await,
        Job::Agent(agent) => agent::run(agent, output).await,
        Job::Client(client) => client::run(client, output).await,
        Job::Owner(owner) => owner::run(owner, output).await,
        Job::Token(token) => token::run(token, output).await,
        Job::AdminKey(key) => admin_key::run(key, output).await,
        Job::Audit(audit) => audit::run(*audit, output).await,
        Job::Keys(job) => keys::run(job, output).await,
        Job::Projections(job) => projections::run(job, output).await,
        Job::Backup(job) => backup::run(*job, output).await,
        Job::Restore(job) => backup::restore(*job, output).await,
        Job::SignIn(sign_in) => sign_in::run(*sign_in, output).await,
        Job::Config(job) => config::run(job, args, output),
        Job::OpenApi(args) => openapi::run(&args, output),
        Job::Completions(args) => {
            completions::run(&args, output);
            Ok(())
        }
    }
}

/// Why there is no job to do.
enum Unread {
    /// Help or version: already shown.
    Shown(ExitCode),
    /// The arguments or the settings file are wrong.
    Refused(Failure),
}

fn read(args: &[OsString]) -> Result<Cli, Unread> {
    let command = settings::with_file(command(), args)
        .map_err(|error| Unread::Refused(Failure::usage(error.to_string())))?;
    let read = command.try_get_matches_from(args);
    read.and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| {
            use clap::error::ErrorKind as Kind;
            match error.kind() {
                Kind::DisplayHelpOnMissingArgumentOrSubcommand if asks_for_json(args) => {
                    Unread::Refused(Failure::usage("which job? `auth-agent help` lists them"))
                }
                Kind::DisplayHelp
                | Kind::DisplayVersion
                | Kind::DisplayHelpOnMissingArgumentOrSubcommand => {
                    // Nothing can be done about a terminal that is gone.
                    let _ = error.print();
                    let status = u8::try_from(error.exit_code()).unwrap_or(2);
                    Unread::Shown(ExitCode::from(status))
                }
                _ => Unread::Refused(Failure::usage(settings::one_line(&error))),
            }
        })
}

/// Whether a program asked, also where the arguments cannot be read.
fn asks_for_json(args: &[OsString]) -> bool {
    let mut flags = args.iter().skip(1).take_while(|arg| *arg != "--");
    flags.any(|arg| arg == "--json")
}

fn command() -> clap::Command {
    help::grouped(Cli::command().mut_subcommands(|job| match job.get_name() {
        "serve" => job,
        _ => without_server_settings(job),
    }))
}

/// Hides, and only hides, the settings that a job takes merely because the file may hold them.
fn without_server_settings(job: clap::Command) -> clap::Command {
    job.mut_args(|arg| {
        let setting = arg.get_help_heading() == Some(settings::HELP_HEADING);
        let hidden = setting && !SHOWN_EVERYWHERE.contains(&arg.get_id().as_str());
        if hidden { arg.hide(true) } else { arg }
    })
    .mut_subcommands(without_server_settings)
}

#[cfg(test)]
mod tests;
