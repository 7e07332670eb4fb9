//! The client's stream: a website, with the metadata names of RFC 7591 §2.

mod metadata;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use metadata::{AuthMethod, GrantType, SubjectKind, TokenAlgorithm, UnknownAlgorithm};

use super::{
    Admission, Binding, Decision, Recorded, RedirectUri, RevokedForGood, Scope, SecretRotated,
    event::facts,
};

/// An administrator registered the client. Its secret lives in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRegistered {
    /// The client's own word for itself, at most 64 printable characters.
    pub client_name: String,
    /// Where it may be redirected to, each an exact text.
    pub redirect_uris: Vec<String>,
    /// What it may use at the token endpoint.
    pub grant_types: Vec<GrantType>,
    /// Absent: Basic or post, as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<AuthMethod>,
    /// What it may ask for, and gets when it asks for nothing.
    pub scope: Scope,
    /// How its ID tokens are signed.
    pub id_token_signed_response_alg: TokenAlgorithm,
    /// How its access tokens are signed; absent: [`Self::access_token_algorithm`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_signed_response_alg: Option<TokenAlgorithm>,
    /// Whom `sub` names.
    pub subject: SubjectKind,
    /// The least binding with which an agent may sign in to it.
    pub minimum_binding: Binding,
    /// Its home page, set by an administrator; its origin counts for `expected_origin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
}

impl ClientRegistered {
    /// How its access tokens are signed: quick to sign and short, unless it wants otherwise.
    #[must_use]
    pub fn access_token_algorithm(&self) -> TokenAlgorithm {
        self.access_token_signed_response_alg
            .unwrap_or(TokenAlgorithm::EdDSA)
    }
}

/// The end: pages that wait are denied, all that agents signed in to there is dead, and nobody signs in
/// there again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRevoked {}

facts! {
    /// What can happen to a client.
    ClientFact {
        Registered(ClientRegistered),
        Updated(ClientRegistered),
        SecretRotated(SecretRotated),
        Revoked(ClientRevoked),
    }
}

/// Why a client's registration stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpdateRefusal {
    /// It has ended.
    #[error(transparent)]
    Revoked(#[from] RevokedForGood),
    /// It would become public, or cease to be: it would keep a secret it must not have, or lack one.
    #[error("cannot change between having a secret and having none")]
    SecretOrNone,
}

/// Why a client is given no new secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RotationRefusal {
    /// It is of no more use to it.
    #[error(transparent)]
    Revoked(#[from] RevokedForGood),
    /// It has none.
    #[error("is a public client and has no secret")]
    Public,
}

/// The fold of a client's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// As registered.
    #[serde(flatten)]
    pub registered: ClientRegistered,
    /// Whether anybody may sign in there.
    pub admission: Admission,
}

impl Client {
    /// Adds one fact; `None` when the fact cannot follow, which the log never contains.
    #[must_use]
    pub fn apply(state: Option<Self>, event: &Recorded<ClientFact>) -> Option<Self> {
        match (state, &event.fact) {
            (None, ClientFact::Registered(registered)) => Some(Self {
                registered: registered.clone(),
                admission: Admission::default(),
            }),
            (Some(client), ClientFact::Updated(registered)) if !client.is_revoked() => Some(Self {
                registered: registered.clone(),
                ..client
            }),
            (Some(client), ClientFact::SecretRotated(_)) if !client.is_revoked() => Some(client),
            (Some(client), ClientFact::Revoked(_)) if !client.is_revoked() => Some(Self {
                admission: Admission::revoked_at(event.position),
                ..client
            }),
            _ => None,
        }
    }

