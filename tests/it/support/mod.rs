//! What the tests stand on: servers, a database, a client of the wire contract.

pub(crate) mod api;
pub(crate) mod described;
pub(crate) mod env;
pub(crate) mod ledger;
pub(crate) mod pkce;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod reply;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod sign_in;
pub(crate) mod sse;
pub(crate) mod watchdog;

pub(crate) use api::Api;
pub(crate) use env::{Env, on_both_databases};
pub(crate) use reply::Reply;
pub(crate) use server::{Backend, Options, TestServer};
pub(crate) use sign_in::{Agent, Authorize, Client, SignIn, Tokens, WaitingPage};
