//! What was measured, with its spread, and as ratios: printed as tables, written as JSON.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::client::Result;

/// Everything measured so far.
#[derive(Default)]
pub(crate) struct Report {
    series: Vec<Series>,
    ratios: Vec<Series>,
    bounds: Vec<Bounded>,
}

/// What a figure must not leave.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A figure that must stay within its bound.
struct Bounded {
    name: String,
    value: f64,
    bound: Bound,
}

impl Bounded {
    /// What is not a number is within nothing.
    fn holds(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.value >= least,
            Bound::AtMost(most) => self.value <= most,
        }
    }

    fn must_be(&self) -> String {
        match self.bound {
            Bound::AtLeast(least) => format!("at least {}", short(least)),
            Bound::AtMost(most) => format!("at most {}", short(most)),
        }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "value": self.value, "must_be": self.must_be(), "holds": self.holds(),
        })
    }
}

/// One figure, once for each repetition.
struct Series {
    group: String,
    name: String,
    values: Vec<f64>,
}

impl Series {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            length if length % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    fn bounds(&self) -> (f64, f64) {
        let sorted = self.sorted();
        (
            sorted.first().copied().unwrap_or(0.0),
            sorted.last().copied().unwrap_or(0.0),
        )
    }

    fn json(&self) -> Value {
        let (least, most) = self.bounds();
        json!({
            "group": self.group, "name": self.name, "median": self.median(),
            "least": least, "most": most, "values": self.values,
        })
    }
}

fn add(to: &mut Vec<Series>, group: &str, name: &str, value: f64) {
    if let Some(known) = to.iter_mut().find(|s| s.group == group && s.name == name) {
        known.values.push(value);
    } else {
        to.push(Series {
            group: group.to_owned(),
            name: name.to_owned(),
            values: vec![value],
        });
    }
}

impl Report {
    /// Adds one repetition's value; `group` names the unit.
    pub(crate) fn add(&mut self, group: &str, name: &str, value: f64) {
        add(&mut self.series, group, name, value);
    }

    /// Compares two figures, repetition by repetition: what was measured close together has seen
    /// the same machine. Yields the ratio of the last.
    pub(crate) fn ratio(&mut self, what: &str, figure: (&str, &str), of: (&str, &str)) -> f64 {
        let find = |(group, name): (&str, &str)| {
            let found = self
                .series
                .iter()
                .find(|s| s.group == group && s.name == name);
            found.map_or(&[][..], |s| &s.values)
        };
        let pairs = find(figure).iter().zip(find(of));
        let values: Vec<f64> = pairs.map(|(figure, of)| figure / of).collect();
        for value in &values {
            add(&mut self.ratios, "ratios", what, *value);
        }
        values.last().copied().unwrap_or(f64::NAN)
    }

    /// Adds a figure that must stay within its bound.
    pub(crate) fn require(&mut self, name: &str, value: f64, bound: Bound) {
        self.bounds.push(Bounded {
            name: name.to_owned(),
            value,
            bound,
        });
    }

    /// What is out of its bound, a line for each.
    pub(crate) fn broken(&self) -> Vec<String> {
        let broken = self.bounds.iter().filter(|bounded| !bounded.holds());
        broken
            .map(|b| format!("{}: {}, must be {}", b.name, short(b.value), b.must_be()))
            .collect()
    }

    /// The tables, in Markdown.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        let all: Vec<&Series> = self.series.iter().chain(&self.ratios).collect();
        let mut groups: Vec<&str> = Vec::new();
        for series in &all {
            if !groups.contains(&series.group.as_str()) {
                groups.push(&series.group);
            }
        }
        for group in groups {
            text += &format!("\n| {group} | median | least to most |\n| --- | ---: | ---: |\n");
            for series in all.iter().filter(|series| series.group == group) {
                let (least, most) = series.bounds();
                let (median, least, most) = (short(series.median()), short(least), short(most));
                text += &format!("| {} | {median} | {least} to {most} |\n", series.name);
            }
        }
        if !self.bounds.is_empty() {
            text += "\n| bounds | value | must be | |\n| --- | ---: | --- | --- |\n";
        }
        for bounded in &self.bounds {
            let (value, must_be) = (short(bounded.value), bounded.must_be());
            let holds = if bounded.holds() { "holds" } else { "BROKEN" };
            text += &format!("| {} | {value} | {must_be} | {holds} |\n", bounded.name);
        }
        text
    }

    /// Writes it all, with every single value.
    pub(crate) fn write(&self, file: &Path, about: &Value) -> Result<()> {
        let all = |series: &[Series]| series.iter().map(Series::json).collect::<Vec<_>>();
        let json = json!({
            "about": about, "figures": all(&self.series), "ratios": all(&self.ratios),
            "bounds": self.bounds.iter().map(Bounded::json).collect::<Vec<_>>(),
        });
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(file, serde_json::to_string_pretty(&json)?)?)
    }
}

/// Three digits that say something.
fn short(value: f64) -> String {
    match value.abs() {
        1000.0.. => {
            let digits = format!("{value:.0}");
            let (thousands, rest) = digits.split_at(digits.len() - 3);
            format!("{thousands},{rest}")
        }
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
