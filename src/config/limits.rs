//! How often callers may come: one setting for each limit, and one for all of them.

use clap::{Args, ValueEnum};

use super::HELP_HEADING;
use crate::domain::Limit;

/// Most pages that a limit of waiting pages may be set to.
const MOST_PENDING: u64 = 10_000_000;

/// Whether there are limits at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// Each as it is set.
    On,
    /// None, whatever is set: for benchmarks and tests.
    Off,
}

/// The limits of a server, each `<number>/<s, min or h> burst <number>`, or 0 for none.
#[derive(Debug, Args)]
#[command(next_help_heading = HELP_HEADING)]
pub(super) struct LimitSettings {
    /// `off` lifts every limit below, for benchmarks and tests
    #[arg(
        long, env = "AUTH_AGENT_LIMITS", value_enum, value_name = "SWITCH",
        default_value_t = Switch::On, hide_short_help = true
    )]
    limits: Switch,

    /// Sign-ins that one network address (of IPv6: one /64) may begin at /authorize; 0: no limit
    #[arg(
        long,
        env = "AUTH_AGENT_LIMIT_REQUESTS_PER_ADDRESS",
        value_name = "LIMIT",
        default_value = "20/s burst 200",
        hide_short_help = true
    )]
    limit_requests_per_address: Limit,

    /// Sign-ins that may be begun for one client at /authorize; 0: no limit
    #[arg(
        long,
        env = "AUTH_AGENT_LIMIT_REQUESTS_PER_CLIENT",
        value_name = "LIMIT",
        default_value = "200/s burst 2000",
        hide_short_help = true
    )]
    limit_requests_per_client: Limit,

    /// Pages that may wait for one client at the same time; 0: no limit
    #[arg(
        long, env = "AUTH_AGENT_LIMIT_PENDING_PER_CLIENT", value_name = "NUMBER",
        default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(0..=MOST_PENDING),
        hide_short_help = true
    )]
    limit_pending_per_client: u64,

    /// Failed authentications as one agent or client from one network address; 0: no limit
    #[arg(
        long,
        env = "AUTH_AGENT_LIMIT_FAILURES",
        value_name = "LIMIT",
        default_value = "10/min burst 20",
        hide_short_help = true
    )]
    limit_failures: Limit,

    /// Authenticated calls of one agent, wherever it calls from; 0: no limit
    #[arg(
        long,
        env = "AUTH_AGENT_LIMIT_CALLS_PER_AGENT",
        value_name = "LIMIT",
        default_value = "20/s burst 200",
        hide_short_help = true
    )]
    limit_calls_per_agent: Limit,
}

/// How often callers may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// New requests at /authorize from one network.
    pub requests_per_address: Limit,
    /// New requests at /authorize for one client.
    pub requests_per_client: Limit,
    /// Pages that wait for one client at the same time; 0 for any number.
    pub pending_per_client: u64,
    /// Failed authentications as one agent or client from one network.
    pub failures: Limit,
    /// Authenticated calls of one agent.
    pub calls_per_agent: Limit,
}

impl Limits {
    /// No limit at all.
    pub const OFF: Self = Self {
        requests_per_address: Limit::OFF,
        requests_per_client: Limit::OFF,
        pending_per_client: 0,
        failures: Limit::OFF,
        calls_per_agent: Limit::OFF,
    };
}

impl From<&LimitSettings> for Limits {
    fn from(set: &LimitSettings) -> Self {
        match set.limits {
            Switch::Off => Self::OFF,
            Switch::On => Self {
                requests_per_address: set.limit_requests_per_address,
                requests_per_client: set.limit_requests_per_client,
                pending_per_client: set.limit_pending_per_client,
                failures: set.limit_failures,
                calls_per_agent: set.limit_calls_per_agent,
            },
        }
    }
}
