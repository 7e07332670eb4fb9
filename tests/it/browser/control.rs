//! What a test may do to a browser that no person can: change its screen, its clock, what it loads.

use fantoccini::{cookies::Cookie, wd::WebDriverCompatibleCommand, wd::WindowHandle};
use reqwest::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::driver::Browser;

/// A screen, and what its owner prefers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// What a picture of it is called.
    pub(crate) name: &'static str,
    /// Width in CSS pixels; phones have from 320 to 390.
    pub(crate) width: u32,
    /// `prefers-color-scheme`.
    pub(crate) scheme: &'static str,
}

/// Wide and narrow, light and dark.
pub(crate) const LOOKS: [Look; 4] = [
    Look {
        name: "wide-light",
        width: 1000,
        scheme: "light",
    },
    Look {
        name: "wide-dark",
        width: 1000,
        scheme: "dark",
    },
    Look {
        name: "phone-light",
        width: 320,
        scheme: "light",
    },
    Look {
        name: "phone-dark",
        width: 390,
        scheme: "dark",
    },
];

/// A command of the Chrome DevTools Protocol, by way of chromedriver.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

impl Browser {
    /// A command of the Chrome DevTools Protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let call = json!({ "cmd": command, "params": parameters });
        self.page()
            .issue_cmd(DevTools(call))
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Shows pages like this from now on.
    pub(crate) async fn looks(&self, look: Look) {
        let screen = json!({
            "width": look.width, "height": 800, "deviceScaleFactor": 1, "mobile": look.width < 500,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
        self.prefers("prefers-color-scheme", look.scheme).await;
    }

    /// Sets a media feature, and unsets those set before.
    pub(crate) async fn prefers(&self, feature: &str, value: &str) {
        let features = json!({ "features": [{ "name": feature, "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Runs a script in every page that is opened from now on, before the page's own.
    pub(crate) async fn runs_first(&self, script: &str) {
        let source = json!({ "source": script });
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source)
            .await;
    }

    /// Lets pages run scripts, or not.
    pub(crate) async fn scripts(&self, run: bool) {
        let disabled = json!({ "value": !run });
        self.devtools("Emulation.setScriptExecutionDisabled", disabled)
            .await;
    }

    /// Loads nothing whose address fits one of these patterns from now on.
    pub(crate) async fn blocks(&self, patterns: &[&str]) {
        self.devtools("Network.enable", json!({})).await;
        let blocked = json!({ "urls": patterns });
        self.devtools("Network.setBlockedURLs", blocked).await;
        let off = json!({ "cacheDisabled": true });
        self.devtools("Network.setCacheDisabled", off).await;
    }

    /// The cookies of the page that is open, as a `Cookie` header carries them.
    pub(crate) async fn cookies(&self) -> String {
        let cookies = self.page().get_all_cookies().await.expect("a page is open");
        let pair = |cookie: &Cookie<'_>| format!("{}={}", cookie.name(), cookie.value());
        cookies.iter().map(pair).collect::<Vec<_>>().join("; ")
    }

    /// Clears everything that the page's site has stored.
    pub(crate) async fn forgets(&self) {
        self.page()
            .delete_all_cookies()
            .await
            .expect("a page is open");
        self.script("localStorage.clear(); sessionStorage.clear()")
            .await;
    }

    /// A new tab in front of the others.
    pub(crate) async fn new_tab(&self) -> WindowHandle {
        let tab = self.page().new_window(true).await.expect("a tab opens");
        self.turns_to(&tab.handle).await;
        tab.handle
    }

    /// Brings a tab to the front.
    pub(crate) async fn turns_to(&self, tab: &WindowHandle) {
        let turned = self.page().switch_to_window(tab.clone()).await;
        turned.expect("the tab is there");
    }

    /// The back button.
    pub(crate) async fn back(&self) {
        self.page().back().await.expect("there is a page before");
    }

    /// The forward button.
    pub(crate) async fn forward(&self) {
        self.page().forward().await.expect("there is a page after");
    }

    /// The page's HTML as it stands now.
    pub(crate) async fn source(&self) -> String {
        self.page().source().await.expect("a page is open")
    }
}
