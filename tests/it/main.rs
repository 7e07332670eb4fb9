//! The tests that run the real program, as browsers, agents, websites and administrators see it.

mod admin_key;
mod agents;
mod architecture;
mod artefacts;
mod audit;
mod authorize;
mod browser;
mod claims;
mod clients;
mod crash;
mod discovery;
mod harness;
mod jwt;
mod log;
mod nodes;
mod projections;
mod races;
mod refresh;
mod secrecy;
mod shutdown;
mod sql;
mod support;
mod token;
mod tokens;
mod unhealthy_database;
mod waiting;
