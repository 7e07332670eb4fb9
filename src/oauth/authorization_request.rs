//! The authorization request (RFC 6749 §4.1.1, OAuth 2.1 §4.1.1) and its checks, an ordered list.

use crate::domain::{Client, CodeChallenge, Scope};

use super::{ErrorCode, Malformed, OAuthError, Parameters, mismatch::redirect_mismatch};

/// Longest `state` that is sent back, in bytes.
pub const MAX_STATE_BYTES: usize = 4_096;
/// Longest `nonce`, in bytes.
pub const MAX_NONCE_BYTES: usize = 1_024;

/// The parameters that may not repeat, apart from those checked before anything can be redirected.
const SINGLE: &[&str] = &[
    "response_type",
    "response_mode",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "prompt",
    "max_age",
    "login_hint",
    "request",
    "request_uri",
];

/// A valid authorization request. No `Debug`: it holds `state` and `nonce`.
#[derive(Clone)]
pub struct AuthorizationRequest {
    /// Where the browser goes back to.
    pub redirect_uri: String,
    /// What is asked for.
    pub scope: Scope,
    /// Returned unchanged.
    pub state: Option<String>,
    /// For the ID token.
    pub nonce: Option<String>,
    /// PKCE, S256.
    pub code_challenge: CodeChallenge,
}

/// Where a fault may be told, once client and redirect URI are known to belong together.
#[derive(Clone)]
pub struct RedirectTarget {
    /// The registered redirect URI.
    pub redirect_uri: String,
    /// The `state`, when it can be sent back.
    pub state: Option<String>,
}

/// A fault that is told to the website by a redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub OAuthError);

type Check = fn(&Parameters, &Client) -> Result<(), OAuthError>;

/// The checks after client and redirect URI, in order; the first that fails answers.
const CHECKS: &[Check] = &[
    no_nul,
    nothing_repeated_or_unreadable,
    state_is_short,
    no_request_object,
    response_type_is_code,
    response_mode_is_query,
    pkce_is_s256,
    scope_is_registered,
    nonce_is_short,
    max_age_is_a_number,
    resource_is_ours_alone,
    prompt_can_be_met,
];

/// The redirect target of a request by a known client. What fails here is told on a page, never by
/// a redirect (RFC 6749 §4.1.2.1).
///
/// # Errors
///
/// What is wrong with the redirect URI.
pub fn redirect_target(
    parameters: &Parameters,
    client: &Client,
) -> Result<RedirectTarget, OAuthError> {
    let refuse = |description: &str| Err(OAuthError::new(ErrorCode::InvalidRequest, description));
    let redirect_uri = match parameters.one("redirect_uri") {
        Err(error) => return refuse(&error.to_string()),
        Ok(None) => return refuse("redirect_uri is missing"),
        Ok(Some(uri)) => uri,
    };
    if !client.allows_redirect_to(redirect_uri) {
        return refuse(&redirect_mismatch(
            &client.registered.redirect_uris,
            redirect_uri,
            client.is_public(),
        ));
    }
    let state = match parameters.one("state") {
        Ok(Some(state)) if state.len() <= MAX_STATE_BYTES && !state.contains('\0') => {
            Some(state.to_owned())
        }
        _ => None,
    };
    Ok(RedirectTarget {
        redirect_uri: redirect_uri.to_owned(),
        state,
    })
}

/// Checks everything else.
///
/// # Errors
///
/// The first fault in the order of the contract, to be sent to `target`.
pub fn check(
    parameters: &Parameters,
    client: &Client,
    target: RedirectTarget,
) -> Result<AuthorizationRequest, Fault> {
    for check in CHECKS {
        check(parameters, client).map_err(Fault)?;
    }
    let one = |name| parameters.one(name).ok().flatten();
    let challenge = one("code_challenge").unwrap_or_default();
    let code_challenge = CodeChallenge::parse(challenge)
        .map_err(|error| Fault(invalid(format!("code_challenge {error}"))))?;
    let scope = match one("scope") {
        None => client.registered.scope.clone(),
        Some(text) => {
            Scope::parse(text).map_err(|error| Fault(invalid_scope(error.to_string())))?
        }
    };
    Ok(AuthorizationRequest {
        redirect_uri: target.redirect_uri,
        scope,
        state: target.state,
        nonce: one("nonce").map(ToOwned::to_owned),
        code_challenge,
    })
}

fn invalid(description: impl AsRef<str>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

fn malformed(error: Malformed) -> OAuthError {
    invalid(error.to_string())
}

fn invalid_scope(description: impl AsRef<str>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidScope, description)
}

fn no_nul(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    if parameters.contains_nul() {
        Err(malformed(Malformed::Nul))
    } else {
        Ok(())
    }
}

fn nothing_repeated_or_unreadable(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    for name in SINGLE {
        parameters.one(name).map_err(malformed)?;
    }
    parameters.all("resource").map(drop).map_err(malformed)
}

