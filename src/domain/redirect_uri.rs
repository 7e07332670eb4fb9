//! Redirect URIs: what may be registered, and what matches (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §4.1).

use url::{Host, Url};

/// A redirect URI that may be registered, kept as the exact text given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri(String);

/// Why a text may not be registered as a redirect URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// Not an absolute URI.
    #[error("is not an absolute URI")]
    NotAbsolute,
    /// Plain `http` to a host that is not loopback.
    #[error(
        "uses http on a host that is not loopback: use https (http is allowed only for 127.0.0.1, [::1] and localhost)"
    )]
    InsecureHttp,
    /// A private-use scheme without a dot, or for a confidential client.
    #[error(
        "uses the scheme `{0}`: allowed are https, http on loopback, and for a public client a private-use scheme with a dot in it, such as com.example.app (RFC 8252 section 7.1)"
    )]
    Scheme(String),
    /// It carries a fragment.
    #[error("has a fragment (the part after `#`): remove it (RFC 6749 section 3.1.2)")]
    Fragment,
    /// It holds a wildcard in its host.
    #[error("contains a wildcard (`*`): register each address in full")]
    Wildcard,
    /// It carries a user name or password.
    #[error("contains a user name or password before the host: remove it")]
    UserInfo,
    /// A browser would read it as another text than the one that is compared and shown.
    #[error("would be read by a browser as `{0}`: register that, if it is meant")]
    Spelling(String),
    /// Its query holds a parameter that an answer of ours would say again.
    #[error("has `{0}` in its query, which the answer itself will carry: choose another name")]
    ResponseParameter(&'static str),
    /// A `%` that encodes nothing.
    #[error("contains a `%` that is not followed by two hexadecimal digits")]
    Escape,
    /// Control characters, spaces or anything that a header cannot carry.
    #[error("contains a character that is not allowed in a URI: encode it")]
    Characters,
    /// Longer than [`RedirectUri::MAX_BYTES`].
    #[error("is longer than 2,048 bytes")]
    TooLong,
}

/// What our answers put into the query (RFC 6749 §4.1.2, RFC 9207 §2).
const RESPONSE_PARAMETERS: [&str; 5] = ["code", "state", "iss", "error", "error_description"];

impl RedirectUri {
    /// Longest accepted text, in bytes.
    pub const MAX_BYTES: usize = 2_048;

    /// Checks what an administrator wants to register. `public` says that the client has no secret.
    ///
    /// # Errors
    ///
    /// [`InvalidRedirectUri`] says which rule it breaks.
    pub fn register(text: &str, public: bool) -> Result<Self, InvalidRedirectUri> {
        use InvalidRedirectUri as Fault;
        if text.len() > Self::MAX_BYTES {
            return Err(Fault::TooLong);
        }
        if !text.bytes().all(|b| {
            b.is_ascii_graphic()
                && !matches!(
                    b,
                    b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
                )
        }) {
            return Err(Fault::Characters);
        }
        if text.contains('*') {
            return Err(Fault::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| Fault::NotAbsolute)?;
        if url.fragment().is_some() {
            return Err(Fault::Fragment);
        }
        let (written, parsed) = (Parts::of(text), Parts::of(url.as_str()));
        if written.authority.contains('@') {
            return Err(Fault::UserInfo);
        }
        if !has_whole_escapes(text) {
            return Err(Fault::Escape);
        }
        // Browsers forgive missing slashes, resolve dots and rewrite hosts; then the text that is
        // matched and shown would not be where the code goes.
        if written != parsed {
            return Err(Fault::Spelling(url.to_string()));
        }
        // Which of two a website would read depends on its library.
        if let Some(name) = RESPONSE_PARAMETERS
            .into_iter()
            .find(|name| url.query_pairs().any(|(sent, _)| sent == *name))
        {
            return Err(Fault::ResponseParameter(name));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(Fault::InsecureHttp),
            scheme if public && scheme.contains('.') => {}
            scheme => return Err(Fault::Scheme(scheme.to_owned())),
        }
        Ok(Self(text.to_owned()))
    }

    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is `registered`: the very same text, or, for a public client's loopback
    /// IP redirect, the same apart from the port (RFC 8252 §7.3).
    #[must_use]
    pub fn matches(registered: &str, presented: &str, public: bool) -> bool {
        if registered == presented {
            return true;
        }
        if !public || presented.len() > Self::MAX_BYTES {
            return false;
        }
        match (
            without_loopback_port(registered),
            without_loopback_port(presented),
        ) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
    }

    /// Whether the port of `registered` may differ, for a public client.
    #[must_use]
    pub fn has_any_port(registered: &str) -> bool {
        without_loopback_port(registered).is_some()
    }
}

/// A URI cut up as text (RFC 3986 §3), without its query.
#[derive(PartialEq, Eq)]
struct Parts<'a> {
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        // A host alone is asked for its root (RFC 9110 §4.2.3).
        let path = if path.is_empty() { "/" } else { path };
        Self {
            scheme,
            authority,
            path,
        }
    }
}

