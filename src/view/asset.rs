//! The files that pages load: embedded in the binary, served under names that carry a hash of the
//! content, so that a browser may keep them for ever and a new version never meets an old file.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::hex;

/// A file, ready to be served.
#[derive(Debug)]
pub struct Asset {
    /// Its media type, for `Content-Type`.
    pub content_type: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

struct File {
    logical: &'static str,
    served_as: String,
    asset: Asset,
}

/// Bytes of the hash in a name: enough to tell versions apart; nobody chooses the contents.
const HASH_BYTES: usize = 8;

static FILES: LazyLock<[File; 4]> = LazyLock::new(|| {
    [
        file(
            "waiting.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../static/waiting.js"),
        ),
        file(
            "style.css",
            "text/css; charset=utf-8",
            include_bytes!("../../static/style.css"),
        ),
        file(
            "openapi.css",
            "text/css; charset=utf-8",
            include_bytes!("../../static/openapi.css"),
        ),
        file(
            "icon.svg",
            "image/svg+xml",
            include_bytes!("../../static/icon.svg"),
        ),
    ]
});

fn file(logical: &'static str, content_type: &'static str, bytes: &'static [u8]) -> File {
    let hash = hash(bytes);
    let (stem, extension) = logical.rsplit_once('.').unwrap_or((logical, ""));
    File {
        logical,
        served_as: format!("{stem}-{hash}.{extension}"),
        asset: Asset {
            content_type,
            bytes,
        },
    }
}

/// What tells this content from any other, in lower-case hex.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(&digest(&SHA256, bytes).as_ref()[..HASH_BYTES])
}

/// The file served as `name` (the last part of the path, hash included); `None` for any other
/// name, also for that of another version.
#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    FILES
        .iter()
        .find(|file| file.served_as == name)
        .map(|file| &file.asset)
}

/// Where the file `logical` (`waiting.js`) is served, below the issuer's path `base_path` ("" or
/// "/auth"): `/auth/static/waiting-<hash>.js`. A file that does not exist gets a path that is not
/// found.
#[must_use]
pub fn path(base_path: &str, logical: &str) -> String {
    let known = FILES.iter().find(|file| file.logical == logical);
    format!(
        "{base_path}/static/{}",
        known.map_or(logical, |file| file.served_as.as_str())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_under_its_path_and_no_other() {
        for file in FILES.iter() {
            let path = path("/auth", file.logical);
            let name = path.strip_prefix("/auth/static/").unwrap();
            assert_eq!(find(name).unwrap().bytes, file.asset.bytes);
            assert!(
                find(file.logical).is_none(),
                "a name without a hash would be kept for ever"
            );
        }
        assert!(find("").is_none());
        assert!(find("waiting-0000000000000000.js").is_none());
    }

    #[test]
    fn a_name_changes_with_the_content() {
        let (one, other) = (file("a.js", "", b"1"), file("a.js", "", b"2"));
        assert_eq!(one.served_as, "a-6b86b273ff34fce1.js");
        assert_ne!(one.served_as, other.served_as);
    }
}
