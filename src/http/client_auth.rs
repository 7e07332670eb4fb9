//! Client authentication (RFC 6749 §2.3): Basic, in the body, or none for public clients.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use super::{ApiError, app::App, extract::Caller};
use crate::{
    crypto::SecretKind,
    domain::{AuthMethod, Client, ClientId},
    oauth::{ErrorCode, Parameters, form_decoded},
};

/// A client that has authenticated itself, or a public one that has named itself.
pub(crate) struct AuthenticatedClient {
    pub(crate) id: ClientId,
    pub(crate) client: Client,
}

/// What a request presents. No `Debug`.
struct Presented {
    client_id: String,
    secret: Option<Zeroizing<String>>,
    method: AuthMethod,
}

fn refused(description: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidClient, description)
}

/// Authenticates the client of a request. One method only, and the one it is registered for.
///
/// # Errors
///
/// 400 `invalid_request` for two methods at once, 429 `slow_down` after too many failures, 401
/// `invalid_client` otherwise.
pub(crate) async fn authenticate(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<AuthenticatedClient, ApiError> {
    let presented = presented(headers, parameters)?;
    // One message for an unknown client and a wrong secret.
    let wrong = || {
        app.limits
            .authentication_failed(caller, &presented.client_id);
        refused("the client is not known or its authentication failed")
    };
    app.limits
        .admit_authentication(caller, &presented.client_id)?;
    if let Some(secret) = &presented.secret
        && !app
            .proves(SecretKind::Client, &presented.client_id, secret)
            .await?
    {
        return Err(wrong());
    }
    let id: ClientId = presented.client_id.parse().map_err(|_| wrong())?;
    let client = app.store.client(&id).await?.ok_or_else(wrong)?.state;
    if client.is_revoked() {
        return Err(wrong());
    }
    let registered = client.registered.token_endpoint_auth_method;
    let allowed = match (registered, presented.method) {
        (Some(registered), used) => registered == used,
        // Registered without a method: with its secret, either way.
        (None, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost) => true,
        (None, AuthMethod::None) => false,
    };
    if allowed {
        Ok(AuthenticatedClient { id, client })
    } else if presented.secret.is_some() {
        // Only somebody who holds the secret is told what is wrong with the way it was sent.
        let expected = registered.map_or("client_secret_basic", AuthMethod::as_str);
        Err(refused(&format!(
            "this client is registered for {expected}"
        )))
    } else {
        Err(wrong())
    }
}

fn presented(headers: &HeaderMap, parameters: &Parameters) -> Result<Presented, ApiError> {
    let in_body = parameters.one("client_secret")?;
    let named = parameters.one("client_id")?;
    let asserted = parameters.one("client_assertion")?.is_some()
        | parameters.one("client_assertion_type")?.is_some();
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    let in_header = authorization.next();
    if authorization.next().is_some() {
        return Err(ApiError::invalid_request(
            "the Authorization header is repeated",
        ));
    }
    let methods = [in_header.is_some(), in_body.is_some(), asserted];
    if methods.into_iter().filter(|used| *used).count() > 1 {
        return Err(ApiError::invalid_request(
            "more than one client authentication method was used: authenticate once",
        ));
    }
    if asserted {
        return Err(refused("client assertions are not supported"));
    }
    if let Some(value) = in_header {
        let (client_id, secret) =
            value.to_str().ok().and_then(basic).ok_or_else(|| {
                refused("the Authorization header is not valid Basic authentication")
            })?;
        if named.is_some_and(|named| named != client_id) {
            return Err(ApiError::invalid_request(
                "client_id differs between the Authorization header and the body",
            ));
        }
        let method = AuthMethod::ClientSecretBasic;
        return Ok(Presented {
            client_id,
            secret: Some(secret),
            method,
        });
    }
    let client_id = named
        .ok_or_else(|| refused("client authentication is missing"))?
        .to_owned();
    Ok(match in_body {
        Some(secret) => Presented {
            client_id,
            secret: Some(Zeroizing::new(secret.to_owned())),
            method: AuthMethod::ClientSecretPost,
        },
        None => Presented {
            client_id,
            secret: None,
            method: AuthMethod::None,
        },
    })
}

/// `Basic base64(form(id):form(secret))`: both parts are form-encoded before they are joined
/// (RFC 6749 §2.3.1). A malformed `%` is taken literally.
fn basic(value: &str) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(encoded.trim()).ok()?);
    let text = std::str::from_utf8(&decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| {
        let decoded = form_decoded(part.as_bytes());
        let text = std::str::from_utf8(&decoded).ok()?;
        (!text.contains('\0')).then(|| Zeroizing::new(text.to_owned()))
    };
    Some((decode(id)?.to_string(), decode(secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        basic(&format!("Basic {}", BASE64_STANDARD.encode(text)))
            .map(|(id, secret)| (id, secret.to_string()))
    }

    #[test]
    fn both_parts_are_form_decoded_and_a_malformed_escape_is_literal() {
        assert_eq!(read("a%5Fb:c+d%21"), Some(("a_b".into(), "c d!".into())));
        assert_eq!(read("a:%zz%"), Some(("a".into(), "%zz%".into())));
        assert_eq!(read("a:b=c&d"), Some(("a".into(), "b=c&d".into())));
        assert_eq!(read("a:b:c"), Some(("a".into(), "b:c".into())));
        assert_eq!(read("no colon"), None);
        assert_eq!(read("a:"), Some(("a".into(), String::new())));
        assert_eq!(read("a:%00"), None);
        assert_eq!(read("a:%ff"), None);
        assert_eq!(basic("Bearer abc"), None);
        assert_eq!(basic("Basic !!!"), None);
    }
}
