//! What docs/security.md says is shown by a test, is.

use std::{collections::BTreeSet, fs, path::Path};

/// Names of functions in every source below a folder; of tests in TypeScript the titles.
fn names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, found);
            continue;
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let (before, after) = match &*extension {
            "rs" => ("fn ", '('),
            "py" => ("def ", '('),
            "ts" => ("('", '\''),
            _ => continue,
        };
        let source = fs::read_to_string(&path).unwrap();
        let name = |rest: &str| rest.split(after).next().unwrap_or_default().to_owned();
        found.extend(source.split(before).skip(1).map(name));
    }
}

#[test]
fn every_security_statement_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let mut known = BTreeSet::new();
    for folder in ["src", "tests", "sdk/python/tests", "sdk/typescript/tests"] {
        names(&root.join(folder), &mut known);
    }
    let rows = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| ")?
                .strip_suffix(" |")?
                .split_once(" | ")
        })
        .filter(|(statement, _)| !matches!(*statement, "statement" | "---"));
    let mut number = 0;
    for (statement, tests) in rows {
        number += 1;
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test shows that {statement}");
        for test in tests {
            assert!(known.contains(test), "{statement}: there is no {test}");
        }
    }
    assert!(number > 40, "{number} statements were read");
}
