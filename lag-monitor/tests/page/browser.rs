//! Chromium, driven through the WebDriver protocol.
//!
//! Not a library: fantoccini needs `webdriver`, whose licence (MPL-2.0) deny.toml does not allow;
//! thirtyfour switches serde_json to `preserve_order` for the whole workspace, so that tests would
//! run other programs than the released ones.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use test_stack::eventually;

use crate::child_program::ChildProgram;
use crate::test_monitor::DEADLINE;

const MISSING: &str = "chromium and chromium-driver are not installed (Debian: apt-get install chromium chromium-driver)";

/// The key of an element's id in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// chromedriver and its URL. A static is never dropped: chromedriver and its browsers end with this
/// process.
static DRIVER: OnceLock<(Mutex<ChildProgram>, String)> = OnceLock::new();

/// A WebDriver session: one window, with a new profile that chromedriver creates and removes.
pub struct Browser {
    client: Client,
    session: String,
}

fn driver_url() -> &'static str {
    let (_, url) = DRIVER.get_or_init(|| {
        for program in ["chromium", "chromedriver"] {
            let version = Command::new(program).arg("--version").output();
            assert!(version.is_ok_and(|ran| ran.status.success()), "{MISSING}");
        }
        let mut driver = ChildProgram::start("chromedriver", &["--port=0"], &[]);
        let mut lines = BufReader::new(driver.stdout())
            .lines()
            .map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = port.expect("chromedriver prints its port");
        (Mutex::new(driver), format!("http://127.0.0.1:{port}"))
    });
    url
}

impl Browser {
    /// Opens the page in a new window, 1280 pixels wide.
    pub async fn open(url: &str) -> Self {
        let client = Client::builder().timeout(DEADLINE).no_proxy().build();
        let client = client.unwrap();
        // No sandbox, since a test may run as root. No /dev/shm, which is small in containers.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,1000",
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments},
        }}});
        let sessions = format!("{}/session", driver_url());
        let request = client.post(&sessions).json(&capabilities);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str();
        let id = id.unwrap_or_else(|| panic!("no session: {answer}"));
        let browser = Self {
            client,
            session: format!("{sessions}/{id}"),
        };
        browser
            .request(Method::POST, "url", &json!({"url": url}))
            .await;
        browser
    }

    async fn request(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self
            .client
            .request(method, format!("{}/{path}", self.session));
        let answer = request.json(body).send().await.unwrap();
        let status = answer.status();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path} {body}: {answer}");
        answer["value"].take()
    }

    /// Runs a function body in the page, and returns its value.
    pub async fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.request(Method::POST, "execute/sync", &body).await
    }

    /// Runs a function body until its value is not false, null or empty, and returns the value.
    pub async fn until(&self, what: &str, script: &str) -> Value {
        let run = async || {
            let value = self.run(script).await;
            match value == json!(false) || value.is_null() || value == "" {
                true => Err(self.text().await),
                false => Ok(value),
            }
        };
        eventually(DEADLINE, what, run).await
    }

    /// The visible text of the page.
    pub async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    pub async fn until_text(&self, text: &str) {
        let script = format!("return document.body.innerText.includes({})", json!(text));
        self.until(text, &script).await;
    }

    async fn element(&self, selector: &str) -> String {
        let body = json!({"using": "css selector", "value": selector});
        let element = self.request(Method::POST, "element", &body).await;
        element[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks the element with the mouse.
    pub async fn click(&self, selector: &str) {
        let path = format!("element/{}/click", self.element(selector).await);
        self.request(Method::POST, &path, &json!({})).await;
    }

    /// Types with the keyboard while the element has the focus.
    pub async fn keys(&self, selector: &str, keys: &str) {
        let path = format!("element/{}/value", self.element(selector).await);
        self.request(Method::POST, &path, &json!({"text": keys}))
            .await;
    }

    /// Sends a command of the Chrome DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.request(Method::POST, "goog/cdp/execute", &body).await;
    }

    /// Opens the page in a new tab, and switches to the tab.
    pub async fn open_tab(&self, url: &str) {
        let body = json!({"type": "tab"});
        let tab = self.request(Method::POST, "window/new", &body).await;
        let body = json!({"handle": tab["handle"]});
        self.request(Method::POST, "window", &body).await;
        self.request(Method::POST, "url", &json!({"url": url}))
            .await;
    }

    pub async fn switch_to_first_tab(&self) {
        let tabs = self
            .request(Method::GET, "window/handles", &json!({}))
            .await;
        let body = json!({"handle": tabs[0]});
        self.request(Method::POST, "window", &body).await;
    }

    /// The lines of the console since the last call.
    pub async fn console(&self) -> Value {
        let body = json!({"type": "browser"});
        self.request(Method::POST, "se/log", &body).await
    }

    /// Ends the session. Fails if the console has an error.
    pub async fn close(self) {
        self.close_ignoring(|_| false).await;
    }

    /// Like [`Browser::close`] for a test whose requests may be refused or get no answer.
    pub async fn close_after_network_errors(self) {
        self.close_ignoring(|line| line["source"] == "network")
            .await;
    }

    async fn close_ignoring(self, is_expected: impl Fn(&Value) -> bool) {
        let console = self.console().await;
        let lines = console.as_array().unwrap().iter();
        let unexpected: Vec<&Value> = lines.filter(|line| !is_expected(line)).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        let request = self
            .client
            .delete(&self.session)
            .timeout(Duration::from_secs(20));
        request.send().await.unwrap();
    }
}
