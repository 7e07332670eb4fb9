//! What the pages say, how agents find it, and what the pages load.

use serde_json::Value;

use super::*;

mod hostile;

const ID: &str = "req_0192f0c2a4b67c3d8e9f0a1b2c3d4e5f";

fn ordinary() -> WaitingPage<'static> {
    WaitingPage {
        request_id: ID,
        client_id: "client_1",
        client_name: "Profilio",
        redirect_origin: "https://profilio.example",
        scope: "openid profile",
        expires_at: "2026-01-31T12:10:00Z",
        seconds_left: 599,
        issuer: "https://auth.example/auth",
        authenticate_endpoint: "https://auth.example/auth/api/agent/authenticate",
        base_path: "/auth",
        nonce: "bm9uY2U",
    }
}

/// Every tag with the names of its attributes, in order, read as a browser does: text of a script
/// ends at the first `</script`, a comment at `-->`.
fn skeleton(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            tags.push("comment".to_owned());
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (mut tag, mut quoted) = (String::new(), None);
        let mut end = rest.len();
        for (index, c) in rest.char_indices() {
            match (quoted, c) {
                (None, '>') => {
                    end = index + 1;
                    break;
                }
                (None, '"' | '\'') => quoted = Some(c),
                (Some(quote), c) if c == quote => quoted = None,
                (None, c) => tag.push(c),
                (Some(_), _) => {}
            }
        }
        rest = &rest[end..];
        if tag.starts_with("script") {
            rest = rest.find("</script").map_or("", |close| &rest[close..]);
        }
        tags.push(tag);
    }
    tags
}

/// What `/window\.authRequest\s*=\s*\{[^}]*request_id:\s*['"]([^'"]+)['"]/` finds: the last key that
/// fits before the first closing brace, in the first object that has one.
fn found_by_existing_agents(html: &str) -> Option<&str> {
    const QUOTES: [char; 2] = ['\'', '"'];
    html.match_indices("window.authRequest")
        .find_map(|(at, name)| {
            let object = html[at + name.len()..].trim_start().strip_prefix('=')?;
            let object = object.trim_start().strip_prefix('{')?;
            let keys = &object[..object.find('}').unwrap_or(object.len())];
            keys.rmatch_indices("request_id:").find_map(|(at, key)| {
                let value = object[at + key.len()..].trim_start().strip_prefix(QUOTES)?;
                let value = &value[..value.find(QUOTES)?];
                (!value.is_empty()).then_some(value)
            })
        })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before)
        .unwrap()
        .1
        .split_once(after)
        .unwrap()
        .0
}

fn decoded(html: &str) -> String {
    let unquoted = html
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"");
    unquoted.replace("&amp;", "&")
}

fn assert_tells_the_same_three_ways(page: &WaitingPage<'_>) {
    let html = waiting_page(page).into_string();

    let json = between(&html, "id=\"auth-agent-request\">", "</script>");
    let object: Value = serde_json::from_str(json).unwrap();
    let expected = [
        ("request_id", page.request_id),
        ("client_id", page.client_id),
        ("client_name", page.client_name),
        ("redirect_origin", page.redirect_origin),
        ("scope", page.scope),
        ("expires_at", page.expires_at),
        ("issuer", page.issuer),
        ("authenticate_endpoint", page.authenticate_endpoint),
    ];
    assert_eq!(object.as_object().unwrap().len(), expected.len());
    for (key, value) in expected {
        assert_eq!(object[key], value, "{key}");
    }

    // The script's literals are JSON's but for the quotes around them and the bare keys.
    let script = between(&html, "window.authRequest = {", "};</script>");
    let mut as_json = script.replace('\'', "\"");
    for (key, _) in expected {
        as_json = as_json.replacen(&format!("{key}: \""), &format!("\"{key}\": \""), 1);
    }
    assert_eq!(
        serde_json::from_str::<Value>(&format!("{{{as_json}}}")).unwrap(),
        object
    );

    let meta = between(&html, "<meta name=\"auth-agent-request\" content=\"", "\"");
    assert_eq!(decoded(meta), page.request_id);

    assert_eq!(found_by_existing_agents(&html), Some(page.request_id));
}