fn has_whole_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.count() == 2
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// `http://127.0.0.1` or `http://[::1]`, and what follows the port, as text: no normalisation, so
/// that nothing but the port can differ.
fn without_loopback_port(text: &str) -> Option<(&'static str, &str)> {
    for host in ["http://127.0.0.1", "http://[::1]"] {
        if let Some(rest) = text.strip_prefix(host) {
            let after = match rest.strip_prefix(':') {
                None => rest,
                Some(port) => {
                    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
                    port[..digits].parse::<u16>().ok()?;
                    &port[digits..]
                }
            };
            let ends_authority = after.is_empty() || after.starts_with(['/', '?']);
            return ends_authority.then_some((host, after));
        }
    }
    None
}

/// Scheme, host and port of a redirect URI as the waiting page shows it: no port for loopback, the
/// bare scheme for a private-use one.
#[must_use]
pub fn display_origin(redirect_uri: &str) -> String {
    let Ok(url) = Url::parse(redirect_uri) else {
        return String::new();
    };
    match url.scheme() {
        "http" | "https" => {
            let host = url.host_str().unwrap_or_default();
            match url.port() {
                Some(port) if !is_loopback(&url) => format!("{}://{host}:{port}", url.scheme()),
                _ => format!("{}://{host}", url.scheme()),
            }
        }
        scheme => scheme.to_owned(),
    }
}

