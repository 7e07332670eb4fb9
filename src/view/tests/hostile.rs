//! Hostile words in every field, in every place where a page puts them.

use proptest::prelude::*;

use super::*;

const HOSTILE: &[&str] = &[
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>--></title></noscript><img src=x onerror=alert(1)>",
    "' , x: alert(1), y: '",
    "\" onmouseover=\"alert(1)",
    "\\'\\\"\\",
    "`${alert(1)}`",
    "line\nbreak\r\u{2028}\u{2029}\0",
    "\u{202e}moc.live\u{2069}\u{2066}\u{200f}",
    "}; window.authRequest = { request_id: 'req_evil' }",
    "request_id:",
    "request_id: \u{27}req_evil",
    "&lt;b&gt;&#39;&apos;",
    "javascript:alert(1)",
    "\u{e0041}\u{e0042}",
    "",
    " ",
];

fn waiting<'a>(text: &'a str, request_id: &'a str) -> WaitingPage<'a> {
    WaitingPage {
        request_id,
        client_id: text,
        client_name: text,
        redirect_origin: text,
        scope: text,
        expires_at: text,
        seconds_left: 599,
        issuer: text,
        authenticate_endpoint: text,
        base_path: "/auth",
        nonce: "bm9uY2U",
    }
}

#[test]
fn hostile_words_break_out_of_no_place() {
    let benign = skeleton(&waiting_page(&waiting("x", ID)).into_string());
    let unnamed = skeleton(&waiting_page(&waiting("", ID)).into_string());
    for text in HOSTILE {
        let html = waiting_page(&waiting(text, ID)).into_string();
        let expected = if text.trim().is_empty() {
            &unnamed
        } else {
            &benign
        };
        assert_eq!(&skeleton(&html), expected, "{text:?}");
        assert_tells_the_same_three_ways(&waiting(text, ID));
    }
}

#[test]
fn a_hostile_request_id_breaks_out_of_no_place() {
    let benign = skeleton(&waiting_page(&waiting("x", ID)).into_string());
    for text in HOSTILE {
        let html = waiting_page(&waiting("x", text)).into_string();
        assert_eq!(skeleton(&html), benign, "{text:?}");
    }
}

#[test]
fn hostile_words_break_out_of_no_message() {
    for kind in [
        OutcomeKind::Completed,
        OutcomeKind::Expired,
        OutcomeKind::Denied,
    ] {
        let render = |text: &str, back: &str| {
            let page = OutcomePage {
                base_path: "",
                kind,
                client_name: Some(text),
                redirect_origin: text,
                back: Some(back),
            };
            skeleton(&outcome_page(&page).into_string())
        };
        for text in HOSTILE.iter().filter(|text| !text.trim().is_empty()) {
            let back = format!("https://a.example/cb?x={text}");
            assert_eq!(
                render(text, &back),
                render("x", "https://a.example/cb"),
                "{text:?}"
            );
        }
    }
    for text in HOSTILE {
        let render = |text| {
            let page = ErrorPage {
                base_path: "",
                status: 400,
                title: text,
                error: text,
                description: text,
            };
            skeleton(&error_page(&page).into_string())
        };
        assert_eq!(render(text), render("x"), "{text:?}");
    }
}

#[test]
fn nothing_invisible_is_shown() {
    let hidden = [
        '\u{202e}',
        '\u{2069}',
        '\u{2066}',
        '\u{200f}',
        '\u{2028}',
        '\u{e0041}',
        '\0',
    ];
    for text in HOSTILE {
        let html = waiting_page(&waiting(text, ID)).into_string();
        assert!(!html.contains(hidden), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_words_keep_the_page_whole(text in any::<String>(), name in "[<>'\"&:/!a-z_ {}\\\\-]{1,40}") {
        let benign = skeleton(&waiting_page(&waiting("x", ID)).into_string());
        for text in [text.as_str(), name.as_str()] {
            let html = waiting_page(&waiting(text, ID)).into_string();
            if !text.trim().is_empty() {
                prop_assert_eq!(skeleton(&html), benign.clone());
            }
            assert_tells_the_same_three_ways(&waiting(text, ID));
        }
    }
}
