//! Request parameters: none may be repeated, an empty one counts as absent (RFC 6749 §3.1, §3.2),
//! unknown ones are ignored, whatever they hold.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// Parameters as sent, decoded, in order. No `Debug`: they may hold secrets.
#[derive(Clone, Default)]
pub struct Parameters {
    pairs: Vec<(String, Value)>,
    contains_nul: bool,
}

/// What a parameter holds. One that cannot be read is a fault only when somebody asks for it.
#[derive(Clone)]
enum Value {
    Text(Zeroizing<String>),
    NotUtf8,
    NotText,
}

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
    #[error("the parameter {0} is not valid UTF-8")]
    NotUtf8(&'static str),
    /// JSON that is no text.
    #[error("the parameter {0} must be a string")]
    NotText(&'static str),
    /// JSON that is not an object.
    #[error("the body must be a JSON object whose values are strings")]
    NotAnObject,
}

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text (a query or a body).
    #[must_use]
    pub fn from_form(text: &[u8]) -> Self {
        let mut parameters = Self::default();
        for pair in text.split(|byte| *byte == b'&').filter(|p| !p.is_empty()) {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            let (name, value) = (form_decoded(name), form_decoded(value));
            parameters.contains_nul |= name.contains(&0) || value.contains(&0);
            // A name that is no text is the name of nothing that anybody asks for.
            if let Ok(name) = std::str::from_utf8(&name) {
                let value = match std::str::from_utf8(&value) {
                    Ok(text) => Value::Text(Zeroizing::new(text.to_owned())),
                    Err(_) => Value::NotUtf8,
                };
                parameters.pairs.push((name.to_owned(), value));
            }
        }
        parameters
    }

    /// Reads a JSON object. A name that comes twice, or an array of several values, is a repeated
    /// parameter; `null` counts as empty.
    ///
    /// # Errors
    ///
    /// [`Malformed::NotAnObject`].
    pub fn from_json(body: &[u8]) -> Result<Self, Malformed> {
        let Members(pairs) = serde_json::from_slice(body).map_err(|_| Malformed::NotAnObject)?;
        let contains_nul = pairs.iter().any(|(name, value)| {
            name.contains('\0') || matches!(value, Value::Text(text) if text.contains('\0'))
        });
        Ok(Self {
            pairs,
            contains_nul,
        })
    }

    /// The value of a parameter; `None` when it is absent or empty.
    ///
    /// # Errors
    ///
    /// [`Malformed::Repeated`] when it was sent more than once, even with the same value;
    /// [`Malformed::NotUtf8`] or [`Malformed::NotText`] when it cannot be read.
    pub fn one(&self, name: &'static str) -> Result<Option<&str>, Malformed> {
        let values = self.all(name)?;
        match values[..] {
            [] | [""] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(Malformed::Repeated(name)),
        }
    }

    /// Every value of a parameter that may repeat.
    ///
    /// # Errors
    ///
    /// [`Malformed::NotUtf8`] or [`Malformed::NotText`] when one cannot be read.
    pub fn all(&self, name: &'static str) -> Result<Vec<&str>, Malformed> {
        let named = self.pairs.iter().filter(|(known, _)| known == name);
        named
            .map(|(_, value)| match value {
                Value::Text(text) => Ok(text.as_str()),
                Value::NotUtf8 => Err(Malformed::NotUtf8(name)),
                Value::NotText => Err(Malformed::NotText(name)),
            })
            .collect()
    }

    /// Every name that was sent.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }

    /// Whether U+0000 stands anywhere.
    #[must_use]
    pub const fn contains_nul(&self) -> bool {
        self.contains_nul
    }

    /// Every pair, sorted: the same parameters in any order are the same. Those that cannot be read
    /// say nothing, and are the same whatever they hold.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&str, &str)> {
        let mut pairs: Vec<_> = self
            .pairs
            .iter()
            .map(|(name, value)| match value {
                Value::Text(text) => (name.as_str(), text.as_str()),
                Value::NotUtf8 | Value::NotText => (name.as_str(), ""),
            })
            .collect();
        pairs.sort_unstable();
        pairs
    }
}

/// Undoes the encoding of one name or value of a form. A malformed `%` is taken literally, as the
/// URL standard says.
#[must_use]
pub fn form_decoded(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let digit = |at: usize| {
        let digit = char::from(*text.get(at)?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    // As long as the text: a growing vector would leave copies of a secret behind.
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped = (*byte == b'%').then(|| Some(digit(at + 1)? << 4 | digit(at + 2)?));
        match (byte, escaped.flatten()) {
            (_, Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (b'+', None) => decoded.push(b' '),
            (byte, None) => decoded.push(*byte),
        }
        at += 1;
    }
    decoded
}

/// The members of a JSON object, each that is there: a map would keep the last of two alike.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, Values(values))) = map.next_entry::<String, Values>()? {
            pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
        }
        Ok(Members(pairs))
    }
}

/// What a member holds: one value, or those of an array. Never none, so that a name that comes twice
/// is seen whatever it holds.
struct Values(Vec<Value>);

