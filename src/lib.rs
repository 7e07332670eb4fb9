//! Auth Agent: "Sign in with Google", for AI agents. An OAuth 2.1 and OpenID Connect server whose
//! users are autonomous agents, on an append-only event log.
//!
//! A website redirects a browser to [`http`]'s `GET /authorize`. The waiting page ([`view`]) listens
//! for its own request ([`push`]). The agent that drives the browser posts the request's id with its
//! credentials; [`domain`] decides, [`store`] makes the facts durable, and the page is sent home with
//! a code, derived and not stored ([`crypto`]). The website exchanges it for tokens.
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`domain`] | pure: facts, states, decisions |
//! | [`oauth`] | the protocol's vocabulary: codes, parameters, the order of checks, metadata |
//! | [`store`] | the log, its projections, the vault; SQLite or PostgreSQL |
//! | [`crypto`] | keys, tokens, derived artefacts, hashing off the runtime |
//! | [`push`] | who waits for which request |
//! | [`http`] | the URL map and the handlers |
//! | [`view`] | pages |
//! | [`cli`] | a file for each job |
//! | [`config`] | settings, read and checked once |
//! | [`edge`] | where time and randomness enter |
//! | `trace` | spans for a collector of traces |
//!
//! Arrows point one way: `cli → http → {store, crypto, push, view} → {domain, oauth}`.

pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod edge;
pub mod http;
pub mod oauth;
pub mod push;
pub mod store;
mod trace;
pub mod view;
