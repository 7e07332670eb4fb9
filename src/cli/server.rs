//! Which server a job talks to, and how.

use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};

use clap::Args;
use url::{Host, Url};

use super::Failure;
use crate::{
    config::{self, Config},
    http::Whereabouts,
};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The server to talk to: named, or the one that the settings describe; where they say nothing, the one
/// that has the database of the data folder.
#[derive(Debug, Args)]
pub(crate) struct ServerChoice {
    /// The running server, by its issuer [default: that of the settings, or of the data folder]
    #[arg(long, value_name = "URL", value_parser = config::issuer)]
    pub(crate) server: Option<String>,

    #[command(flatten)]
    pub(crate) config: Config,
}

impl ServerChoice {
    /// Where the server is that has the database, unless something else says which server is meant: it was
    /// named, or the settings tell another place than the default, and all of it.
    fn whereabouts(&self) -> Option<Whereabouts> {
        let told = self.config.says_where_it_is() && self.config.known_issuer().is_some();
        if self.server.is_some() || told {
            return None;
        }
        Whereabouts::of_holder(&self.config.database_url())
    }

    /// The server's issuer. Nothing secret ever goes anywhere else: it is https, or on loopback.
    pub(crate) fn issuer(&self) -> Result<String, Failure> {
        self.server
            .clone()
            .or_else(|| self.whereabouts().map(|found| found.issuer))
            .or_else(|| self.config.known_issuer())
            .ok_or_else(|| {
                Failure::usage("which server? Name it with --server, or set its --issuer")
            })
    }

    /// Where administration is: at the server that is named, or at the address that the settings keep
    /// for it, or else at the issuer. An admin key goes in the clear to this machine alone.
    pub(crate) fn administration(&self) -> Result<String, Failure> {
        if let Some(found) = self.whereabouts() {
            return Ok(found.administration);
        }
        let Some((address, url)) = self.config.known_administration() else {
            return self.issuer();
        };
        match &self.server {
            Some(server) => Ok(server.clone()),
            None if is_of_this_machine(address.ip()) => Ok(url),
            None => Err(Failure::usage(format!(
                "administration is at {url}, on another machine, where an admin key would travel in the \
                 clear: run this there, or name with --server the end of a tunnel on this machine, or an \
                 https address"
            ))),
        }
    }
}

/// Whether what is sent to an address stays on this machine: nothing else can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

/// A client for calls to that server and to no other: it follows no redirect, and asks no proxy for
/// what is on this machine.
pub(crate) fn http_client(issuer: &str) -> Result<reqwest::Client, Failure> {
    let here = Url::parse(issuer).is_ok_and(|url| match url.host() {
        Some(Host::Ipv4(ip)) => is_of_this_machine(ip.into()),
        Some(Host::Ipv6(ip)) => is_of_this_machine(ip.into()),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    });
    let client = reqwest::Client::builder()
        .user_agent(concat!("auth-agent/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN);
    let client = if here { client.no_proxy() } else { client };
    client
        .build()
        .map_err(|error| Failure::failed(told(&error)))
}

/// What went wrong with a call, down to its cause, without the address that it was made to.
pub(crate) fn told(error: &reqwest::Error) -> String {
    let mut told = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        "cannot connect".to_owned()
    } else {
        "the call failed".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    if let Some(cause) = cause {
        told.push_str(": ");
        told.push_str(&cause.to_string());
    }
    told
}
