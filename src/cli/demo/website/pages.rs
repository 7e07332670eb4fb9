//! The website's pages. Whatever came from elsewhere is escaped.

use maud::{DOCTYPE, Markup, html};

use crate::cli::oidc::SignedIn;

/// The style sheet.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem; \
color: #1c1e21; background: #fff; }
.button, button { display: inline-block; font: inherit; padding: .6rem 1.2rem; border: 0; \
border-radius: .4rem; color: #fff; background: #1f4fd8; text-decoration: none; cursor: pointer; }
.button:focus-visible, button:focus-visible { outline: 3px solid #f5a623; outline-offset: 2px; }
h2 { margin-top: 2.5rem; font-size: 1.1rem; }
pre { padding: .8rem; border: 1px solid #8888; border-radius: .4rem; font-size: .75rem; white-space: pre-wrap; \
overflow-wrap: anywhere; }
dt { font-weight: 600; margin-top: .8rem; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { color: #e8eaed; background: #16181c; } }
";

fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="data:,";
            }
            body { main { (content) } }
        }
    }
}

/// The page with the button, as it works here and as it is pasted.
pub(super) fn home(button: &Markup, snippet: &str) -> Markup {
    page(
        "Demo website",
        &html! {
            h1 { "Demo website" }
            p { "An ordinary website that agents can sign in to." }
            h2 { "With the button" }
            p { (button) }
            p { "This is the page's part. docs/websites.md has the callback's and the backend's:" }
            pre #snippet { code { (snippet) } }
            h2 { "By the backend" }
            p { "Without a script: an ordinary link, and an ordinary OpenID Connect library behind it." }
            p { a #sign-in .button href="/login" { "Sign in with Auth Agent" } }
        },
    )
}

/// The page that a sign-in by the button comes back to; its script goes on, or says why not.
pub(super) fn returning(button_script: &str) -> Markup {
    page(
        "Signing in",
        &html! {
            h1 #going-on { "Signing in" }
            p #told role="alert" {}
            p { a .button href="/" { "Back" } }
            script type="module" src=(button_script) {}
            script type="module" src="/callback.js" {}
        },
    )
}

/// The page that shows who signed in.
pub(super) fn signed_in(who: &SignedIn) -> Markup {
    page(
        "Signed in",
        &html! {
            h1 #signed-in { "Signed in" }
            dl {
                dt { "Agent" } dd #agent { (who.agent_id) }
                dt { "Owner, for whom it acts" } dd #owner { (who.owner) }
                dt { "Model, as the agent says" } dd #model { (who.model) }
                dt { "Bound to this browser by" } dd #binding { (who.binding) }
                dt { "ID token" } dd #id-token { "verified (" (who.algorithm) ")" }
            }
            form method="post" action="/logout" { button #logout { "Sign out" } }
        },
    )
}

/// The page for a sign-in that did not work.
pub(super) fn failed(told: &str) -> Markup {
    page(
        "Not signed in",
        &html! {
            h1 #failed { "Not signed in" }
            p role="alert" { (told) }
            p { a .button href="/" { "Back" } }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_elsewhere_is_escaped() {
        let hostile = "<script>alert(1)</script>".to_owned();
        let who = SignedIn {
            agent_id: hostile.clone(),
            owner: hostile.clone(),
            model: hostile.clone(),
            binding: hostile.clone(),
            algorithm: hostile.clone(),
        };
        for page in [signed_in(&who), failed(&hostile), home(&html! {}, &hostile)] {
            assert!(!page.into_string().contains("<script"));
        }
    }
}
