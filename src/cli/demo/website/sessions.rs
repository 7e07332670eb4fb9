//! Who visits: in memory, under a random cookie, and never more than a demo needs.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, header};

use crate::{
    cli::oidc::{Pending, SignedIn},
    edge,
};

const COOKIE: &str = "demo_session";
/// Sign-ins begun, and sessions, that are remembered; the oldest goes first.
const REMEMBERED: usize = 256;

/// The website's memory.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    pending: VecDeque<Begun>,
    signed_in: VecDeque<(String, SignedIn)>,
}

struct Begun {
    session: String,
    state: String,
    pending: Pending,
}

impl Sessions {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a sign-in that begins, and yields the name of its session.
    pub(super) fn begin(&self, state: String, pending: Pending) -> String {
        let session = random_name();
        let begun = Begun {
            session: session.clone(),
            state,
            pending,
        };
        remember(&mut self.memory().pending, begun);
        session
    }

    /// The sign-in that this session began with that `state`, once.
    pub(super) fn take(&self, session: &str, state: &str) -> Option<Pending> {
        let pending = &mut self.memory().pending;
        let mut begun = pending.iter();
        let at = begun.position(|begun| begun.session == session && begun.state == state)?;
        pending.remove(at).map(|begun| begun.pending)
    }

    /// Remembers who signed in, and yields the name of the session.
    pub(super) fn sign_in(&self, who: SignedIn) -> String {
        let session = random_name();
        remember(&mut self.memory().signed_in, (session.clone(), who));
        session
    }

    /// Who is signed in in that session.
    pub(super) fn signed_in(&self, session: &str) -> Option<SignedIn> {
        let memory = self.memory();
        memory
            .signed_in
            .iter()
            .find(|(name, _)| name == session)
            .map(|(_, who)| who.clone())
    }

    /// Anyone who is signed in and fits.
    pub(super) fn find(&self, fits: impl Fn(&SignedIn) -> bool) -> Option<SignedIn> {
        self.memory()
            .signed_in
            .iter()
            .map(|(_, who)| who)
            .find(|who| fits(who))
            .cloned()
    }

    /// Forgets a session.
    pub(super) fn end(&self, session: &str) {
        self.memory().signed_in.retain(|(name, _)| name != session);
    }
}

fn remember<T>(memory: &mut VecDeque<T>, new: T) {
    if memory.len() >= REMEMBERED {
        memory.pop_front();
    }
    memory.push_back(new);
}

/// 256 random bits.
fn random_name() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(edge::random::<32>())
}

/// `Set-Cookie` for a session.
pub(super) fn session_cookie(session: &str) -> String {
    format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax")
}

/// The session that a browser names.
pub(super) fn session_in(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn who(agent_id: &str) -> SignedIn {
        SignedIn {
            agent_id: agent_id.into(),
            owner: "Ada".into(),
            model: "m".into(),
            binding: "browser".into(),
            algorithm: "RS256".into(),
        }
    }

    #[test]
    fn a_session_ends_and_the_oldest_goes_first() {
        let sessions = Sessions::default();
        let first = sessions.sign_in(who("first"));
        let second = sessions.sign_in(who("second"));
        assert_eq!(sessions.signed_in(&second), Some(who("second")));
        sessions.end(&second);
        assert_eq!(sessions.signed_in(&second), None);
        assert!(sessions.find(|who| who.agent_id == "first").is_some());
        for _ in 0..REMEMBERED {
            sessions.sign_in(who("other"));
        }
        assert_eq!(sessions.signed_in(&first), None);
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(session_in(&headers), None);
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=b; not_demo_session=x"),
        );
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("c; demo_session=abc; d=e"),
        );
        assert_eq!(session_in(&headers), Some("abc"));
    }
}