impl Values {
    fn text(text: &str) -> Self {
        Self(vec![Value::Text(Zeroizing::new(text.to_owned()))])
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Values, E> {
        Ok(Values::text(text))
    }

    fn visit_unit<E>(self) -> Result<Values, E> {
        Ok(Values::text(""))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Values, E> {
        Ok(Values(vec![Value::NotText]))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Values, E> {
        Ok(Values(vec![Value::NotText]))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Values, E> {
        Ok(Values(vec![Value::NotText]))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Values, E> {
        Ok(Values(vec![Value::NotText]))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Values(vec![Value::NotText]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
        let mut all = Vec::new();
        while let Some(Values(values)) = seq.next_element()? {
            // An array within an array is no text.
            all.push(match <[Value; 1]>::try_from(values) {
                Ok([value]) => value,
                Err(_) => Value::NotText,
            });
        }
        Ok(if all.is_empty() {
            Values::text("")
        } else {
            Values(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_counts_as_absent_and_repeated_is_refused() {
        let parameters = Parameters::from_form(b"a=1&b=&c=x&c=x&a%20b=%&&d&=&e=%4&f=%4g+%2B");
        assert_eq!(parameters.one("a"), Ok(Some("1")));
        assert_eq!(parameters.one("b"), Ok(None));
        assert_eq!(parameters.one("z"), Ok(None));
        assert_eq!(parameters.one("c"), Err(Malformed::Repeated("c")));
        assert_eq!(parameters.one("a b"), Ok(Some("%")));
        assert_eq!(parameters.one("d"), Ok(None));
        assert_eq!(parameters.one("e"), Ok(Some("%4")));
        assert_eq!(parameters.one("f"), Ok(Some("%4g +")));
        assert_eq!(parameters.all("c"), Ok(vec!["x", "x"]));
    }

    #[test]
    fn only_the_parameter_that_is_not_utf_8_is_refused_and_no_value_is_altered() {
        let parameters = Parameters::from_form(
            b"bad=%FF&x\xFF=1&raw=\xC3&good=%C3%BC&marks=%ef%bf%bd\xEF\xBF\xBD",
        );
        assert_eq!(parameters.one("bad"), Err(Malformed::NotUtf8("bad")));
        assert_eq!(parameters.one("raw"), Err(Malformed::NotUtf8("raw")));
        assert_eq!(parameters.all("bad"), Err(Malformed::NotUtf8("bad")));
        assert_eq!(parameters.one("good"), Ok(Some("ü")));
        assert_eq!(parameters.one("marks"), Ok(Some("\u{FFFD}\u{FFFD}")));
        assert!(!parameters.contains_nul());
    }

    #[test]
    fn u_0000_is_seen_wherever_it_stands() {
        for form in [
            &b"a=%00"[..],
            b"%00=a",
            b"a=\0",
            b"a=x&b=y%00z",
            b"a=%FF%00",
        ] {
            assert!(Parameters::from_form(form).contains_nul());
        }
        for json in [r#"{"a":"\u0000"}"#, r#"{"\u0000":1}"#] {
            let parameters = Parameters::from_json(json.as_bytes()).unwrap();
            assert!(parameters.contains_nul(), "{json}");
        }
    }

    #[test]
    fn json_is_an_object_whose_names_come_once() {
        let json = br#"{"a":"1","c":["x","y"],"d":null,"e":"1","e":"2","f":null,"f":"x","g":["z"],"h":[]}"#;
        let parameters = Parameters::from_json(json).unwrap();
        assert_eq!(parameters.one("a"), Ok(Some("1")));
        assert_eq!(parameters.one("c"), Err(Malformed::Repeated("c")));
        assert_eq!(parameters.one("d"), Ok(None));
        assert_eq!(parameters.one("e"), Err(Malformed::Repeated("e")));
        assert_eq!(parameters.one("f"), Err(Malformed::Repeated("f")));
        assert_eq!(parameters.one("g"), Ok(Some("z")));
        assert_eq!(parameters.one("h"), Ok(None));
        assert_eq!(parameters.all("c"), Ok(vec!["x", "y"]));
        for body in [
            &b"[]"[..],
            b"{",
            b"",
            b"\"x\"",
            b"{}{}",
            b"{\"a\":\"\xFF\"}",
        ] {
            assert!(matches!(
                Parameters::from_json(body),
                Err(Malformed::NotAnObject)
            ));
        }
    }

    #[test]
    fn what_is_no_text_is_refused_only_by_name() {
        for value in [
            "1",
            "-1",
            "1.5",
            "true",
            r#"{"x":[1]}"#,
            "[1]",
            r#"[["x","y"]]"#,
        ] {
            let json = format!(r#"{{"a":{value},"b":"x"}}"#);
            let parameters = Parameters::from_json(json.as_bytes()).unwrap();
            assert_eq!(parameters.one("a"), Err(Malformed::NotText("a")), "{value}");
            assert_eq!(parameters.one("b"), Ok(Some("x")));
        }
    }

    #[test]
    fn the_same_parameters_in_any_order_are_the_same() {
        let form = |text: &[u8]| {
            let parameters = Parameters::from_form(text);
            let pairs = parameters.sorted().into_iter();
            pairs.map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>()
        };
        assert_eq!(form(b"b=2&a=1&a=%FF"), form(b"a=%FE&b=2&a=1"));
        assert_ne!(form(b"a=1"), form(b"a=2"));
    }
}