#[test]
fn the_client_is_named_after_its_host() {
    let html = waiting_page(&ordinary()).into_string();
    assert!(html.contains(
        "<h1>Sign in to <span class=\"site\"><bdi class=\"host\">profilio.example</bdi> \
         <span class=\"name\">(<bdi>Profilio</bdi>)</span></span></h1>"
    ));
    assert!(html.find("Profilio").unwrap() > html.find("window.authRequest").unwrap());
    let title = between(&html, "<title>", "</title>");
    assert_eq!(title, "Waiting for your agent – profilio.example");
}

#[test]
fn an_agent_reads_all_it_needs_from_the_page() {
    let page = ordinary();
    let html = waiting_page(&page).into_string();
    assert_tells_the_same_three_ways(&page);
    let shown = decoded(html.split_once("<body>").unwrap().1);
    for value in [
        page.client_id,
        page.scope,
        page.expires_at,
        page.issuer,
        page.redirect_origin,
    ] {
        assert!(shown.contains(&format!("<bdi>{value}</bdi>")), "{value}");
    }
    assert!(shown.contains(&format!("POST {}", page.authenticate_endpoint)));
    assert!(shown.contains(&format!("{{\"request_id\":\"{ID}\"")));
}

#[test]
fn without_javascript_the_page_asks_again_at_its_own_address() {
    let html = waiting_page(&ordinary()).into_string();
    let refresh = between(&html, "<noscript>", "</noscript>");
    let expected = format!("<meta http-equiv=\"refresh\" content=\"3;url=/auth/authorize/{ID}\">");
    assert_eq!(refresh, expected);
    assert!(html.contains("JavaScript is off"));
    assert!(
        html.contains("9:59"),
        "the time that is left needs no script either"
    );
}

#[test]
fn a_page_whose_script_does_not_come_asks_for_itself_anew() {
    let html = waiting_page(&ordinary()).into_string();
    let fallback = format!(
        "<script nonce=\"bm9uY2U\">window.authFallback = setTimeout(() => \
         location.replace('/auth/authorize/{ID}'), 8000);</script>"
    );
    assert!(html.contains(&fallback), "{html}");
    let path = asset::path("", "waiting.js");
    let script = asset::find(path.strip_prefix("/static/").unwrap()).unwrap();
    let script = std::str::from_utf8(script.bytes).unwrap();
    assert!(script.contains("clearTimeout(window.authFallback)"));
}

#[test]
fn every_file_a_page_names_is_served() {
    let html = waiting_page(&ordinary()).into_string();
    let names: Vec<_> = html
        .split("/auth/static/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    for logical in ["waiting-", "style-", "icon-"] {
        assert!(
            names.iter().any(|name| name.starts_with(logical)),
            "{logical}"
        );
    }
    for name in names {
        assert!(asset::find(name).is_some(), "{name}");
    }
}

#[test]
fn the_waiting_page_weighs_less_than_20_kb() {
    let html = waiting_page(&ordinary()).into_string();
    let files = ["waiting.js", "style.css", "icon.svg"].map(|logical| {
        let path = asset::path("", logical);
        asset::find(path.strip_prefix("/static/").unwrap())
            .unwrap()
            .bytes
            .len()
    });
    assert!(html.len() + files.iter().sum::<usize>() < 20_000);
}

#[test]
fn every_script_has_the_nonce_and_nothing_is_inline_otherwise() {
    let html = waiting_page(&ordinary()).into_string();
    for tag in html.split("<script").skip(1) {
        let tag = tag.split_once('>').unwrap().0;
        let inert = tag.contains("type=\"application/json\"");
        assert!(inert || tag.contains("nonce=\"bm9uY2U\""), "{tag}");
    }
    for tag in skeleton(&html) {
        assert!(!tag.starts_with("style"), "{tag}");
        for attribute in tag.split_ascii_whitespace().skip(1) {
            let runs = attribute.starts_with("on") || attribute.starts_with("style");
            assert!(!runs, "{tag}");
        }
    }
}

