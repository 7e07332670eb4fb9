//! What follows from the settings, as the parts of the server take it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    thread,
    time::Duration,
};

use super::{Config, Limits, Timeouts, TrustedProxies};
use crate::{
    domain::{KeySchedule, Lifetimes},
    store::Retention,
};

/// Every node has loaded a new derivation key by then.
const NODES_LOAD_WITHIN: Duration = Duration::from_secs(5);

impl Config {
    /// Where the database is, `sqlite://<data dir>/auth-agent.db` unless set. May hold a password.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.database_url.as_ref().map_or_else(
            || format!("sqlite://{}", self.data_dir.join("auth-agent.db").display()),
            |url| url.0.clone(),
        )
    }

    /// The issuer, given or following from the address; `None` when only binding will tell the
    /// port, or when the address is not one to call.
    #[must_use]
    pub fn known_issuer(&self) -> Option<String> {
        let reachable = self.listen.ip().is_loopback() && self.listen.port() != 0;
        (self.issuer.is_some() || reachable).then(|| self.issuer_at(self.listen))
    }

    /// The issuer, given or following from an address that is listened on.
    #[must_use]
    pub(crate) fn issuer_at(&self, address: SocketAddr) -> String {
        self.issuer.clone().unwrap_or_else(|| {
            let url = format!("http://{address}");
            // Through the URL, so that port 80 is written as everyone writes it: not at all.
            url::Url::parse(&url).map_or(url, |url| url.as_str().trim_end_matches('/').to_owned())
        })
    }

    /// Whether the settings say where the server is, or all of that is left at the default.
    #[must_use]
    pub fn says_where_it_is(&self) -> bool {
        let listens_elsewhere = self.listen != SocketAddr::from((Ipv4Addr::LOCALHOST, 3000));
        self.issuer.is_some() || self.admin_listen.is_some() || listens_elsewhere
    }

    /// The address that administration has of its own, if one is set whose port is known, and what is
    /// called there: the issuer's path is part of it.
    #[must_use]
    pub fn known_administration(&self) -> Option<(SocketAddr, String)> {
        let address = self.admin_listen.filter(|address| address.port() != 0)?;
        Some(administration(
            address,
            self.issuer.as_deref().unwrap_or_default(),
        ))
    }

    /// Whose forwarded addresses are believed: nobody's unless set.
    #[must_use]
    pub fn trusted_proxies(&self) -> TrustedProxies {
        self.trusted_proxies.clone().unwrap_or_default()
    }

    /// Where the first start keeps the admin key that it could show nobody.
    #[must_use]
    pub fn admin_key_file(&self) -> PathBuf {
        self.data_dir.join("admin.key")
    }

    /// For how long things live.
    #[must_use]
    pub const fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            request: Duration::from_secs(self.request_lifetime),
            code: Duration::from_secs(self.code_lifetime),
            access_token: Duration::from_secs(self.access_token_lifetime),
            refresh_token_idle: Duration::from_secs(self.refresh_token_idle_lifetime),
            refresh_token: Duration::from_secs(self.refresh_token_lifetime),
            refresh_grace: Duration::from_secs(self.refresh_grace),
        }
    }

    /// For how long ended requests stay in the log, and where they go: `<data dir>/archive` unless set.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let lifetimes = self.lifetimes();
        let set = &self.retention;
        Retention {
            abandoned: set.abandoned(&lifetimes),
            finished: set.finished(&lifetimes),
            folder: set
                .archive_dir
                .clone()
                .unwrap_or_else(|| self.data_dir.join("archive")),
        }
    }

    /// When the server's keys take their next step. Publishing ahead also allows for clocks that differ.
    #[must_use]
    pub fn key_schedule(&self) -> KeySchedule {
        let ahead = Duration::from_secs(self.key_publish_ahead);
        let token = self.lifetimes().access_token + ahead;
        let lifetimes = self.lifetimes();
        KeySchedule {
            signing_ahead: ahead,
            derivation_ahead: ahead.min(NODES_LOAD_WITHIN),
            signing_kept: token,
            derivation_kept: lifetimes.request + lifetimes.code + lifetimes.refresh_token + token,
        }
    }

    /// How often callers may come.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits::from(&self.limits)
    }

    /// How long the other side of a connection may take.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        Timeouts::from(&self.timeouts)
    }

    /// How many secrets are hashed at the same time, at least one.
    #[must_use]
    pub fn hash_permits(&self) -> usize {
        match self.hash_permits {
            0 => (thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2).max(1),
            permits => permits,
        }
    }
}

/// An address that administration listens on, as it is called on this machine, and its URL.
pub(crate) fn administration(listens: SocketAddr, issuer: &str) -> (SocketAddr, String) {
    let mut address = listens;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let path = url::Url::parse(issuer).map_or_else(|_| String::new(), |url| url.path().to_owned());
    let url = format!("http://{address}{}", path.trim_end_matches('/'));
    (address, url)
}
