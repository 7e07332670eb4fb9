//! How long the other side of a connection may take.

use std::time::Duration;

use clap::Args;

use super::HELP_HEADING;

/// Longest timeout that may be set, in seconds: an hour.
const LONGEST: u64 = 60 * 60;

/// The timeouts of a server, in seconds.
#[derive(Debug, Args)]
#[command(next_help_heading = HELP_HEADING)]
pub(super) struct TimeoutSettings {
    /// Seconds in which the head of a request must arrive; 0: no limit
    #[arg(
        long, env = "AUTH_AGENT_HEADER_TIMEOUT", value_name = "SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(0..=LONGEST), hide_short_help = true
    )]
    header_timeout: u64,

    /// Seconds in which the body of a request must arrive; 0: no limit
    #[arg(
        long, env = "AUTH_AGENT_BODY_TIMEOUT", value_name = "SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(0..=LONGEST), hide_short_help = true
    )]
    body_timeout: u64,

    /// Seconds after which a connection is closed that asks nothing, or takes no answer; 0: no limit
    #[arg(
        long, env = "AUTH_AGENT_IDLE_TIMEOUT", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(0..=LONGEST), hide_short_help = true
    )]
    idle_timeout: u64,
}

/// How long the other side of a connection may take; `None` for any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the head of a request, from its first byte.
    pub header: Option<Duration>,
    /// For the body of a request.
    pub body: Option<Duration>,
    /// For asking something again, or for taking anything of an answer.
    pub idle: Option<Duration>,
}

impl From<&TimeoutSettings> for Timeouts {
    fn from(set: &TimeoutSettings) -> Self {
        let seconds = |number| (number > 0).then(|| Duration::from_secs(number));
        Self {
            header: seconds(set.header_timeout),
            body: seconds(set.body_timeout),
            idle: seconds(set.idle_timeout),
        }
    }
}
