//! A real Chromium, headless, driven by WebDriver; both from Debian's packages.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ledger,
    process::{Output, PATIENCE, PAUSE, Process, free_port},
    watchdog::{self, Ending},
};

/// A browser with a profile of its own, gone when dropped.
pub(crate) struct Browser {
    page: Client,
    /// Chromium's driver; the browser itself is its child.
    _driver: Process,
    folder: TempDir,
}

/// Whether pages may run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

impl Browser {
    /// Starts one.
    pub(crate) async fn start(scripts: Scripts) -> Self {
        Self::start_with(scripts, &[]).await
    }

    /// Starts one with further arguments.
    pub(crate) async fn start_with(scripts: Scripts, args: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("auth-agent-browser-")
            .tempdir()
            .expect("a temporary folder can be made");
        watchdog::remove_at_end(folder.path());
        let chromedriver = find("chromedriver");
        for _ in 0..10 {
            let port = free_port();
            let mut command = Command::new(&chromedriver);
            command
                .arg(format!("--port={port}"))
                .current_dir(folder.path());
            // Whatever a browser keeps outside of its profile goes there too.
            for variable in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
                command.env(variable, folder.path());
            }
            let mut driver = Process::start_with(&mut command, Output::default(), Ending::Family);
            let address = format!("http://127.0.0.1:{port}");
            if is_ready(&address, &mut driver).await {
                let capabilities = capabilities(folder.path(), scripts, args);
                let page = ClientBuilder::new(HttpConnector::new())
                    .capabilities(capabilities)
                    .connect(&address)
                    .await
                    .unwrap_or_else(|error| {
                        panic!("no browser: {error}\n{}", driver.output().text())
                    });
                return Self {
                    page,
                    _driver: driver,
                    folder,
                };
            }
        }
        panic!("chromedriver finds no free port");
    }

    /// What drives it.
    pub(super) const fn page(&self) -> &Client {
        &self.page
    }

    /// Goes to an address.
    pub(crate) async fn open(&self, url: &str) {
        self.page
            .goto(url)
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Loads the page again.
    pub(crate) async fn reload(&self) {
        self.page.refresh().await.expect("the page loads again");
    }

    /// Clicks what a CSS selector finds, once it is there.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self
            .page
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(selector))
            .await;
        let element = element.unwrap_or_else(|error| panic!("no {selector}: {error}"));
        element
            .click()
            .await
            .unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// The address that the browser shows.
    pub(crate) async fn url(&self) -> String {
        let url = self.page.current_url().await;
        let url = url.expect("a page has an address").to_string();
        ledger::redirected(&url);
        url
    }

    /// The words that a person can see now: hidden ones are not among them.
    pub(crate) async fn words(&self) -> String {
        // Between two pages there is no body for a moment.
        let Ok(body) = self.page.find(Locator::Css("body")).await else {
            return String::new();
        };
        body.text().await.unwrap_or_default()
    }

    /// An attribute of the first element that a CSS selector finds.
    pub(crate) async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let element = self.page.find(Locator::Css(selector)).await.ok()?;
        element.attr(name).await.ok()?
    }

    /// The visible text of the first element that a CSS selector finds.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let element = self.page.find(Locator::Css(selector)).await;
        let element = element.unwrap_or_else(|error| panic!("no {selector}: {error}"));
        element.text().await.expect("an element has a text")
    }

    /// What a script in the page returns.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.page
            .execute(script, vec![])
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until the page shows these words, in whatever case.
    ///
    /// # Panics
    ///
    /// When it never does.
    pub(crate) async fn sees(&self, words: &str) -> String {
        let sought = words.to_lowercase();
        self.until(&format!("the words `{words}`"), |_, text| {
            text.to_lowercase().contains(&sought)
        })
        .await
    }

    /// Waits until address and words are as they should be, and returns the words.
    ///
    /// # Panics
    ///
    /// When they never are; a picture of the page is kept then.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&str, &str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let (url, words) = (self.url().await, self.words().await);
            if is(&url, &words) {
                return words;
            }
            if start.elapsed() > PATIENCE {
                let picture = self.keep_picture().await;
                panic!("{what} never came; at {url} (see {picture:?}) it says:\n{words}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A picture of the page, in the browser's own folder, so that it is gone with it.
    pub(crate) async fn picture(&self) -> PathBuf {
        let file = self.folder.path().join("page.png");
        self.picture_into(&file).await;
        file
    }

    /// The same in a file of the test's.
    pub(crate) async fn picture_into(&self, file: &Path) {
        let picture = self.page.screenshot().await;
        let picture = picture.expect("the page can be pictured");
        std::fs::write(file, picture).expect("the folder can be written to");
    }

    /// The same in the system's temporary folder, for a person to look at.
    async fn keep_picture(&self) -> Option<PathBuf> {
        let picture = self.page.screenshot().await.ok()?;
        let file = tempfile::Builder::new()
            .prefix("auth-agent-page-")
            .suffix(".png")
            .tempfile();
        let (_, path) = file.ok()?.keep().ok()?;
        std::fs::write(&path, picture).ok()?;
        Some(path)
    }

    /// Ends the browser in an orderly way; dropping it ends it as well.
    pub(crate) async fn close(self) {
        self.page.close().await.expect("the browser closes");
    }
}

async fn is_ready(address: &str, driver: &mut Process) -> bool {
    let start = Instant::now();
    while driver.ended().is_none() {
        let status = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client can be built");
        let answer = status.get(format!("{address}/status")).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return true;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "no chromedriver: {}",
            driver.output().text()
        );
        tokio::time::sleep(PAUSE).await;
    }
    let output = driver.output().text();
    assert!(
        output.contains("in use") || output.contains("port"),
        "no chromedriver: {output}"
    );
    false
}

