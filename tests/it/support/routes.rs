//! The server's paths, read off its source, so that no test forgets a new one. What this does not understand
//! fails: a path that were passed over in silence would be tested by nobody.

use std::{collections::BTreeSet, fs, path::Path};

const ROUTER: &str = "src/http/router.rs";
const ADMINISTRATION: &str = "src/http/admin/mod.rs";
/// Another program's paths: the sample website of `auth-agent demo`.
const WEBSITE: &str = "src/cli/demo";

/// Calls of axum's router that add paths.
const ADDING: [&str; 6] = [
    "route",
    "route_service",
    "nest",
    "nest_service",
    "merge",
    "fallback_service",
];
/// Those whose paths do not stand in them as text, and which add none that is not read elsewhere.
const KNOWN: [(&str, &str); 7] = [
    ("merge", "operators()"),
    ("merge", "administration(&app)"),
    ("merge", "closed"),
    (
        "nest_service",
        "\"/api/admin\", admin::service(Arc::clone(app))",
    ),
    // The same paths once more, below the issuer's, and RFC 8414's other form: see `surface.rs`.
    ("nest", "&app.base_path, paths"),
    ("merge", "document"),
    ("route", "&well_known, get(discovery::document)"),
];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// A path with its methods, HEAD left to GET.
type Route = (String, Vec<String>);

/// Paths below `/api/admin`, in whole, with `{id}` in them.
pub(crate) fn administration() -> Vec<String> {
    of_administration()
        .into_iter()
        .map(|(path, _)| path)
        .collect()
}

/// Every path of the server.
pub(crate) fn all() -> Vec<String> {
    routes().into_iter().map(|(path, _)| path).collect()
}

/// Every method of every path, with HEAD left to GET.
pub(crate) fn operations() -> BTreeSet<(String, String)> {
    let each = |(path, methods): Route| {
        let of_path = move |method| (path.clone(), method);
        methods.into_iter().map(of_path)
    };
    routes().into_iter().flat_map(each).collect()
}

fn routes() -> Vec<Route> {
    let mut routes = understood(&source(ROUTER));
    routes.extend(of_administration());
    routes
}

fn of_administration() -> Vec<Route> {
    let below = understood(&source(ADMINISTRATION)).into_iter();
    below
        .map(|(path, methods)| (format!("/api/admin{path}"), methods))
        .collect()
}

#[track_caller]
fn understood(source: &str) -> Vec<Route> {
    let routes = read(source).unwrap_or_else(|what| panic!("tests/it/support/routes.rs: {what}"));
    assert!(routes.len() > 5, "the paths are written otherwise now");
    routes
}

fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).expect("a source")
}

/// The routes of a source, or what is not understood of it.
fn read(source: &str) -> Result<Vec<Route>, String> {
    let mut routes = Vec::new();
    for (call, arguments) in calls(source) {
        if KNOWN.contains(&(call, &arguments)) {
            continue;
        }
        let path_and_handlers = || {
            let text = arguments.strip_prefix('"')?;
            let (path, rest) = text.split_once('"')?;
            Some((path, rest.strip_prefix(", ")?))
        };
        let Some((path, handlers)) = path_and_handlers().filter(|_| call == "route") else {
            return Err(format!("what does .{call}({arguments}) add?"));
        };
        routes.push((path.to_owned(), methods(handlers)?));
    }
    Ok(routes)
}

/// The calls that add paths, each with its arguments on one line.
fn calls(source: &str) -> Vec<(&'static str, String)> {
    let program = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = program.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("//")).collect();
    let text = lines.join(" ");
    let mut found = Vec::new();
    for call in ADDING {
        for (at, begin) in text.match_indices(&format!(".{call}(")) {
            let rest = &text[at + begin.len()..];
            let arguments = rest[..end_of_call(rest)].trim().trim_end_matches(',');
            found.push((call, arguments.to_owned()));
        }
    }
    found
}

/// The methods of `get(…).post(…)`.
fn methods(handlers: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = handlers.trim();
    while !rest.is_empty() {
        let call = rest.trim_start_matches('.').split_once('(');
        let Some((method, after)) = call.filter(|(method, _)| METHODS.contains(method)) else {
            return Err(format!("which method is {rest}?"));
        };
        found.push(method.to_owned());
        rest = after[end_of_call(after) + 1..].trim();
    }
    Ok(found)
}

/// Where the parenthesis closes that was opened before.
fn end_of_call(rest: &str) -> usize {
    let mut depth = 1;
    let end = rest.find(|c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    end.expect("the call ends")
}

/// Sources below a folder, by their paths from the root.
fn sources(folder: &str, found: &mut Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            sources(&path, found);
        } else if path.ends_with(".rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_other_source_adds_paths_to_the_server() {
    let mut all = Vec::new();
    sources("src", &mut all);
    assert!(all.iter().any(|path| path == ROUTER) && all.iter().any(|path| path == ADMINISTRATION));
    all.retain(|path| path != ROUTER && path != ADMINISTRATION && !path.starts_with(WEBSITE));
    for path in all {
        assert_eq!(calls(&source(&path)), [], "{path}: read it here as well");
    }
}

#[test]
fn what_is_known_to_add_no_path_is_still_there() {
    let calls = calls(&source(ROUTER));
    for (call, arguments) in KNOWN {
        let known = |(name, text): &(&str, String)| *name == call && text == arguments;
        assert!(calls.iter().any(known), ".{call}({arguments})");
    }
}

#[test]
fn a_path_that_is_written_otherwise_is_not_passed_over() {
    let read_one = |added: &str| read(&format!("Router::new(){added}"));
    let both = vec![(
        "/x/{id}".to_owned(),
        vec!["get".to_owned(), "delete".to_owned()],
    )];
    assert_eq!(
        read_one(".route(\n  \"/x/{id}\",\n  get(show::<X>)\n    .delete(x(1)),\n)"),
        Ok(both)
    );
    for added in [
        ".route(PATH, get(x))",
        ".route(&format!(\"/x\"), get(x))",
        ".route(\"/x\", handlers)",
        ".route(\"/x\", any(x))",
        ".route(\"/x\", on(MethodFilter::TRACE, x))",
        ".route_service(\"/x\", x)",
        ".nest(\"/x\", y())",
        ".nest_service(\"/x\", y)",
        ".merge(more())",
        ".fallback_service(x)",
    ] {
        assert!(read_one(added).is_err(), "{added}");
    }
}
