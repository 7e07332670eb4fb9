//! Lists as aligned columns, and one thing as its names and values.

use serde_json::Value;

use super::{Output, output::one_line};

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// A value of an answer as a person reads it, on one line.
pub(crate) fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    if text.is_empty() {
        NOTHING.to_owned()
    } else {
        text
    }
}

/// The lines of a table; every column but the last is as wide as its widest cell.
pub(crate) fn lines(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let headings: Vec<String> = headings
        .iter()
        .map(|heading| heading.to_uppercase())
        .collect();
    let all = || std::iter::once(&headings).chain(rows);
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            let cells = all().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let padded = cells.map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
}

/// One thing, a line for each field: those in `first` first, the others as they come.
pub(crate) fn fields(thing: &Value, first: &[&str], output: Output) {
    let Some(members) = thing.as_object() else {
        return;
    };
    let leading = first
        .iter()
        .copied()
        .filter(|name| members.contains_key(*name));
    let others = members.keys().map(String::as_str);
    let names: Vec<&str> = leading
        .chain(others.filter(|name| !first.contains(name)))
        .collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        + 1;
    for name in names {
        let label = format!("{}:", name.replace('_', " "));
        output.line(format!("{label:width$} {}", text(&members[name])));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_no_line_ends_in_blanks() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["client_1", "Kühlschrank", ""]),
            row(["client_22", "x", "active"]),
        ];
        assert_eq!(
            lines(&["client id", "name", "status"], &rows),
            [
                "CLIENT ID  NAME         STATUS",
                "client_1   Kühlschrank",
                "client_22  x            active",
            ]
        );
    }

    #[test]
    fn what_others_wrote_stays_on_its_line_and_nothing_is_seen_as_such() {
        assert_eq!(text(&json!("a\n\u{1b}[2Jb")), "a [2Jb");
        assert_eq!(text(&json!(["a", "b"])), "a, b");
        assert_eq!(text(&json!(false)), "false");
        for nothing in [json!(null), json!(""), json!([])] {
            assert_eq!(text(&nothing), "-");
        }
    }
}
