//! The server's paths, read off its source, so that no test forgets a new one.

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
