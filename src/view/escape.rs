//! Escaping for the places that maud does not know.

use std::fmt::Write;

/// `text` as the inside of a string literal, between single or double quotes, that means the same
/// in JavaScript and in JSON (RFC 8259 §7) and can stand in an HTML `<script>` element.
///
/// What is not a harmless ASCII character becomes `\uXXXX`, characters beyond the Basic
/// Multilingual Plane as a surrogate pair. That covers `</script>`, `<!--`, U+2028, U+2029 and
/// bidirectional controls. Braces, and a colon that ends a word, are escaped for those agents that
/// search the page by regular expression: a name such as `request_id:` must not look like a key.
pub(super) fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let harmless = match c {
            ':' => characters
                .peek()
                .is_some_and(|next| next.is_ascii_alphanumeric() || *next == '/'),
            '<' | '>' | '&' | '\'' | '"' | '`' | '\\' | '{' | '}' => false,
            c => c.is_ascii_graphic() || c == ' ',
        };
        if harmless {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// `text` as it may be shown: what a reader would not see, or what would change how the words
/// around it are read, becomes U+FFFD.
///
/// These are controls, line separators, bidirectional controls (a `<bdi>` is no shield against a
/// stray U+2069) and invisible characters, which carry orders to models past people's eyes. The
/// joiners U+200C and U+200D stay: Persian and emoji need them.
pub(super) fn visible(text: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
                | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.chars()
        .map(|c| if is_unseen(c) { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_literal_holds_nothing_that_ends_it() {
        assert_eq!(literal("</script><!--"), "\\u003c/script\\u003e\\u003c!--");
        assert_eq!(literal("'\"`\\\n"), "\\u0027\\u0022\\u0060\\u005c\\u000a");
        assert_eq!(
            literal("\u{2028}\u{202e}é🔑"),
            "\\u2028\\u202e\\u00e9\\ud83d\\udd11"
        );
        assert_eq!(
            literal("https://a.example:8443/x"),
            "https://a.example:8443/x"
        );
        assert_eq!(
            literal("request_id: x request_id:"),
            "request_id\\u003a x request_id\\u003a"
        );
    }

    #[test]
    fn what_is_shown_hides_nothing() {
        let hidden = "\u{202e}\u{2069}\u{200b}\u{feff}\u{e0041}\0\n";
        assert!(visible(hidden).chars().all(|c| c == '\u{fffd}'));
        let plain = "Café 日本 می\u{200c}خواهم 👩\u{200d}💻 שלום";
        assert_eq!(visible(plain), plain);
    }

    proptest! {
        #[test]
        fn a_literal_means_its_text(text in any::<String>()) {
            let escaped = literal(&text);
            prop_assert!(escaped.bytes().all(|b| (b' '..=b'~').contains(&b)));
            let unsafe_ones = ['<', '>', '&', '\'', '"', '`', '{', '}'];
            prop_assert!(!escaped.contains(unsafe_ones));
            let read: String = serde_json::from_str(&format!("\"{escaped}\"")).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
