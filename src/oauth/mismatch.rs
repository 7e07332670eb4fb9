//! Why a redirect URI was not accepted, in words that its website's developer can act on.

use url::Url;

use crate::domain::RedirectUri;

/// Longest address that is repeated to whoever sent it, in bytes.
const MAX_SHOWN_BYTES: usize = 200;

/// Says what `came` has wrong, compared with the redirect URI that comes nearest to it.
///
/// The registered ones are not listed: they may name hosts that are nobody's business. Of what came, no
/// more is repeated than scheme, host and port: a path can hold sentences of a stranger, which would then
/// stand on a page of ours, and user name and query can hold secrets. `public`: whether the client is one, so that a
/// loopback port may differ.
pub(super) fn redirect_mismatch(registered: &[String], came: &str, public: bool) -> String {
    let address = |url: &Url| url.has_host() || url.scheme().contains('.');
    let Some(url) = Url::parse(came).ok().filter(address) else {
        return "redirect_uri is not registered for this client, and is no absolute address such as \
                https://website.example/callback"
            .to_owned();
    };
    let of_the_same = |other: &Url| {
        other.host() == url.host() && (url.has_host() || other.scheme() == url.scheme())
    };
    let nearest = registered
        .iter()
        .filter_map(|text| {
            Some((
                Url::parse(text).ok()?,
                public && RedirectUri::has_any_port(text),
            ))
        })
        .filter(|(registered, _)| of_the_same(registered))
        .map(|(registered, any_port)| differences(&registered, &url, any_port))
        .min_by_key(Vec::len);
    let difference = match nearest.as_deref() {
        None if url.has_host() => "none is registered for its host".to_owned(),
        None => "none is registered for its scheme".to_owned(),
        // The parser takes both for the same address.
        Some([]) => "only its spelling differs from a registered one: letter case, white space, a \
                     port that goes without saying, or dots in the path"
            .to_owned(),
        Some(parts) => format!(
            "it differs from a registered one in {}",
            parts.join(" and ")
        ),
    };
    let origin = url.origin().ascii_serialization();
    let shown = match nearest.as_deref() {
        None if url.has_host() => url.host_str().unwrap_or_default(),
        None => url.scheme(),
        // As it was parsed it would look right.
        Some([]) => "",
        Some(_) if url.origin().is_tuple() => &origin,
        Some(_) => url.scheme(),
    };
    let shown = match shown.len() {
        1..=MAX_SHOWN_BYTES => format!(" ({shown})"),
        _ => String::new(),
    };
    format!("redirect_uri{shown} is not registered for this client: {difference}")
}

fn is_anonymous(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// The parts in which two addresses of the same host differ.
fn differences(registered: &Url, came: &Url, any_port: bool) -> Vec<&'static str> {
    let (path, other) = (registered.path(), came.path());
    let slash = path.trim_end_matches('/') == other.trim_end_matches('/');
    [
        (registered.scheme() != came.scheme(), "its scheme"),
        // `None` is the scheme's own, so that another scheme alone is one difference.
        (registered.port() != came.port() && !any_port, "its port"),
        (
            path != other,
            if slash {
                "the slash at its end"
            } else {
                "its path"
            },
        ),
        (registered.query() != came.query(), "its query"),
        (came.fragment().is_some(), "its fragment"),
        (!is_anonymous(came), "its user name"),
    ]
    .into_iter()
    .filter_map(|(differs, part)| differs.then_some(part))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(came: &str, public: bool) -> String {
        let registered = [
            "https://profilio.example/callback",
            "https://internal.example:8443/cb?tenant=1",
            "com.example.app:/cb",
            "http://127.0.0.1/cb",
        ];
        redirect_mismatch(&registered.map(str::to_owned), came, public)
    }

    #[test]
    fn the_part_at_fault_is_named() {
        for (came, expected) in [
            (
                "http://profilio.example/callback",
                "(http://profilio.example) is not registered for this client: it differs \
                 from a registered one in its scheme",
            ),
            (
                "https://profilio.example/callback/",
                "in the slash at its end",
            ),
            ("https://profilio.example/Callback", "in its path"),
            ("https://profilio.example:8443/callback", "in its port"),
            ("https://profilio.example/callback?a=b", "in its query"),
            ("https://profilio.example/callback#x", "in its fragment"),
            ("http://profilio.example/", "in its scheme and its path"),
            (
                "HTTPS://Profilio.example:443/callback",
                "redirect_uri is not registered for this client: only its spelling differs from a \
                 registered one: letter case, white space, a port that goes without saying, or dots \
                 in the path",
            ),
            (
                "https://evil.example/your_account_is_locked",
                "redirect_uri (evil.example) is not registered for this client: none is registered \
                 for its host",
            ),
            (
                "com.example.app:/callback",
                "(com.example.app) is not registered for this client: it differs from a registered \
                 one in its path",
            ),
            ("com.example.other:/cb", "none is registered for its scheme"),
        ] {
            let told = told(came, true);
            assert!(told.ends_with(expected), "{came}: {told}");
        }
    }

    #[test]
    fn a_loopback_port_is_at_fault_only_where_it_may_not_differ() {
        let came = "http://127.0.0.1:9999/wrong";
        assert!(told(came, true).ends_with("registered one in its path"));
        assert!(told(came, false).ends_with("registered one in its port and its path"));
    }

    #[test]
    fn neither_registered_addresses_nor_secrets_of_what_came_are_repeated() {
        for came in [
            "https://profilio.example/secret-word-of-a-stranger",
            "https://ada:secret@profilio.example/callback",
            "https://profilio.example/callback?token=secret#secret",
            "javascript:secret()",
            "/callback?secret",
            "",
        ] {
            let told = told(came, false);
            assert!(!told.contains("secret"), "{told}");
            assert!(
                !told.contains("internal") && !told.contains("com.example"),
                "{told}"
            );
        }
        let long = format!("https://{}.example/", "x.".repeat(200));
        assert!(
            told(&long, false).len() < 300,
            "a long host is not repeated"
        );
    }
}
