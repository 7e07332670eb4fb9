//! The issuer identifier (RFC 8414 §2): taken in one spelling only.

use url::{Host, Url};

/// A text that cannot be the issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuer {
    /// Not a URL with a host.
    #[error("not a URL, such as https://auth.example")]
    NotAUrl,
    /// Plain `http` to a host that is not loopback, or another scheme.
    #[error("must use https (http is allowed only for 127.0.0.1, [::1] and localhost)")]
    Scheme,
    /// RFC 8414 §2 allows neither.
    #[error("must have no query and no fragment")]
    QueryOrFragment,
    /// A user name or password.
    #[error("must have no user name or password")]
    UserInfo,
    /// Another spelling of a URL: websites compare issuers byte for byte.
    #[error("write it as {0}")]
    Spelling(String),
    /// RFC 8615 keeps these paths, and discovery puts our own documents there.
    #[error("its path must not begin with /.well-known")]
    WellKnown,
    /// A path that is not made of plain segments.
    #[error("its path may hold letters, digits and . _ ~ - only")]
    Path,
}

/// Reads an issuer. A trailing slash, an upper-case host, a default port or a dot segment is
/// refused, naming the spelling to use, rather than quietly changed: whoever configures a website
/// must copy the very same bytes.
///
/// # Errors
///
/// [`InvalidIssuer`] says which rule it breaks.
pub fn issuer(text: &str) -> Result<String, InvalidIssuer> {
    let url = Url::parse(text).map_err(|_| InvalidIssuer::NotAUrl)?;
    let loopback = match url.host() {
        None => return Err(InvalidIssuer::NotAUrl),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidIssuer::UserInfo);
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err(InvalidIssuer::Scheme),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidIssuer::QueryOrFragment);
    }
    let path = url.path().trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let whole = |segment: &str| !segment.is_empty() && segment.bytes().all(plain);
    if !path.is_empty() && !path.split('/').skip(1).all(whole) {
        return Err(InvalidIssuer::Path);
    }
    if path == "/.well-known" || path.starts_with("/.well-known/") {
        return Err(InvalidIssuer::WellKnown);
    }
    let canonical = url.as_str().trim_end_matches('/');
    if text != canonical {
        return Err(InvalidIssuer::Spelling(canonical.to_owned()));
    }
    Ok(canonical.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_http_on_loopback_are_taken_as_they_stand() {
        for text in [
            "https://auth.example",
            "https://auth.example:8443",
            "https://example.com/auth",
            "https://example.com/a/b-c_d.e~f",
            "http://127.0.0.1:3000",
            "http://127.8.9.1",
            "http://[::1]:3000",
            "http://localhost:3000/auth",
        ] {
            assert_eq!(issuer(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn whatever_would_half_work_is_refused_by_name() {
        use InvalidIssuer as Fault;
        for (text, fault) in [
            ("auth.example", Fault::NotAUrl),
            ("", Fault::NotAUrl),
            ("mailto:someone@example.com", Fault::NotAUrl),
            ("http://auth.example", Fault::Scheme),
            ("http://0.0.0.0:3000", Fault::Scheme),
            ("http://localhost.example", Fault::Scheme),
            ("ftp://auth.example", Fault::Scheme),
            ("https://auth.example?tenant=1", Fault::QueryOrFragment),
            ("https://auth.example?", Fault::QueryOrFragment),
            ("https://auth.example#top", Fault::QueryOrFragment),
            ("https://user@auth.example", Fault::UserInfo),
            ("https://:password@auth.example", Fault::UserInfo),
            ("https://auth.example/{id}", Fault::Path),
            ("https://auth.example/a//b", Fault::Path),
            ("https://auth.example/%61", Fault::Path),
            ("https://auth.example/.well-known", Fault::WellKnown),
            (
                "https://auth.example/.well-known/oauth-authorization-server",
                Fault::WellKnown,
            ),
        ] {
            assert_eq!(issuer(text), Err(fault), "{text}");
        }
        for (text, canonical) in [
            ("https://auth.example/", "https://auth.example"),
            ("https://auth.example/auth/", "https://auth.example/auth"),
            ("https://Auth.Example", "https://auth.example"),
            ("HTTPS://auth.example", "https://auth.example"),
            ("https://auth.example:443", "https://auth.example"),
            ("https://auth.example/a/../b", "https://auth.example/b"),
            (" https://auth.example", "https://auth.example"),
        ] {
            assert_eq!(
                issuer(text),
                Err(Fault::Spelling(canonical.into())),
                "{text}"
            );
        }
    }
}
