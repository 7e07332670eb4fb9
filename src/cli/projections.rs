//! `projections`: whether the read models agree with the log, and making them anew.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, Output, progress::Progress};
use crate::{
    config::Config,
    store::{
        StoreError,
        maintenance::{self, Report},
    },
};

/// The read models, which can be thrown away and rebuilt from the log.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionsJob {
    /// Replay the log and compare: every row, copy and hash. Safe beside a running server
    #[command(after_help = "Example:\n  auth-agent projections check")]
    Check(Box<Where>),
    /// Replace the read models by what the log yields, while no server runs
    #[command(after_help = "Example:\n  auth-agent projections rebuild")]
    Rebuild(Box<Where>),
}

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct Where {
    #[command(flatten)]
    config: Config,
}

/// Does the job: fails when anything differs.
pub(crate) async fn run(job: ProjectionsJob, output: Output) -> Result<(), Failure> {
    let failed = |error: StoreError| match error {
        StoreError::NoDatabase(_) | StoreError::Locked(_) | StoreError::Url(_) => {
            Failure::usage(error)
        }
        error => Failure::failed(error),
    };
    let mut progress = Progress::new(output);
    let counted = |done, total| progress.at("events", done, total);
    let (report, done) = match job {
        ProjectionsJob::Check(at) => {
            let report = maintenance::check_counting(&at.config.database_url(), counted)
                .await
                .map_err(failed)?;
            (report, "agree with the log")
        }
        ProjectionsJob::Rebuild(at) => {
            let report = maintenance::rebuild_counting(&at.config.database_url(), counted)
                .await
                .map_err(failed)?;
            (report, "were made anew from the log")
        }
    };
    drop(progress);
    tell(&report, done, output)
}

fn tell(report: &Report, done: &str, output: Output) -> Result<(), Failure> {
    let Report {
        position,
        events,
        streams,
        differences,
        told,
    } = report;
    if *differences == 0 {
        output.json(&json!(report));
        output.line(format!(
            "The read models {done}: {events} events in {streams} streams, up to position {position}."
        ));
        return Ok(());
    }
    for difference in told {
        output.line(difference);
    }
    let more = usize::try_from(*differences)
        .unwrap_or(usize::MAX)
        .saturating_sub(told.len());
    if more > 0 {
        output.line(format!("… and {more} more"));
    }
    let mut answer = json!(report);
    answer["error"] = json!("differences_found");
    Err(Failure::refused(
        format!("{differences} differences found up to position {position}"),
        answer,
    ))
}
