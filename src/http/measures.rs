//! What is counted while requests are served. What moves a count holds a handle on it, or finds it by
//! a word that stands in the program: nothing is written out when it is moved, and nothing that a
//! caller sends becomes a label.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock, atomic::AtomicI64},
    time::Duration,
};

use http::{Method, StatusCode};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

use super::ApiError;

/// Every count of a server.
#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) connections: Arc<Connections>,
    pub(crate) routes: Routes,
    pub(crate) steps: Steps,
}

impl Measures {
    /// `base_path`: the issuer's own, which stands in no label.
    pub(crate) fn new(base_path: &str) -> Self {
        Self {
            connections: Arc::default(),
            routes: Routes::new(base_path),
            steps: Steps::default(),
        }
    }
}

// ---- connections -------------------------------------------------------------------------------

/// Connections, and why they were closed from here.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    pub(crate) open: Gauge<i64, AtomicI64>,
    pub(crate) slow_heads: Counter,
    pub(crate) slow_bodies: Counter,
    pub(crate) idle: Counter,
    pub(crate) unread: Counter,
    pub(crate) made_way: Counter,
    pub(crate) turned_away: Counter,
}

/// A connection that is open until this is dropped.
pub(super) struct Open<'a>(&'a Connections);

impl Connections {
    pub(super) fn opened(&self) -> Open<'_> {
        self.open.inc();
        Open(self)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

// ---- requests ----------------------------------------------------------------------------------

/// Where what is no path of ours is counted.
const NO_ROUTE: &str = "other";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The labels of answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AnswerLabels {
    route: String,
    method: &'static str,
    status: &'static str,
}

/// The label of what is measured for a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabel {
    route: String,
}

/// Requests by the template of their path. Templates are the router's own, so there are few.
#[derive(Debug)]
pub(crate) struct Routes {
    /// The issuer's path, which is left out.
    base_path: String,
    known: RwLock<HashMap<String, Arc<Route>>>,
    pub(crate) answered: Family<AnswerLabels, Counter>,
    pub(crate) seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
}

/// Handles on one route's counts.
#[derive(Debug)]
struct Route {
    name: String,
    answered: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
    seconds: Histogram,
}

impl Routes {
    fn new(base_path: &str) -> Self {
        Self {
            base_path: base_path.to_owned(),
            known: RwLock::default(),
            answered: Family::default(),
            seconds: Family::new_with_constructor(latency),
        }
    }

    /// Counts an answer to a request for a path of that template.
    pub(crate) fn answered(
        &self,
        template: Option<&str>,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let route = self.of(template.unwrap_or(NO_ROUTE));
        let method = METHODS
            .iter()
            .position(|name| *name == method.as_str())
            .unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let counter = route.answered[method][class].get_or_init(|| {
            self.answered.get_or_create_owned(&AnswerLabels {
                route: route.name.clone(),
                method: METHODS[method],
                status: CLASSES[class],
            })
        });
        counter.inc();
        route.seconds.observe(took.as_secs_f64());
    }

    fn of(&self, template: &str) -> Arc<Route> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = known.get(template) {
            return Arc::clone(route);
        }
        drop(known);
        let name = template.strip_prefix(&*self.base_path).unwrap_or(template);
        let name = if name.is_empty() { "/" } else { name };
        let label = RouteLabel {
            route: name.to_owned(),
        };
        let route = Arc::new(Route {
            name: name.to_owned(),
            answered: Default::default(),
            seconds: self.seconds.get_or_create_owned(&label),
        });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(template.to_owned()).or_insert(route))
    }
}

/// From half a millisecond to ten seconds.
fn latency() -> Histogram {
    Histogram::new([
        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

// ---- the sign-in -------------------------------------------------------------------------------

/// One label whose values stand in the program.
pub(crate) type Label = [(&'static str, &'static str); 1];

/// What becomes of each step of a sign-in.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(crate) authorize: Family<Label, Counter>,
    pub(crate) authenticate: Family<Label, Counter>,
    pub(crate) token: Family<[(&'static str, &'static str); 2], Counter>,
    pub(crate) introspect: Family<Label, Counter>,
    pub(crate) revoke: Family<Label, Counter>,
    /// Seconds from a sign-in's commit to its redirect on the way to the page.
    pub(crate) push_seconds: Histogram,
}

impl Default for Steps {
    fn default() -> Self {
        let token = Family::default();
        for grant_type in ["authorization_code", "refresh_token"] {
            drop(token.get_or_create(&[("grant_type", grant_type), ("outcome", "issued")]));
        }
        Self {
            authorize: beginning_with(&["created", "reloaded"]),
            authenticate: beginning_with(&["authenticated"]),
            token,
            introspect: beginning_with(&["active", "inactive"]),
            revoke: beginning_with(&["ok"]),
            push_seconds: Histogram::new([
                0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0,
            ]),
        }
    }
}

/// Counts whose usual outcomes stand at 0 from the start, so that the first of them is an increase.
fn beginning_with(outcomes: &[&'static str]) -> Family<Label, Counter> {
    let family = Family::default();
    for outcome in outcomes {
        drop(family.get_or_create(&[("outcome", *outcome)]));
    }
    family
}

/// Counts what came of a step: one of its good outcomes, or the code of its error.
pub(crate) fn came_of(step: &Family<Label, Counter>, outcome: &'static str) {
    step.get_or_create(&[("outcome", outcome)]).inc();
}

/// The word for what came of it.
pub(crate) fn outcome<T>(result: &Result<T, ApiError>, good: &'static str) -> &'static str {
    result
        .as_ref()
        .map_or_else(|error| error.error.code.as_str(), |_| good)
}

impl Steps {
    /// Counts a call of /token. An unknown `grant_type` is nobody's label.
    pub(crate) fn token_came_of(&self, grant_type: Option<&str>, outcome: &'static str) {
        let grant_type = match grant_type {
            Some("authorization_code") => "authorization_code",
            Some("refresh_token") => "refresh_token",
            _ => "other",
        };
        let labels = [("grant_type", grant_type), ("outcome", outcome)];
        self.token.get_or_create(&labels).inc();
    }
}