    /// Whether it has come to its end: to everybody outside it is as if it had never been.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.admission.is_revoked()
    }

    /// Changes its registration to this, all of it; the same again changes nothing.
    #[must_use]
    pub fn update(&self, to: ClientRegistered) -> Decision<Result<(), UpdateRefusal>, ClientFact> {
        let is_public = to.token_endpoint_auth_method == Some(AuthMethod::None);
        if self.is_revoked() {
            Decision::unchanged(Err(RevokedForGood.into()))
        } else if is_public != self.is_public() {
            Decision::unchanged(Err(UpdateRefusal::SecretOrNone))
        } else if to == self.registered {
            Decision::unchanged(Ok(()))
        } else {
            Decision::with([ClientFact::Updated(to)], Ok(()))
        }
    }

    /// Gives it a new secret, the former one valid until then, if at all.
    #[must_use]
    pub fn rotate_secret(
        &self,
        previous_expires_at: Option<Timestamp>,
    ) -> Decision<Result<(), RotationRefusal>, ClientFact> {
        if self.is_revoked() {
            return Decision::unchanged(Err(RevokedForGood.into()));
        }
        if self.is_public() {
            return Decision::unchanged(Err(RotationRefusal::Public));
        }
        let rotated = SecretRotated {
            previous_expires_at,
        };
        Decision::with([ClientFact::SecretRotated(rotated)], Ok(()))
    }

    /// Ends it for good; a revoked client stays as it is.
    #[must_use]
    pub fn revoke(&self) -> Decision<(), ClientFact> {
        if self.is_revoked() {
            Decision::unchanged(())
        } else {
            Decision::with([ClientFact::Revoked(ClientRevoked {})], ())
        }
    }

    /// Whether it has no secret (RFC 6749 §2.1).
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.registered.token_endpoint_auth_method == Some(AuthMethod::None)
    }

    /// Whether it may be redirected to `uri`.
    #[must_use]
    pub fn allows_redirect_to(&self, uri: &str) -> bool {
        self.registered
            .redirect_uris
            .iter()
            .any(|registered| RedirectUri::matches(registered, uri, self.is_public()))
    }

    /// Whether it may use `grant_type` at the token endpoint.
    #[must_use]
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.registered.grant_types.contains(&grant_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventId;

    fn client(method: Option<AuthMethod>, redirect_uri: &str) -> Client {
        let registered = ClientRegistered {
            client_name: "Profilio".to_owned(),
            redirect_uris: vec![
                "https://profilio.example/".to_owned(),
                redirect_uri.to_owned(),
            ],
            grant_types: vec![GrantType::AuthorizationCode],
            token_endpoint_auth_method: method,
            scope: Scope::parse("openid").unwrap(),
            id_token_signed_response_alg: TokenAlgorithm::EdDSA,
            access_token_signed_response_alg: None,
            subject: SubjectKind::Owner,
            minimum_binding: Binding::None,
            client_uri: None,
        };
        let event = |fact| Recorded {
            position: 1,
            version: 1,
            id: EventId::from_bytes([0; 16]),
            occurred_at: Timestamp::UNIX_EPOCH,
            fact,
        };
        let registered = event(ClientFact::Registered(registered));
        let client = Client::apply(None, &registered).unwrap();
        assert!(
            Client::apply(Some(client.clone()), &registered).is_none(),
            "registered twice"
        );
        client
    }

    #[test]
    fn nothing_follows_the_end() {
        let client = client(None, "");
        let revoke = client.revoke();
        assert_eq!(revoke.facts, [ClientFact::Revoked(ClientRevoked {})]);
        let end = Recorded {
            position: 9,
            version: 2,
            id: EventId::from_bytes([0; 16]),
            occurred_at: Timestamp::UNIX_EPOCH,
            fact: revoke.facts[0].clone(),
        };
        let revoked = Client::apply(Some(client), &end).unwrap();
        assert!(revoked.is_revoked() && revoked.admission.cuts_off(8));
        assert_eq!(revoked.revoke(), Decision::unchanged(()));
        assert_eq!(
            revoked.rotate_secret(None).outcome,
            Err(RotationRefusal::Revoked(RevokedForGood))
        );
        assert_eq!(Client::apply(Some(revoked), &end), None);
        assert_eq!(Client::apply(None, &end), None);
    }

    #[test]
    fn an_update_is_the_whole_registration_and_leaves_a_public_client_public() {
        let before = client(None, "");
        let same = before.registered.clone();
        assert_eq!(before.update(same.clone()), Decision::unchanged(Ok(())));
        let to = ClientRegistered {
            client_name: "Other".to_owned(),
            ..same.clone()
        };
        let updated = before.update(to.clone());
        assert_eq!(updated.facts, [ClientFact::Updated(to.clone())]);
        let event = Recorded {
            position: 2,
            version: 2,
            id: EventId::from_bytes([0; 16]),
            occurred_at: Timestamp::UNIX_EPOCH,
            fact: updated.facts[0].clone(),
        };
        let after = Client::apply(Some(before.clone()), &event).unwrap();
        assert_eq!(after.registered, to);
        let public = ClientRegistered {
            token_endpoint_auth_method: Some(AuthMethod::None),
            ..same
        };
        let refused = Decision::unchanged(Err(UpdateRefusal::SecretOrNone));
        assert_eq!(before.update(public), refused);
    }

    #[test]
    fn only_a_client_with_a_secret_is_given_a_new_one() {
        let public = client(Some(AuthMethod::None), "");
        assert_eq!(
            public.rotate_secret(None),
            Decision::unchanged(Err(RotationRefusal::Public))
        );
        let until = Some(Timestamp::UNIX_EPOCH);
        let rotated = SecretRotated {
            previous_expires_at: until,
        };
        assert_eq!(
            client(None, "").rotate_secret(until),
            Decision::with([ClientFact::SecretRotated(rotated)], Ok(()))
        );
    }

    #[test]
    fn only_a_client_registered_without_a_secret_is_public() {
        assert!(client(Some(AuthMethod::None), "").is_public());
        // No method means Basic or post, never none.
        for method in [
            None,
            Some(AuthMethod::ClientSecretBasic),
            Some(AuthMethod::ClientSecretPost),
        ] {
            assert!(!client(method, "").is_public());
        }
    }

    #[test]
    fn any_of_its_redirect_uris_will_do_and_only_a_public_one_may_change_its_loopback_port() {
        let registered = "http://127.0.0.1/callback";
        let public = client(Some(AuthMethod::None), registered);
        let confidential = client(None, registered);
        for client in [&public, &confidential] {
            assert!(client.allows_redirect_to("https://profilio.example/"));
            assert!(client.allows_redirect_to(registered));
            assert!(!client.allows_redirect_to("https://profilio.example"));
            assert!(!client.allows_redirect_to(""));
        }
        assert!(public.allows_redirect_to("http://127.0.0.1:4711/callback"));
        assert!(!confidential.allows_redirect_to("http://127.0.0.1:4711/callback"));
    }

    #[test]
    fn it_may_use_what_it_was_registered_for() {
        let client = client(None, "");
        assert!(client.may_use(GrantType::AuthorizationCode));
        assert!(!client.may_use(GrantType::RefreshToken));
    }

    #[test]
    fn it_reads_back_as_it_was_written_under_the_names_of_rfc_7591() {
        for method in [
            AuthMethod::None,
            AuthMethod::ClientSecretBasic,
            AuthMethod::ClientSecretPost,
        ] {
            let client = client(Some(method), "");
            let stored = serde_json::to_value(&client).unwrap();
            assert_eq!(stored["token_endpoint_auth_method"], method.as_str());
            assert_eq!(stored["grant_types"][0], "authorization_code");
            assert_eq!(stored["id_token_signed_response_alg"], "EdDSA");
            assert_eq!(serde_json::from_value::<Client>(stored).unwrap(), client);
        }
    }
}
