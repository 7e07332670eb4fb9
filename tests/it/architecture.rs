//! The house stays as it is drawn: arrows between rooms point one way.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Who may use whom inside the crate; what is not listed is used by nobody else.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("oauth", &["domain"]),
    ("edge", &["domain"]),
    ("trace", &["domain"]),
    ("crypto", &["domain", "edge", "trace"]),
    ("store", &["domain", "edge", "trace"]),
    ("push", &["domain", "store", "edge"]),
    ("view", &["domain"]),
    ("config", &["domain", "crypto", "store"]),
    (
        "http",
        &[
            "config", "crypto", "domain", "edge", "oauth", "push", "store", "trace", "view",
        ],
    ),
    (
        "cli",
        &[
            "config", "crypto", "domain", "edge", "http", "oauth", "store", "trace",
        ],
    ),
];

/// Crates that the pure rooms may name.
const PURE_CRATES: &[&str] = &[
    "form_urlencoded",
    "jiff",
    "serde",
    "serde_json",
    "std",
    "thiserror",
    "url",
    "uuid",
    "zeroize",
];

/// Words that mean effects: none of them in a pure room.
const EFFECTS: &[&str] = &[
    "async ",
    ".await",
    "Timestamp::now",
    "SystemTime",
    "Instant::now",
    "std::fs",
    "std::env",
    "std::net",
];

fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// The part of a source that is built into the program: tests may look where they like.
fn code(source: &str) -> String {
    let until = source
        .find("#[cfg(test)]\nmod tests {")
        .unwrap_or(source.len());
    source[..until]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn room(path: &Path) -> Option<String> {
    let inside = path
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .unwrap();
    let first = inside
        .components()
        .next()?
        .as_os_str()
        .to_str()?
        .trim_end_matches(".rs");
    (!["lib", "main"].contains(&first)).then(|| first.to_owned())
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path
            .file_stem()
            .is_some_and(|stem| stem == "tests" || stem == "golden")
}

/// The rooms that a source names: `crate::room`, and the groups of `use crate::{…}`.
fn used(code: &str) -> Vec<String> {
    let first_word = |text: &str| {
        text.trim_start()
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or("")
            .to_owned()
    };
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            rooms.push(first_word(rest));
            continue;
        };
        let (mut depth, mut begin) = (1, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                rooms.push(first_word(&group[begin..at]));
                begin = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn arrows_between_rooms_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, source) in sources() {
        let Some(room) = room(&path).filter(|_| !is_test(&path)) else {
            continue;
        };
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{room} is not on the map"));
        for used in used(&code(&source)) {
            let known = allowed.contains_key(used.as_str());
            if known && used != room && !may.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_domain_and_the_vocabulary_are_pure() {
    let mut wrong = Vec::new();
    for (path, source) in sources() {
        if !matches!(room(&path).as_deref(), Some("domain" | "oauth")) || is_test(&path) {
            continue;
        }
        let code = code(&source);
        wrong.extend(
            EFFECTS
                .iter()
                .filter(|word| code.contains(**word))
                .map(|word| format!("{}: {word}", path.display())),
        );
        for line in code
            .lines()
            .map(str::trim_start)
            .filter(|line| line.starts_with("use "))
        {
            let name: String = line["use ".len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let inner = ["crate", "super", "self"].contains(&name.as_str());
            let sibling = code.contains(&format!("mod {name};"));
            let local = [
                "AuthenticateRefusal",
                "RedeemRefusal",
                "RefreshRefusal",
                "InvalidRedirectUri",
            ]
            .contains(&name.as_str());
            if !inner && !sibling && !local && !PURE_CRATES.contains(&name.as_str()) {
                wrong.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sql_stands_in_one_place() {
    let begins = ["\"select ", "\"insert ", "\"update ", "\"delete "];
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| !path.ends_with("store/sql.rs") && !is_test(path))
        .filter(|(path, _)| {
            !path
                .parent()
                .is_some_and(|room| room.ends_with("store/sql"))
        })
        .filter(|(_, source)| begins.iter().any(|begin| code(source).contains(begin)))
        .map(|(path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The check itself is checked: a reader that finds nothing would let everything pass.
#[test]
fn rooms_are_read_out_of_every_form_of_use() {
    assert_eq!(used("use crate::store::Store;"), ["store"]);
    assert_eq!(
        used("use crate::{\n    domain::{A, B},\n    edge,\n    store::Store,\n};"),
        ["domain", "edge", "store"]
    );
    assert_eq!(used("fn f() -> crate::http::X {}"), ["http"]);
}
