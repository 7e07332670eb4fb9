//! Request parameters: none may be repeated, an empty one counts as absent (RFC 6749 §3.1, §3.2),
//! unknown ones are ignored.

use std::borrow::Cow;

/// Parameters as sent, decoded, in order. No `Debug`: they may hold secrets.
#[derive(Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

/// A parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Sent more than once.
    #[error("the parameter {0} is repeated: send it once")]
    Repeated(&'static str),
    /// U+0000 somewhere.
    #[error("a parameter contains the character U+0000")]
    Nul,
    /// Bytes that are no UTF-8.
    #[error("a parameter is not valid UTF-8")]
    NotUtf8,
    /// JSON that is not an object of strings.
    #[error("the body must be a JSON object whose values are strings")]
    NotStrings,
}

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text (a query or a body).
    ///
    /// # Errors
    ///
    /// [`Malformed::NotUtf8`]. Malformed `%` escapes are taken literally, as the URL standard says.
    pub fn from_form(text: &[u8]) -> Result<Self, Malformed> {
        let mut pairs = Vec::new();
        for raw in text.split(|byte| *byte == b'&') {
            for (name, value) in form_urlencoded::parse(raw) {
                // The decoder replaces what is not UTF-8 by U+FFFD: seen where none was sent, it
                // means that the value could not be returned unchanged.
                let replaced = name.contains('\u{FFFD}') || value.contains('\u{FFFD}');
                if replaced && !sent_replacement_character(raw) {
                    return Err(Malformed::NotUtf8);
                }
                pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Self(pairs))
    }

    /// Reads a JSON object of strings; an array of strings counts as a repeated parameter.
    ///
    /// # Errors
    ///
    /// [`Malformed::NotStrings`].
    pub fn from_json(body: &[u8]) -> Result<Self, Malformed> {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(body).map_err(|_| Malformed::NotStrings)?;
        let mut pairs = Vec::new();
        for (name, value) in object {
            match value {
                serde_json::Value::String(text) => pairs.push((name, text)),
                serde_json::Value::Null => {}
                serde_json::Value::Array(values) => {
                    for value in values {
                        let serde_json::Value::String(text) = value else {
                            return Err(Malformed::NotStrings);
                        };
                        pairs.push((name.clone(), text));
                    }
                }
                _ => return Err(Malformed::NotStrings),
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter; `None` when it is absent or empty.
    ///
    /// # Errors
    ///
    /// [`Malformed::Repeated`] when it was sent more than once, even with the same value.
    pub fn one(&self, name: &'static str) -> Result<Option<&str>, Malformed> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Malformed::Repeated(name)),
            None => Ok(first.filter(|value| !value.is_empty())),
        }
    }

    /// Every value of a parameter that may repeat.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether U+0000 stands anywhere.
    #[must_use]
    pub fn contains_nul(&self) -> bool {
        self.0
            .iter()
            .any(|(name, value)| name.contains('\0') || value.contains('\0'))
    }

    /// Every pair, sorted: the same parameters in any order are the same.
    #[must_use]
    pub fn sorted(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        let mut pairs: Vec<_> = self
            .0
            .iter()
            .map(|(n, v)| (Cow::from(n.as_str()), Cow::from(v.as_str())))
            .collect();
        pairs.sort();
        pairs
    }
}

fn sent_replacement_character(raw: &[u8]) -> bool {
    let encoded = raw
        .windows(9)
        .any(|window| window.eq_ignore_ascii_case(b"%EF%BF%BD"));
    encoded || raw.windows(3).any(|window| window == "\u{FFFD}".as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_counts_as_absent_and_repeated_is_refused() {
        let parameters = Parameters::from_form(b"a=1&b=&c=x&c=x&a%20b=%").unwrap();
        assert_eq!(parameters.one("a"), Ok(Some("1")));
        assert_eq!(parameters.one("b"), Ok(None));
        assert_eq!(parameters.one("z"), Ok(None));
        assert_eq!(parameters.one("c"), Err(Malformed::Repeated("c")));
        assert_eq!(parameters.one("a b"), Ok(Some("%")));
    }

    #[test]
    fn what_is_not_utf_8_is_refused_and_a_real_replacement_character_is_not() {
        assert!(matches!(
            Parameters::from_form(b"state=%FF"),
            Err(Malformed::NotUtf8)
        ));
        assert!(Parameters::from_form(b"state=%ef%bf%bd").is_ok());
    }

    #[test]
    fn json_is_an_object_of_strings() {
        let parameters = Parameters::from_json(br#"{"a":"1","c":["x","y"],"d":null}"#).unwrap();
        assert_eq!(parameters.one("a"), Ok(Some("1")));
        assert_eq!(parameters.one("d"), Ok(None));
        assert_eq!(parameters.one("c"), Err(Malformed::Repeated("c")));
        for body in [&b"[]"[..], b"{\"a\":1}", b"{", b"", b"\"x\""] {
            assert!(matches!(
                Parameters::from_json(body),
                Err(Malformed::NotStrings)
            ));
        }
    }
}
