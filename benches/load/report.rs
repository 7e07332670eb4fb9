//! What was measured, with its spread, and as ratios: printed as tables, written as JSON.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::client::Result;

/// Everything measured so far.
#[derive(Default)]
pub(crate) struct Report {
    series: Vec<Series>,
    ratios: Vec<Series>,
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
    /// the same machine.
    pub(crate) fn ratio(&mut self, what: &str, figure: (&str, &str), of: (&str, &str)) {
        let find = |(group, name): (&str, &str)| {
            let found = self
                .series
                .iter()
                .find(|s| s.group == group && s.name == name);
            found.map_or(&[][..], |s| &s.values)
        };
        let pairs = find(figure).iter().zip(find(of));
        for value in pairs.map(|(figure, of)| figure / of).collect::<Vec<_>>() {
            add(&mut self.ratios, "ratios", what, value);
        }
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
        text
    }

    /// Writes it all, with every single value.
    pub(crate) fn write(&self, file: &Path, about: &Value) -> Result<()> {
        let all = |series: &[Series]| series.iter().map(Series::json).collect::<Vec<_>>();
        let json = json!({
            "about": about, "figures": all(&self.series), "ratios": all(&self.ratios),
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