fn state_is_short(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    match parameters.one("state") {
        Ok(Some(state)) if state.len() > MAX_STATE_BYTES => {
            Err(invalid("state is longer than 4,096 bytes"))
        }
        _ => Ok(()),
    }
}

fn no_request_object(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    if let Ok(Some(_)) = parameters.one("request") {
        return Err(OAuthError::new(
            ErrorCode::RequestNotSupported,
            "request objects are not supported: send the parameters themselves",
        ));
    }
    if let Ok(Some(_)) = parameters.one("request_uri") {
        return Err(OAuthError::new(
            ErrorCode::RequestUriNotSupported,
            "request_uri is not supported: send the parameters themselves",
        ));
    }
    Ok(())
}

fn response_type_is_code(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    match parameters.one("response_type") {
        Ok(Some("code")) => Ok(()),
        Ok(None) => Err(invalid("response_type is missing: send response_type=code")),
        _ => Err(OAuthError::new(
            ErrorCode::UnsupportedResponseType,
            "the only response_type is code",
        )),
    }
}

fn response_mode_is_query(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    match parameters.one("response_mode") {
        Ok(None | Some("query")) => Ok(()),
        _ => Err(invalid("the only response_mode is query")),
    }
}

fn pkce_is_s256(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    let Ok(Some(challenge)) = parameters.one("code_challenge") else {
        return Err(invalid(
            "code_challenge is missing: PKCE is required (RFC 7636)",
        ));
    };
    match parameters.one("code_challenge_method") {
        Ok(Some("S256")) => {}
        Ok(None) => {
            return Err(invalid(
                "code_challenge_method is missing: send code_challenge_method=S256",
            ));
        }
        _ => return Err(invalid("the only code_challenge_method is S256")),
    }
    CodeChallenge::parse(challenge)
        .map(drop)
        .map_err(|error| invalid(format!("code_challenge {error}")))
}

fn scope_is_registered(parameters: &Parameters, client: &Client) -> Result<(), OAuthError> {
    let Ok(Some(text)) = parameters.one("scope") else {
        return Ok(());
    };
    let scope = Scope::parse(text).map_err(|error| invalid_scope(error.to_string()))?;
    if scope.is_within(&client.registered.scope) {
        Ok(())
    } else {
        Err(invalid_scope(format!(
            "this client may ask for: {}",
            client.registered.scope
        )))
    }
}

fn nonce_is_short(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    match parameters.one("nonce") {
        Ok(Some(nonce)) if nonce.len() > MAX_NONCE_BYTES => {
            Err(invalid("nonce is longer than 1,024 bytes"))
        }
        _ => Ok(()),
    }
}

/// Every sign-in authenticates anew, so any `max_age` is met (OpenID Connect Core §3.1.2.1).
fn max_age_is_a_number(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    match parameters.one("max_age") {
        Ok(Some(text)) if text.parse::<u64>().is_err() => {
            Err(invalid("max_age must be a whole number of seconds"))
        }
        _ => Ok(()),
    }
}

/// Tokens are for this server and for whoever it tells about them; no other resource is known.
fn resource_is_ours_alone(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    let resources = parameters.all("resource").map_err(malformed)?;
    if resources.iter().all(|resource| resource.is_empty()) {
        Ok(())
    } else {
        Err(OAuthError::new(
            ErrorCode::InvalidTarget,
            "no resource server is registered: leave out the parameter resource",
        ))
    }
}

fn prompt_can_be_met(parameters: &Parameters, _: &Client) -> Result<(), OAuthError> {
    let Ok(Some(prompt)) = parameters.one("prompt") else {
        return Ok(());
    };
    let mut values: Vec<&str> = prompt.split(' ').collect();
    values.sort_unstable();
    if values.contains(&"none") {
        return Err(if values == ["none"] {
            OAuthError::new(
                ErrorCode::LoginRequired,
                "every sign-in needs the agent: prompt=none cannot be met",
            )
        } else {
            invalid("prompt=none cannot be combined with other values")
        });
    }
    Ok(())
}

/// The redirect URI with parameters added to its query. The registered text stays as it is, and
/// each value is encoded exactly once (RFC 6749 §4.1.2, appendix B).
#[must_use]
pub fn redirect_to(redirect_uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let query = query.finish();
    let separator = match redirect_uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, existing)) if existing.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{redirect_uri}{separator}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_a_registered_redirect_uri_survives() {
        let to = |uri| redirect_to(uri, &[("code", "a b"), ("state", "ü&=%")]);
        assert_eq!(
            to("https://a.example/cb"),
            "https://a.example/cb?code=a+b&state=%C3%BC%26%3D%25"
        );
        assert_eq!(
            to("https://a.example/cb?x=%20y"),
            "https://a.example/cb?x=%20y&code=a+b&state=%C3%BC%26%3D%25"
        );
        assert_eq!(
            to("https://a.example/cb?"),
            "https://a.example/cb?code=a+b&state=%C3%BC%26%3D%25"
        );
        assert_eq!(
            to("com.example.app:/cb"),
            "com.example.app:/cb?code=a+b&state=%C3%BC%26%3D%25"
        );
    }
}
