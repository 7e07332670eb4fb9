//! Which of the media types that there are a caller would rather have.

use http::{HeaderMap, header};

/// One media range of an `Accept` header (RFC 9110 §12.5.1).
struct Range<'a> {
    kind: &'a str,
    /// From 0, never, to 1.
    quality: f32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().filter(|kind| !kind.is_empty())?;
        let quality = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
        });
        let quality = match quality {
            None => 1.0,
            Some(text) => text.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
        };
        Some(Self { kind, quality })
    }

    /// How closely it names that media type: not at all, as anything, by its first part, or itself.
    fn names(&self, media_type: &str) -> u8 {
        let first = |kind: &str| kind.split('/').next().map(str::to_ascii_lowercase);
        if self.kind.eq_ignore_ascii_case(media_type) {
            3
        } else if self.kind.ends_with("/*") && first(self.kind) == first(media_type) {
            2
        } else {
            u8::from(self.kind == "*/*")
        }
    }
}

/// The one of the `offered` that is wanted most: by its weight, then as it is named itself, then by its
/// place in the header, and at last in the order of the offer. Where none is wanted, the first of the offer.
pub(crate) fn preferred<'o>(headers: &HeaderMap, offered: &[&'o str]) -> &'o str {
    let lines = headers.get_all(header::ACCEPT).iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    let ranges: Vec<Range<'_>> = lines
        .iter()
        .flat_map(|line| line.split(','))
        .filter_map(Range::read)
        .collect();
    let mut best: (&str, Option<(f32, u8, usize)>) =
        (offered.first().copied().unwrap_or_default(), None);
    for media_type in offered {
        // The closest name for it counts.
        let closest = ranges
            .iter()
            .enumerate()
            .filter(|(_, range)| range.names(media_type) > 0)
            .max_by_key(|(place, range)| (range.names(media_type), usize::MAX - place));
        let Some((place, range)) = closest.filter(|(_, range)| range.quality > 0.0) else {
            continue;
        };
        let wanted = (range.quality, range.names(media_type), usize::MAX - place);
        if best.1.is_none_or(|than| wanted > than) {
            best = (media_type, Some(wanted));
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [&str; 3] = [
        "application/json",
        "application/x-ndjson",
        "text/event-stream",
    ];

    fn of(lines: &[&str]) -> &'static str {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        preferred(&headers, &OFFERED)
    }

    #[test]
    fn the_one_wanted_most_is_answered() {
        let [json, lines, stream] = OFFERED;
        for (accept, expected) in [
            ("text/event-stream", stream),
            ("text/event-stream, application/json", stream),
            ("application/json, text/event-stream", json),
            ("text/event-stream;q=0.1, application/json", json),
            (
                "application/json; q=0.2 , Text/Event-Stream;charset=utf-8",
                stream,
            ),
            ("APPLICATION/X-NDJSON", lines),
            ("text/*, */*;q=0.5", stream),
            ("*/*, text/event-stream", stream),
            ("*/*", json),
            ("application/*", json),
            ("application/json;q=0, */*", lines),
        ] {
            assert_eq!(of(&[accept]), expected, "{accept}");
        }
        assert_eq!(of(&["text/html", "text/event-stream"]), stream);
    }

    #[test]
    fn where_none_is_wanted_the_first_is_answered() {
        for accept in [
            "",
            "image/png",
            "text/event-stream;q=0",
            "text/event-stream;q=2",
            ";;,",
        ] {
            assert_eq!(of(&[accept]), OFFERED[0], "{accept}");
        }
        assert_eq!(of(&[]), OFFERED[0]);
    }
}
