//! For how long ended requests stay in the log, and where they go after that.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{HELP_HEADING, MAX_LIFETIME};
use crate::domain::Lifetimes;

/// After which time ended requests are archived, 0 for never, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = HELP_HEADING)]
pub(super) struct RetentionSettings {
    /// Seconds after which a request that no agent signed in to leaves the log for the archive; 0: never
    #[arg(
        long, env = "AUTH_AGENT_RETAIN_ABANDONED", value_name = "SECONDS",
        default_value_t = 604_800,
        value_parser = clap::value_parser!(u64).range(0..=MAX_LIFETIME), hide_short_help = true
    )]
    retain_abandoned: u64,

    /// Seconds after which a sign-in whose last token has ended leaves the log for the archive; 0: never
    ///
    /// Counted from the sign-in's begin, and never shorter than its tokens can live.
    #[arg(
        long, env = "AUTH_AGENT_RETAIN_FINISHED", value_name = "SECONDS",
        default_value_t = 34_560_000,
        value_parser = clap::value_parser!(u64).range(0..=MAX_LIFETIME), hide_short_help = true
    )]
    retain_finished: u64,

    /// Folder for archived events; nodes may share one [default: <data dir>/archive]
    #[arg(
        long,
        env = "AUTH_AGENT_ARCHIVE_DIR",
        value_name = "FOLDER",
        hide_short_help = true
    )]
    pub(super) archive_dir: Option<PathBuf>,
}

impl RetentionSettings {
    /// `None`: for ever.
    pub(super) fn abandoned(&self, lifetimes: &Lifetimes) -> Option<Duration> {
        at_least(self.retain_abandoned, lifetimes.request)
    }

    /// `None`: for ever.
    pub(super) fn finished(&self, lifetimes: &Lifetimes) -> Option<Duration> {
        let longest = lifetimes.request + lifetimes.refresh_token + lifetimes.access_token;
        at_least(self.retain_finished, longest)
    }
}

/// Nothing that may still live is archived, whatever is set.
fn at_least(seconds: u64, lifetime: Duration) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds).max(lifetime))
}
