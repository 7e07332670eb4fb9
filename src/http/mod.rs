//! The server's HTTP surface: `router` is the URL map, a file for each family of endpoints.
//!
//! A handler parses and authenticates, fills a command, lets the store execute it, and turns the
//! outcome into a response. `error` alone decides what an error looks like.

mod address_keys;
mod admin;
mod app;
mod authenticate;
mod authorize;
mod background;
mod bootstrap;
mod client_auth;
mod conduct;
mod connection;
mod discovery;
mod error;
mod extract;
mod failures;
mod first_start;
mod issue;
mod keys;
mod layer;
mod limit;
mod listen;
mod master_key;
mod measures;
mod metrics;
mod openapi;
mod page;
mod pending;
mod progress;
mod reload;
mod restore;
mod room;
mod router;
mod server;
mod token;
mod tokens;
mod waiting;
mod whereabouts;
mod widget;

pub(crate) use admin::entry::LOCAL_OPERATOR;
pub use bootstrap::StartError;
pub use first_start::FirstStart;
pub use master_key::{Rewrapped, rewrap};
pub use openapi::openapi;
pub use reload::Reloader;
pub use restore::{RestoreError, RestoreReport, restore};
pub use server::{LocalApi, Server};
pub use whereabouts::Whereabouts;

use error::ApiError;