fn capabilities(folder: &Path, scripts: Scripts, more: &[&str]) -> fantoccini::wd::Capabilities {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let mut args = vec![
        // Root cannot use the sandbox; the pages are our own.
        "--no-sandbox",
        "--headless",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        "--window-size=1000,800",
        &profile,
    ];
    args.extend(more);
    if scripts == Scripts::Off {
        args.push("--blink-settings=scriptEnabled=false");
    }
    let options = json!({ "binary": find("chromium"), "args": args });
    let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": options });
    serde_json::from_value(capabilities).expect("capabilities are an object")
}

/// A program of Debian's packages `chromium` and `chromium-driver`.
fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("{program} is missing: `./test` installs it"))
}

mod tests {
    use super::{Browser, Scripts};
    use crate::{browser::website::Website, support::process::eventually};

    #[tokio::test]
    async fn the_browser_shows_what_a_person_sees() {
        let website = Website::start().await;
        let browser = Browser::start(Scripts::On).await;
        browser
            .open(&format!("{}?code=c", website.redirect_uri()))
            .await;
        assert_eq!(
            browser.sees("Welcome back").await,
            "Welcome back with a code"
        );
        browser
            .open(&format!("{}?error=access_denied", website.redirect_uri()))
            .await;
        browser.sees("with an error").await;
        assert_eq!(browser.script("return document.title + 'x'").await, "x");
        assert!(browser.picture().await.exists());
        browser.close().await;
    }

    #[tokio::test]
    async fn scripts_can_be_off() {
        for (scripts, expected) in [(Scripts::On, "ran"), (Scripts::Off, "stood")] {
            let browser = Browser::start(scripts).await;
            browser
                .open(
                    "data:text/html,<p id=p title=t>stood</p><script>p.textContent='ran'</script>",
                )
                .await;
            assert_eq!(browser.sees(expected).await, expected);
            assert_eq!(browser.attribute("p", "title").await.as_deref(), Some("t"));
        }
    }

    #[tokio::test]
    async fn no_browser_outlives_its_test() {
        let browser = Browser::start(Scripts::On).await;
        let folder = browser.folder.path().to_owned();
        let running = || {
            let processes = std::fs::read_dir("/proc").expect("this is Linux").flatten();
            let commands = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
            let folder = folder.to_string_lossy();
            commands
                .filter(|c| String::from_utf8_lossy(c).contains(&*folder))
                .count()
        };
        assert!(running() > 0);
        drop(browser);
        eventually("the browser to go", async || (running() == 0).then_some(())).await;
    }
}