/// Whether the origin that an agent means (`expected_origin`) is `origin`, compared normalised:
/// case, default ports and a trailing slash do not matter; for loopback the port does not either.
#[must_use]
pub fn same_origin(expected: &str, origin: &str) -> bool {
    fn normal(text: &str) -> Option<(String, String, Option<u16>)> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?.trim_end_matches('.').to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let port = if is_loopback(&url) {
            None
        } else {
            url.port_or_known_default()
        };
        Some((url.scheme().to_owned(), host, port))
    }
    match (normal(expected), normal(origin)) {
        (Some(a), Some(b)) => a == b,
        // A private-use scheme has no host: it is compared as the bare scheme.
        _ => expected
            .trim_end_matches([':', '/'])
            .eq_ignore_ascii_case(origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_uris_are_registered() {
        use InvalidRedirectUri as Fault;
        let refuse = |text: &str| RedirectUri::register(text, true).unwrap_err();
        assert_eq!(refuse("http://example.com/cb"), Fault::InsecureHttp);
        assert_eq!(
            refuse("http://127.0.0.1.example.com/cb"),
            Fault::InsecureHttp
        );
        assert_eq!(refuse("https://example.com/cb#x"), Fault::Fragment);
        assert_eq!(refuse("https://example.com/cb#"), Fault::Fragment);
        assert_eq!(refuse("https://*.example.com/cb"), Fault::Wildcard);
        assert_eq!(refuse("https://user@example.com/cb"), Fault::UserInfo);
        assert_eq!(refuse("https://user:pass@example.com/cb"), Fault::UserInfo);
        assert_eq!(refuse("https://@example.com/cb"), Fault::UserInfo);
        assert_eq!(refuse("https://:@example.com/cb"), Fault::UserInfo);
        assert_eq!(refuse("com.example.app://user@host/cb"), Fault::UserInfo);
        assert_eq!(refuse("https://example.com/%zz"), Fault::Escape);
        for name in ["code", "state", "iss", "error", "error_description"] {
            let text = format!("https://example.com/cb?a=b&{name}=1");
            assert_eq!(refuse(&text), Fault::ResponseParameter(name));
        }
        assert_eq!(refuse("https://example.com/cb?x=%1"), Fault::Escape);
        assert_eq!(refuse("/cb"), Fault::NotAbsolute);
        assert_eq!(refuse("https://example.com/a b"), Fault::Characters);
        assert_eq!(refuse("https://example.com/\r\nx"), Fault::Characters);
        assert_eq!(
            refuse("javascript:alert(1)"),
            Fault::Scheme("javascript".into())
        );
        assert_eq!(refuse("myapp:/cb"), Fault::Scheme("myapp".into()));
        assert!(RedirectUri::register("com.example.app:/cb", true).is_ok());
        assert!(RedirectUri::register("com.example.app:/cb", false).is_err());
        assert!(RedirectUri::register("http://localhost:4000/cb", false).is_ok());
        assert!(RedirectUri::register("https://example.com/cb?x=1", false).is_ok());
    }

    #[test]
    fn what_a_browser_would_read_as_something_else_is_refused_with_what_it_would_read() {
        for (text, read) in [
            ("https:/example.com/cb", "https://example.com/cb"),
            ("https:example.com/cb", "https://example.com/cb"),
            ("https:///example.com/cb", "https://example.com/cb"),
            ("HTTPS://example.com/cb", "https://example.com/cb"),
            ("https://Example.com/cb", "https://example.com/cb"),
            ("https://ex%61mple.com/cb", "https://example.com/cb"),
            ("https://example.com:443/cb", "https://example.com/cb"),
            ("https://example.com:/cb", "https://example.com/cb"),
            (
                "https://example.com:08443/cb",
                "https://example.com:8443/cb",
            ),
            ("https://example.com/a/../cb", "https://example.com/cb"),
            ("https://example.com/%2e%2E/cb", "https://example.com/cb"),
            ("https://example.com/./cb?x=y", "https://example.com/cb?x=y"),
            ("http://2130706433/cb", "http://127.0.0.1/cb"),
            ("http://127.1/cb", "http://127.0.0.1/cb"),
            ("http://[0:0::1]:80/cb", "http://[::1]/cb"),
            ("com.Example.App:/cb", "com.example.app:/cb"),
        ] {
            assert_eq!(
                RedirectUri::register(text, true),
                Err(InvalidRedirectUri::Spelling(read.to_owned())),
                "{text}"
            );
        }
        for text in [
            "https://example.com",
            "https://example.com?x=y",
            "https://example.com/?",
            "https://example.com:8443/a%20b//c/?next=/../x&q='%2e%2e'",
            "https://xn--bcher-kva.example/cb",
            "http://[::1]:8080/cb",
            "http://localhost:1/cb",
            "com.example.app:/cb",
            "com.example.app:cb",
            "com.example.app://cb",
        ] {
            assert!(RedirectUri::register(text, true).is_ok(), "{text}");
        }
    }

    #[test]
    fn only_a_loopback_port_of_a_public_client_may_differ() {
        let m = RedirectUri::matches;
        assert!(m("http://127.0.0.1/cb", "http://127.0.0.1:5123/cb", true));
        assert!(m("http://[::1]:1/cb?a=b", "http://[::1]:5123/cb?a=b", true));
        assert!(!m("http://127.0.0.1/cb", "http://127.0.0.1:5123/cb", false));
        assert!(!m("http://localhost/cb", "http://localhost:5123/cb", true));
        assert!(!m("http://127.0.0.1/cb", "http://127.0.0.1:5123/cb/", true));
        assert!(!m(
            "http://127.0.0.1/cb",
            "http://127.0.0.1:80@evil.example/cb",
            true
        ));
        assert!(!m("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb", true));
        assert!(!m(
            "http://127.0.0.1/cb",
            "http://127.0.0.1.evil.example/cb",
            true
        ));
        assert!(!m("https://a.example/cb", "https://a.example:443/cb", true));
        assert!(!m("https://a.example/cb", "https://A.example/cb", true));
    }

    #[test]
    fn origins_are_shown_and_compared_normalised() {
        assert_eq!(
            display_origin("http://127.0.0.1:9999/cb"),
            "http://127.0.0.1"
        );
        assert_eq!(
            display_origin("https://a.example:8443/cb"),
            "https://a.example:8443"
        );
        assert_eq!(display_origin("com.example.app:/cb"), "com.example.app");
        assert!(same_origin("HTTPS://A.example:443/", "https://a.example"));
        assert!(same_origin("com.example.app", "com.example.app"));
        assert!(!same_origin("https://a.example:8443", "https://a.example"));
        assert!(!same_origin("http://a.example", "https://a.example"));
        assert!(!same_origin(
            "https://a.example@evil.example",
            "https://a.example"
        ));
        assert!(!same_origin("", "https://a.example"));
    }
}
