//! The sign-in button's script, which websites of any origin load. It is built from
//! `sdk/typescript/src/widget`, and embedded as built.

use std::sync::LazyLock;

use axum::{
    extract::RawQuery,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::view;

static SCRIPT: &[u8] = include_bytes!("../../static/signin-button.js");
/// Tells one content from another.
static VERSION: LazyLock<String> = LazyLock::new(|| view::asset::hash(SCRIPT));

/// At the address that websites paste: a new version of this program reaches their visitors within
/// the hour, and meanwhile an old button works, as the wire contract does not change.
const WITHIN_THE_HOUR: &str = "public, max-age=3600";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Asked for by a version that this program does not have: it gets what there is.
const NOT_AT_ALL: &str = "no-cache";

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// GET /widget/signin-button.js, and the same with `?v=<version>`, the version being the `ETag`
/// without its quotes.
pub(crate) async fn signin_button(RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let asked = query.as_deref().and_then(|query| query.strip_prefix("v="));
    let kept = match asked {
        None => WITHIN_THE_HOUR,
        Some(version) if version == *VERSION => FOR_EVER,
        Some(_) => NOT_AT_ALL,
    };
    let described = [
        (header::CACHE_CONTROL, kept.to_owned()),
        (header::ETAG, format!("\"{}\"", *VERSION)),
        // Also for pages that isolate themselves (Cross-Origin-Embedder-Policy).
        (CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin".to_owned()),
    ];
    if has_it(&headers) {
        return (StatusCode::NOT_MODIFIED, described).into_response();
    }
    let script = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (described, script, SCRIPT).into_response()
}

/// Whether the caller names what there is (RFC 9110 §13.1.2: compared weakly, as proxies weaken it).
fn has_it(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter();
    named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|tag| tag == "*" || tag == *VERSION)
}
