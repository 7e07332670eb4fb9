//! A website's sign-in, of the demo's or in a website's place: an ordinary OpenID Connect client
//! (authorization code, PKCE, nonce) on a crate that knows nothing of Auth Agent. This is all that a
//! website has to write.

use std::{borrow::Cow, error::Error, fmt::Write as _, future::Future, pin::Pin};

use openidconnect::{
    AccessTokenHash, AdditionalClaims, AsyncHttpClient, AuthType, AuthorizationCode, Client,
    ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, IdTokenFields, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
        CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    cli::{Failure, server::http_client},
    crypto::Secret,
};

/// What Auth Agent says in an ID token beyond the standard claims.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct AgentClaims {
    agent_id: String,
    model: String,
    binding: String,
}

impl AdditionalClaims for AgentClaims {}

type Tokens = StandardTokenResponse<
    IdTokenFields<
        AgentClaims,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

type OidcClient = Client<
    AgentClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What the website was given when it was registered.
pub(crate) struct Registration {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// None for a public client.
    pub(crate) client_secret: Option<Secret>,
    /// Whether the secret goes into the form rather than into a header (RFC 6749 §2.3.1).
    pub(crate) posts_secret: bool,
    pub(crate) redirect_uri: String,
}

/// The website as a client of the server.
pub(crate) struct RelyingParty {
    issuer: String,
    client: OidcClient,
    redirect_uri: RedirectUrl,
    http: Http,
}

/// What the browser brings back (RFC 6749 §4.1.2, RFC 9207).
#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
}

/// What the website must remember while the browser is away.
pub(crate) struct Pending {
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    redirect_uri: RedirectUrl,
}

/// Who signed in, from an ID token that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) agent_id: String,
    /// The person behind the agent.
    pub(crate) owner: String,
    pub(crate) model: String,
    /// How the server knows that the agent drives the browser.
    pub(crate) binding: String,
    /// The signature that was verified.
    pub(crate) algorithm: String,
}

impl RelyingParty {
    /// Reads the server's discovery document and keys.
    pub(crate) async fn discover(registration: Registration) -> Result<Self, Failure> {
        let Registration {
            issuer,
            client_id,
            client_secret,
            posts_secret,
            redirect_uri,
        } = registration;
        let redirect_uri = RedirectUrl::new(redirect_uri).map_err(Failure::failed)?;
        let http = Http(http_client(&issuer)?);
        let issuer_url = IssuerUrl::new(issuer.clone()).map_err(Failure::failed)?;
        let metadata = CoreProviderMetadata::discover_async(issuer_url, &http)
            .await
            .map_err(|error| Failure::failed(format!("discovery failed: {}", chain(&error))))?;
        let secret = client_secret.map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let auth_type = if posts_secret {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        let client = OidcClient::from_provider_metadata(metadata, ClientId::new(client_id), secret)
            .set_redirect_uri(redirect_uri.clone())
            .set_auth_type(auth_type);
        Ok(Self {
            issuer,
            client,
            redirect_uri,
            http,
        })
    }

    /// What the website is registered as.
    pub(crate) fn client_id(&self) -> &str {
        self.client.client_id()
    }

    /// Where the button's script is.
    pub(crate) fn button_script(&self) -> String {
        format!("{}/widget/signin-button.js", self.issuer)
    }

    /// A sign-in that the button began, and that its tab has remembered.
    pub(crate) fn begun_by_button(
        code_verifier: String,
        nonce: String,
        redirect_uri: &Url,
    ) -> Pending {
        Pending {
            nonce: Nonce::new(nonce),
            verifier: PkceCodeVerifier::new(code_verifier),
            redirect_uri: RedirectUrl::from_url(redirect_uri.clone()),
        }
    }

    /// The address to send a browser to, the `state` it will come back with, and what to remember.
    /// `openid` is always among the scopes.
    pub(crate) fn begin(&self, scopes: &[&str]) -> (Url, String, Pending) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = self
            .client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(scopes.iter().map(|scope| Scope::new((*scope).to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        let pending = Pending {
            nonce,
            verifier,
            redirect_uri: self.redirect_uri.clone(),
        };
        (url, state.into_secret(), pending)
    }

    /// Whether an answer is from the server that was asked (RFC 9207 §2.4).
    pub(crate) fn is_from_issuer(&self, iss: Option<&str>) -> bool {
        iss == Some(&self.issuer)
    }

    /// Redeems the code and verifies the ID token: signature, issuer, audience, expiry, nonce, and
    /// that the access token belongs to it.
    ///
    /// # Errors
    ///
    /// In words for the person at the browser.
    pub(crate) async fn finish(&self, code: String, pending: Pending) -> Result<SignedIn, String> {
        let tokens = self
            .client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| error.to_string())?
            .set_pkce_verifier(pending.verifier)
            .set_redirect_uri(Cow::Owned(pending.redirect_uri))
            .request_async(&self.http)
            .await
            .map_err(|error| format!("the code could not be redeemed: {}", chain(&error)))?;
        let id_token = tokens
            .id_token()
            .ok_or("there was no ID token in the answer")?;
        let verifier = self.client.id_token_verifier();
        let claims = id_token
            .claims(&verifier, &pending.nonce)
            .map_err(|error| format!("the ID token is not valid: {}", chain(&error)))?;
        let algorithm = id_token.signing_alg().map_err(|error| error.to_string())?;
        let key = id_token
            .signing_key(&verifier)
            .map_err(|error| error.to_string())?;
        let hash = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
            .map_err(|error| error.to_string())?;
        if claims.access_token_hash() != Some(&hash) {
            return Err("the ID token was made for another access token".to_owned());
        }
        let owner = claims
            .name()
            .and_then(|name| name.get(None))
            .map(|name| name.to_string());
        let AgentClaims {
            agent_id,
            model,
            binding,
        } = claims.additional_claims().clone();
        let algorithm = serde_json::to_value(algorithm).unwrap_or_default();
        Ok(SignedIn {
            agent_id,
            owner: owner.unwrap_or_default(),
            model,
            binding,
            algorithm: algorithm.as_str().unwrap_or_default().to_owned(),
        })
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let _ = write!(told, ": {deeper}");
        cause = deeper.source();
    }
    told
}

/// Our HTTP client in the shape that the crate asks for.
struct Http(reqwest::Client);

/// Why a call of the website's to the server failed.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error("{0}")]
    Call(#[from] reqwest::Error),
    #[error("{0}")]
    Answer(#[from] http::Error),
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.0.execute(request.try_into()?).await?;
            let mut answer = http::Response::builder().status(response.status());
            for (name, value) in response.headers() {
                answer = answer.header(name, value);
            }
            Ok(answer.body(response.bytes().await?.to_vec())?)
        })
    }
}