#[test]
fn the_policy_admits_nothing_but_our_own() {
    let with = content_security_policy(Some("bm9u-Y2_U="));
    assert!(with.contains("script-src 'nonce-bm9u-Y2_U=';"));
    let without = content_security_policy(None);
    assert!(!without.contains("script-src"));
    for policy in [&with, &without] {
        assert!(!policy.contains("unsafe"));
        for directive in [
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(
                policy.split("; ").any(|part| part == directive),
                "{directive}"
            );
        }
    }
    for hostile in ["", "a'; script-src *", "a\r\nX: y", "a b"] {
        assert_eq!(
            content_security_policy(Some(hostile)),
            without,
            "{hostile:?}"
        );
    }
}

#[test]
fn script_and_pages_use_the_same_words() {
    let path = asset::path("", "waiting.js");
    let file = asset::find(path.strip_prefix("/static/").unwrap()).unwrap();
    let script = std::str::from_utf8(file.bytes).unwrap();
    let states = [
        waiting::WORDS,
        OutcomeKind::Completed.words(),
        OutcomeKind::Expired.words(),
        OutcomeKind::Denied.words(),
    ];
    for (state, headline, text) in states {
        let entry = script.split_once(&format!("{state}: [")).unwrap().1;
        let entry = entry.split_once("],").unwrap().0;
        assert!(entry.contains(&format!("\"{headline}\"")), "{state}");
        assert!(entry.contains(&format!("\"{text}\"")), "{state}");
    }
}

#[test]
fn a_way_on_is_offered_and_never_runs_a_script() {
    let page = |back| OutcomePage {
        base_path: "",
        kind: OutcomeKind::Expired,
        client_name: Some("Profilio"),
        redirect_origin: "https://profilio.example",
        back: Some(back),
    };
    let html = outcome_page(&page(
        "https://profilio.example/cb?error=access_denied&state=1",
    ));
    let html = html.into_string();
    let back = "https://profilio.example/cb?error=access_denied&amp;state=1";
    assert!(html.contains(&format!("href=\"{back}\"")));
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"5;url={back}\">");
    assert!(html.contains(&refresh), "it goes back without a script");
    let html = outcome_page(&page("javascript:alert(1)")).into_string();
    assert!(!html.contains("javascript:") && !html.contains("http-equiv"));
    assert!(html.contains("href=\"https://profilio.example\""));
}

#[test]
fn an_error_names_code_status_and_remedy() {
    let page = ErrorPage {
        base_path: "",
        status: 400,
        title: "This sign-in cannot be started",
        error: "invalid_request",
        description: "redirect_uri is not registered",
    };
    let html = error_page(&page).into_string();
    for part in [
        page.title,
        page.error,
        page.description,
        "400",
        "letter by letter",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("Go back to the website"));
    let page = ErrorPage {
        status: 404,
        error: "unknown_request",
        description: "no such request",
        ..page
    };
    let html = error_page(&page).into_string();
    assert!(html.contains("<bdi>No such request.</bdi>"), "{html}");
}

#[test]
fn the_way_back_is_there_from_the_start_where_it_leads_somewhere() {
    let html = waiting_page(&ordinary()).into_string();
    let way = "<a id=\"leave\" href=\"https://profilio.example\">";
    assert!(html.contains(way), "{html}");
    for nowhere in ["http://127.0.0.1", "com.example.app"] {
        let page = WaitingPage {
            redirect_origin: nowhere,
            ..ordinary()
        };
        let html = waiting_page(&page).into_string();
        assert!(!html.contains("id=\"leave\""), "{nowhere}");
    }
}
