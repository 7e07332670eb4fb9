//! The server's paths, read off its source, so that no test forgets a new one.

use std::collections::BTreeSet;

const ROUTER: &str = include_str!("../../../src/http/router.rs");
const ADMINISTRATION: &str = include_str!("../../../src/http/admin/mod.rs");

/// Paths below `/api/admin`, in whole, with `{id}` in them.
pub(crate) fn administration() -> Vec<String> {
    assert!(ROUTER.contains(".nest_service(\"/api/admin\""));
    let paths = of(ADMINISTRATION);
    paths
        .iter()
        .map(|path| format!("/api/admin{path}"))
        .collect()
}

/// Every path of the server.
pub(crate) fn all() -> Vec<String> {
    let mut paths = of(ROUTER);
    paths.extend(administration());
    paths
}

/// The paths that stand as text in calls of `route`.
fn of(source: &str) -> Vec<String> {
    let calls = source.split(".route(").skip(1);
    let paths: Vec<String> = calls
        .filter_map(|call| {
            let text = call.trim_start().strip_prefix('"')?;
            text.split('"').next().map(str::to_owned)
        })
        .collect();
    assert!(paths.len() > 5, "the paths are written otherwise now");
    paths
}

/// Every method of every path, with HEAD left to GET.
pub(crate) fn operations() -> BTreeSet<(String, String)> {
    let below = methods_of(ADMINISTRATION);
    let below = below
        .into_iter()
        .map(|(path, method)| (format!("/api/admin{path}"), method));
    methods_of(ROUTER).into_iter().chain(below).collect()
}

fn methods_of(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for call in source.split(".route(").skip(1) {
        let Some(text) = call.trim_start().strip_prefix('"') else {
            continue;
        };
        let (path, handlers) = text.split_once('"').expect("the path ends");
        let mut depth = 1;
        let end = handlers.find(|c| {
            depth += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        });
        let handlers = &handlers[..end.expect("the call ends")];
        for method in ["get", "post", "put", "patch", "delete"] {
            let call = format!("{method}(");
            let named = handlers.match_indices(&call).any(|(at, _)| {
                !handlers[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            });
            if named {
                found.push((path.to_owned(), method.to_owned()));
            }
        }
    }
    found
}
