//! What is asked of every page of ours, wide and narrow, light and dark: axe-core finds nothing, nothing sticks
//! out, and a picture is kept below the target folder for people to look at.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{control::LOOKS, driver::Browser};
use crate::support::server::tool;

/// All rules of axe-core; what they find, in short.
const AXE: &str = "return axe.run(document, { resultTypes: ['violations'] }).then((found) => ({
    checked: found.passes.length,
    wrong: found.violations.map(({ id, nodes }) => [id, nodes.map((node) => node.failureSummary + node.html)]),
}))";

/// How far the page can be scrolled sideways, in CSS pixels.
const STICKS_OUT: &str = "const { scrollWidth, clientWidth } = document.documentElement;
    return Math.max(0, scrollWidth - clientWidth)";

/// Looks at pages as axe-core and people do.
pub(super) struct Examiner {
    axe: String,
    /// The folder for pictures.
    pub(super) pictures: PathBuf,
}

impl Examiner {
    /// With axe-core as `./test` has installed it.
    pub(super) fn new() -> Self {
        let pictures = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
        fs::create_dir_all(&pictures).expect("the target folder can be written to");
        let axe = tool("axe-core/node_modules/axe-core/axe.min.js");
        let axe = fs::read_to_string(axe).expect("axe-core is a text");
        Self { axe, pictures }
    }

    /// Takes pictures of the page as it stands, and lets axe-core look at it.
    pub(super) async fn examine(&self, browser: &Browser, state: &str) {
        for look in LOOKS {
            browser.looks(look).await;
            let picture = format!("{state}-{}.png", look.name);
            browser.picture_into(&self.pictures.join(picture)).await;
            let out = browser.script(STICKS_OUT).await;
            assert_eq!(out, 0, "{state} sticks out ({})", look.name);
            let wrong = self.violations(browser).await;
            assert_eq!(wrong, json!([]), "{state}, {}: {wrong:#}", look.name);
        }
        // What comes next begins in a wide window.
        browser.looks(LOOKS[0]).await;
    }

    /// What axe-core finds on the page as it stands.
    pub(super) async fn violations(&self, browser: &Browser) -> Value {
        if browser.script("return typeof axe").await != "object" {
            browser.script(&self.axe).await;
        }
        let mut found = browser.script(AXE).await;
        assert!(found["checked"].as_u64() > Some(5), "{found}");
        found["wrong"].take()
    }
}
