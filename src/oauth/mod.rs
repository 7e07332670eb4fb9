//! The protocol's vocabulary: error codes, parameters, the checks of `GET /authorize` in order, and
//! the metadata document. No HTTP here: `http` turns these into responses.

mod authorization_request;
mod error;
mod metadata;
mod mismatch;
mod parameters;

pub use authorization_request::{
    AuthorizationRequest, Fault, MAX_NONCE_BYTES, MAX_STATE_BYTES, RedirectTarget, check,
    redirect_target, redirect_to,
};
pub use error::{ErrorCode, OAuthError};
pub use metadata::{Endpoints, SCOPES_SUPPORTED, metadata};
pub use parameters::{Malformed, Parameters, form_decoded};
