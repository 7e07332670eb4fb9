//! What a server takes up while it runs: limits, and whose word about addresses is believed.

use std::sync::{Arc, PoisonError, RwLock};

use super::{app::App, limit::Limits, pending::Pending};
use crate::{
    config::{Config, TrustedProxies},
    domain::{AdministrationFact, Metadata, SettingsReloaded},
    store::Store,
};

/// A value that is read by every call and replaced as a whole.
pub(crate) struct Replaceable<T>(RwLock<Arc<T>>);

impl<T> Replaceable<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// The value of this moment.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

/// A hand on what can change in a running server. It keeps nothing else of it alive.
#[derive(Clone)]
pub struct Reloader {
    limits: Arc<Limits>,
    pending: Arc<Pending>,
    trusted_proxies: Arc<Replaceable<TrustedProxies>>,
    store: std::sync::Weak<Store>,
}

impl Reloader {
    pub(crate) fn of(app: &App) -> Self {
        Self {
            limits: Arc::clone(&app.limits),
            pending: Arc::clone(&app.pending),
            trusted_proxies: Arc::clone(&app.trusted_proxies),
            store: Arc::downgrade(&app.store),
        }
    }

    /// Puts in force what can be of these settings; the next call is held to it.
    pub fn apply(&self, config: &Config) {
        let limits = config.limits();
        self.limits.set(&limits);
        self.pending.set(limits.pending_per_client);
        self.trusted_proxies.set(config.trusted_proxies());
    }

    /// Notes in the log which settings have changed; what is in force does not wait for it.
    pub async fn record(&self, settings: Vec<String>) {
        let Some(store) = self.store.upgrade() else {
            return;
        };
        let fact = AdministrationFact::SettingsReloaded(SettingsReloaded { settings });
        if let Err(error) = store.administered(fact, &Metadata::system()).await {
            tracing::error!(%error, "that settings were reloaded could not be recorded");
        }
    }
}
