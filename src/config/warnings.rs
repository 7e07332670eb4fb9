//! Settings that can be used, and yet are likely to be a mistake.

use super::{Config, Limits};

/// For how long websites keep the key set that pay no heed to `Cache-Control`, in seconds: many libraries do
/// so for five minutes.
const KEY_SET_KEPT: u64 = 300;

impl Config {
    /// What a production server should not be without, each in one line with what to do.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        [self.open_door(), self.missing_limits(), self.sudden_keys()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// We speak no TLS: an admin key that travels to another machine can be read on its way.
    fn open_door(&self) -> Option<String> {
        let address = self.admin_listen?;
        (!address.ip().is_loopback()).then(|| {
            format!(
                "--admin-listen {address} is not loopback: keep it inside a network that you trust, for \
                 metrics need no key there and admin keys travel in the clear"
            )
        })
    }

    /// Limits hold from a reload on, so it is told then too.
    pub(crate) fn missing_limits(&self) -> Option<String> {
        let https = self
            .issuer
            .as_deref()
            .is_some_and(|issuer| issuer.starts_with("https:"));
        if self.limits() == Limits::OFF {
            Some(
                "all limits are off: nobody is held back, however often they call or guess"
                    .to_owned(),
            )
        } else if https && self.trusted_proxies().is_empty() {
            Some(
                "nobody's address is known behind this https issuer, so limits by address do not hold: \
                 set --trusted-proxies"
                    .to_owned(),
            )
        } else {
            None
        }
    }

    /// A website with an older copy of the key set refuses what a new key signs.
    fn sudden_keys(&self) -> Option<String> {
        (self.key_publish_ahead < KEY_SET_KEPT).then(|| {
            format!(
                "--key-publish-ahead {} is less than {KEY_SET_KEPT} seconds, for which many websites keep the \
                 key set whatever they are told: after a rotation those refuse tokens until they fetch it \
                 again; set {KEY_SET_KEPT} or more",
                self.key_publish_ahead
            )
        })
    }
}
