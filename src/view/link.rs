//! Where a page's links may lead, and how a website is named.

use maud::{Markup, html};
use url::Url;

use super::escape::visible;

/// `address` if a link may lead there. Private-use schemes are legitimate (RFC 8252 §7.1); refused
/// are those that would run or show somebody else's content as ours.
pub(super) fn followable(address: &str) -> Option<&str> {
    let url = Url::parse(address).ok()?;
    let refused = matches!(url.scheme(), "javascript" | "data" | "vbscript" | "blob");
    (!refused).then_some(address)
}

/// The way on from a page where nothing more will happen: back to the website with an answer if
/// there is one, else to its front page. A loopback origin is shown without its port, so that it
/// leads nowhere.
pub(super) fn way_on<'a>(back: Option<&'a str>, origin: &'a str) -> Option<&'a str> {
    back.and_then(followable)
        .or_else(|| Some(origin).filter(|origin| origin.starts_with("https://")))
}

/// What a website is called on a page: its host, with the port if it has an unusual one; for an
/// app its private-use scheme.
pub(super) fn site_name(origin: &str) -> String {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    if host.is_empty() {
        "the website".to_owned()
    } else {
        visible(host)
    }
}

/// The site of an address, for a link that has to say where it leads.
pub(super) fn site_of(address: &str) -> String {
    let Ok(url) = Url::parse(address) else {
        return site_name("");
    };
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => visible(&format!("{host}:{port}")),
        (Some(host), None) => visible(host),
        (None, _) => visible(url.scheme()),
    }
}

/// A button that leads to `to`, and says to which site.
pub(super) fn return_button(to: &str, site: &str) -> Markup {
    html! { a.button #back href=(to) { "Return to " bdi { (site) } } }
}

/// Host first, and the client's own word for itself only after it.
pub(super) fn site(origin: &str, client_name: Option<&str>) -> Markup {
    html! {
        span.site {
            bdi.host { (site_name(origin)) }
            @if let Some(name) = client_name.filter(|name| !name.trim().is_empty()) {
                " " span.name { "(" bdi { (visible(name)) } ")" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_never_runs_a_script() {
        for refused in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "\u{1}java\tscript:alert(1)",
            " data:text/html,x",
            "vbscript:x",
            "blob:https://a.example/1",
            "/relative",
            "",
        ] {
            assert_eq!(followable(refused), None, "{refused:?}");
        }
        for followed in [
            "https://a.example/cb?code=1",
            "http://127.0.0.1:9/",
            "com.example.app:/cb",
        ] {
            assert_eq!(followable(followed), Some(followed));
        }
    }

    #[test]
    fn there_is_a_way_on_where_one_is_known() {
        let (back, origin) = ("https://a.example/cb", "https://a.example");
        assert_eq!(way_on(Some(back), origin), Some(back));
        assert_eq!(way_on(Some("javascript:x"), origin), Some(origin));
        assert_eq!(way_on(None, origin), Some(origin));
        assert_eq!(way_on(None, "http://127.0.0.1"), None);
        assert_eq!(way_on(None, "com.example.app"), None);
    }

    #[test]
    fn a_site_is_called_by_its_host() {
        assert_eq!(site_name("https://a.example:8443"), "a.example:8443");
        assert_eq!(site_name("com.example.app"), "com.example.app");
        assert_eq!(site_name(""), "the website");
        assert_eq!(site_of("https://a.example/cb?x#y"), "a.example");
        assert_eq!(site_of("http://[::1]:80/cb"), "[::1]");
        assert_eq!(site_of("com.example.app:/cb"), "com.example.app");
    }
}
