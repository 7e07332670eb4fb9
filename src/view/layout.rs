//! What all pages share.

use maud::{DOCTYPE, Markup, html};

use super::asset;

/// A whole page. `head` comes before anything that others wrote, the title included, because
/// agents search the page's text for the first place that looks like the request.
pub(super) fn document(base_path: &str, title: &str, head: &Markup, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                (head)
                title { (title) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                link rel="icon" type="image/svg+xml" href=(asset::path(base_path, "icon.svg"));
                link rel="stylesheet" href=(asset::path(base_path, "style.css"));
            }
            body {
                header.brand {
                    img src=(asset::path(base_path, "icon.svg")) alt="" width="24" height="24";
                    "Auth Agent"
                }
                (main)
            }
        }
    }
}
