//! What a request carries: its form or JSON parameters, its cookies, its caller's address.

mod accept;
mod body;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Request},
    http::request::Parts,
};
use http::{HeaderMap, header};

pub(crate) use accept::preferred;
pub(crate) use body::*;

use super::{ApiError, app::App, layer::CallId};
use crate::{
    domain::{Actor, Metadata, RequestId},
    oauth::{ErrorCode, Parameters},
    trace,
};

/// The parameters of a POST to an OAuth endpoint: a form, or a JSON object of strings. The query is
/// ignored (RFC 6749 §3.2: parameters in the URL are not parameters).
pub(crate) struct Form(pub(crate) Parameters);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let parameters = parameters_of(request).await?;
        if parameters.contains_nul() {
            return Err(ApiError::from(crate::oauth::Malformed::Nul));
        }
        Ok(Self(parameters))
    }
}

/// The same before any check of them: /authorize tells a fault to the website where it may.
pub(crate) async fn parameters_of(request: Request) -> Result<Parameters, ApiError> {
    let media_type = media_type(request.headers());
    let body = body_within(request, MAX_BODY_BYTES).await?;
    match media_type.as_deref() {
        Some("application/x-www-form-urlencoded") => Ok(Parameters::from_form(&body)),
        Some("application/json") => Ok(Parameters::from_json(&body)?),
        // Nothing at all is a form without parameters.
        None if body.is_empty() => Ok(Parameters::default()),
        _ => Err(not_a_form()),
    }
}

/// 415 for parameters in another format.
pub(crate) fn not_a_form() -> ApiError {
    ApiError::new(
        ErrorCode::UnsupportedMediaType,
        "send the parameters as application/x-www-form-urlencoded",
    )
}

/// The id at the end of a path, as sent. What is not UTF-8 is no id of anything, so it is found
/// nowhere rather than refused in other words than the rest.
pub(crate) struct PathId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.map(|Path(id)| id).unwrap_or_default();
        if let Ok(request) = id.parse() {
            trace::is_about(&request);
        }
        Ok(Self(id))
    }
}

/// Where a call came from, and by which `X-Request-Id` it is known.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The caller's network address: the peer's, or what a trusted proxy says.
    pub(crate) address: IpAddr,
    /// Whether `address` is the caller's own, and not that of a proxy which others come through too.
    pub(crate) address_is_its_own: bool,
    /// The call's own id.
    pub(crate) call_id: String,
}

impl Caller {
    /// What identifies the network the call came from: the address, or of IPv6 the /64.
    pub(crate) fn network(&self) -> Vec<u8> {
        /// 64:ff9b::/96 (RFC 6052 §2.1): one prefix for the whole of IPv4 behind a translator.
        const TRANSLATED: [u8; 12] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
        /// 2001::/32 (RFC 4380 §4): strangers behind one Teredo server share their /64.
        const TEREDO: [u8; 4] = [0x20, 0x01, 0, 0];
        match self.address.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => {
                let octets = address.octets();
                if octets.starts_with(&TRANSLATED) {
                    octets[12..].to_vec()
                } else if octets.starts_with(&TEREDO) {
                    octets.to_vec()
                } else {
                    octets[..8].to_vec()
                }
            }
        }
    }

    /// What the log keeps of this call.
    pub(crate) fn metadata(&self, actor: Actor, address_hash: Option<String>) -> Metadata {
        Metadata {
            actor,
            address_hash,
            request_id: Some(self.call_id.clone()),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, Self::Rejection> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip());
        let call_id = parts.extensions.get::<CallId>().map(|id| id.0.clone());
        let proxies = app.trusted_proxies.get();
        let (address, address_is_its_own) = match peer {
            // A call without a peer is made inside the process, by the local operator.
            None => (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), true),
            Some(peer) if proxies.trust(peer) => {
                let told = proxies.forwarded(&parts.headers);
                (told.unwrap_or(peer), told.is_some())
            }
            // We speak no TLS: whoever reaches an https issuer comes through some proxy, and this one
            // is not known to say for whom it calls.
            Some(peer) => (peer, !app.secure),
        };
        Ok(Self {
            address,
            address_is_its_own,
            call_id: call_id.unwrap_or_default(),
        })
    }
}

/// The requests' cookies that a call carries, as sent: not one of them is proved yet.
#[derive(Clone, Default)]
pub(crate) struct RequestCookies(Vec<(RequestId, String)>);

impl RequestCookies {
    /// Reads what bears our prefix. What stands beside it is anybody's, in any bytes.
    pub(crate) fn read(headers: &HeaderMap, prefix: &str) -> Self {
        let ours = |pair: &[u8]| {
            let pair = pair.trim_ascii().strip_prefix(prefix.as_bytes())?;
            let (id, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
            Some((id.parse::<RequestId>().ok()?, value.to_owned()))
        };
        let mut found: Vec<_> = headers
            .get_all(header::COOKIE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .filter_map(ours)
            .collect();
        // Request ids are ordered by time: the newest comes first.
        found.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        Self(found)
    }

    /// The values sent for one request: several, when somebody planted another beside ours.
    pub(crate) fn of(&self, request: &RequestId) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(id, _)| id == request)
            .map(|(_, value)| value.as_str())
    }

    /// The requests, newest first, each once.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &RequestId> {
        self.0
            .chunk_by(|one, next| one.0 == next.0)
            .filter_map(|same| same.first())
            .map(|(id, _)| id)
    }

    /// Request and value of each cookie, newest first.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&RequestId, &str)> {
        self.0.iter().map(|(id, value)| (id, value.as_str()))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_ipv4_address_or_an_ipv6_slash_64_unless_strangers_share_it() {
        let network = |address: &str| {
            let caller = Caller {
                address: address.parse().unwrap(),
                address_is_its_own: true,
                call_id: String::new(),
            };
            caller.network()
        };
        assert_eq!(network("2001:db8::1"), network("2001:db8::2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("64:ff9b::192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("64:ff9b::192.0.2.1"), network("64:ff9b::192.0.2.2"));
        assert_ne!(network("2001::1"), network("2001::2"));
    }

    #[test]
    fn cookies_are_read_newest_first_whatever_stands_beside_them() {
        let ids: Vec<RequestId> = (1..=40u128)
            .map(|n| RequestId::from_uuid(uuid::Uuid::from_u128(n << 80)))
            .collect();
        let mut headers = HeaderMap::new();
        for id in &ids {
            let neighbours = format!("name=J\u{f6}rg; aa_{id}=v1;aa_=x; ;;=; aa_req_x=y");
            let value = http::HeaderValue::from_bytes(neighbours.as_bytes()).unwrap();
            headers.append(header::COOKIE, value);
        }
        let twice = format!("other=\u{e9}; aa_{}=planted", ids[3]);
        let twice = http::HeaderValue::from_bytes(twice.as_bytes()).unwrap();
        headers.append(header::COOKIE, twice);

        let cookies = RequestCookies::read(&headers, "aa_");
        let newest_first: Vec<_> = ids.iter().rev().copied().collect();
        assert_eq!(
            cookies.requests().copied().collect::<Vec<_>>(),
            newest_first
        );
        assert_eq!(cookies.of(&ids[3]).collect::<Vec<_>>(), ["v1", "planted"]);
        assert_eq!(cookies.of(&ids[0]).collect::<Vec<_>>(), ["v1"]);
        assert_eq!(cookies.pairs().count(), 41);
        assert!(RequestCookies::read(&headers, "__Host-aa_").is_empty());
    }
}
