//! A strict reader of the text format of Prometheus (version 0.0.4).

use std::collections::{BTreeMap, HashMap, HashSet};

/// Name and labels of a sample.
type Series = (String, BTreeMap<String, String>);

/// Everything that was told at one time.
#[derive(Debug)]
pub(crate) struct Exposition {
    pub(crate) text: String,
    pub(crate) samples: HashMap<Series, f64>,
    /// The names of the families, with their types.
    pub(crate) types: HashMap<String, String>,
}

impl Exposition {
    /// Reads it.
    ///
    /// # Panics
    ///
    /// Unless every line is well formed, every family has help and type before its samples, and no
    /// sample stands twice.
    pub(crate) fn read(text: &str) -> Self {
        let mut read = Self {
            text: text.to_owned(),
            samples: HashMap::new(),
            types: HashMap::new(),
        };
        assert!(text.ends_with('\n'), "the last line does not end");
        let mut helped = HashSet::new();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help has a text");
                assert!(help.len() > 10, "{line}");
                assert!(helped.insert(name.to_owned()), "twice: {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type has a name");
                assert!(helped.contains(name), "no help: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(
                    read.types
                        .insert(name.to_owned(), kind.to_owned())
                        .is_none()
                );
                family = name.to_owned();
            } else {
                let ((name, labels), value) = sample(line);
                let kind = &read.types[&family];
                let parts: &[&str] = match kind.as_str() {
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                let known = parts.iter().any(|part| name == format!("{family}{part}"));
                assert!(known, "{line} stands below {family}");
                assert!(name.starts_with("auth_agent_"), "{line}");
                assert_eq!(
                    labels.contains_key("le"),
                    name.ends_with("_bucket"),
                    "{line}"
                );
                let twice = read.samples.insert((name, labels), value);
                assert!(twice.is_none(), "twice: {line}");
            }
        }
        read.histograms_are_whole();
        read
    }

    /// Buckets grow, and the last one holds all.
    fn histograms_are_whole(&self) {
        let mut buckets: HashMap<Series, Vec<(f64, f64)>> = HashMap::new();
        for ((name, labels), value) in &self.samples {
            let Some(family) = name.strip_suffix("_bucket") else {
                continue;
            };
            let mut labels = labels.clone();
            let le = labels.remove("le").expect("a bound");
            let bound = le.replace("+Inf", "inf").parse().expect("a number");
            let series = (family.to_owned(), labels);
            buckets.entry(series).or_default().push((bound, *value));
        }
        for ((family, labels), mut buckets) in buckets {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(
                buckets.is_sorted_by(|one, other| one.1 <= other.1),
                "{family}"
            );
            let last = buckets.last().expect("there are buckets");
            assert!(last.0.is_infinite(), "{family} has no last bucket");
            let count = self.samples[&(format!("{family}_count"), labels.clone())];
            assert_eq!(last.1, count, "{family} {labels:?}");
            assert!(
                self.samples
                    .contains_key(&(format!("{family}_sum"), labels))
            );
        }
    }

    /// A sample; what was never counted is 0.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels
            .iter()
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect();
        let series = (name.to_owned(), labels);
        self.samples.get(&series).copied().unwrap_or(0.0)
    }

    /// All samples of that name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let samples = self.samples.iter().filter(|((n, _), _)| n == name);
        samples.map(|(_, value)| value).sum()
    }

    /// By how much each has grown.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (series, value) in &mut self.samples {
            *value -= before.samples.get(series).copied().unwrap_or(0.0);
        }
        self
    }
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> (Series, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
    let value: f64 = value.parse().expect("a number");
    assert!(!value.is_nan(), "{line}");
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, rest)) => (name, rest.strip_suffix('}').expect("labels end")),
    };
    is_name(name);
    let mut read = BTreeMap::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").expect("a label has a value");
        is_name(label);
        // None of ours needs an escape.
        let (value, after) = after.split_once('"').expect("a value ends");
        assert!(!value.contains('\\') && !value.is_empty(), "{line}");
        let twice = read.insert(label.to_owned(), value.to_owned());
        assert!(twice.is_none(), "{line}");
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None => {
                assert!(after.is_empty(), "{line}");
                ""
            }
        };
    }
    ((name.to_owned(), read), value)
}

fn is_name(text: &str) {
    let named = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit());
    assert!(named && !text.is_empty(), "{text:?} is no name");
}
