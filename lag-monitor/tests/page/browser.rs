//! A browser, driven by the WebDriver protocol.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use test_stack::eventually;

use crate::kept::Kept;
use crate::support::DEADLINE;

const MISSING: &str = "chromium and chromium-driver are not installed (Debian: apt-get install chromium chromium-driver)";

/// How WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Never dropped: its end, and that of its browsers, is the end of the process.
static DRIVER: OnceLock<(Mutex<Kept>, String)> = OnceLock::new();

/// One window, with a profile of its own that chromedriver makes and removes.
pub struct Browser {
    client: Client,
    session: String,
}

fn driver() -> &'static str {
    let (_, url) = DRIVER.get_or_init(|| {
        for program in ["chromium", "chromedriver"] {
            let found = Command::new(program).arg("--version").output();
            assert!(found.is_ok_and(|ran| ran.status.success()), "{MISSING}");
        }
        let mut kept = Kept::start("chromedriver", &["--port=0"], &[]);
        let mut lines = BufReader::new(kept.output()).lines().map_while(Result::ok);
        let said = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = said.expect("chromedriver says its port");
        (Mutex::new(kept), format!("http://127.0.0.1:{port}"))
    });
    url
}

impl Browser {
    /// Opens the page, 1280 pixels wide.
    pub async fn open(url: &str) -> Self {
        let client = Client::builder().timeout(DEADLINE).no_proxy().build();
        let client = client.unwrap();
        // Without a sandbox, since a test may run as root; and without /dev/shm, which is small in containers.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,1000",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments},
        }}});
        let session = format!("{}/session", driver());
        let answer = client.post(&session).json(&wanted).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str();
        let id = id.unwrap_or_else(|| panic!("no session: {answer}"));
        let browser = Self {
            client,
            session: format!("{session}/{id}"),
        };
        browser.ask(Method::POST, "url", &json!({"url": url})).await;
        browser
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self
            .client
            .request(method, format!("{}/{path}", self.session));
        let answer = request.json(body).send().await.unwrap();
        let status = answer.status();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path} {body}: {answer}");
        answer["value"].take()
    }

    /// What the function body returns.
    pub async fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.ask(Method::POST, "execute/sync", &body).await
    }

    /// Waits until the function body returns something that is true, and returns it.
    pub async fn until(&self, what: &str, script: &str) -> Value {
        let look = async || {
            let found = self.run(script).await;
            let nothing = json!(false) == found || found.is_null() || found == "";
            if nothing {
                Err(self.text().await)
            } else {
                Ok(found)
            }
        };
        eventually(DEADLINE, what, look).await
    }

    /// All that can be read.
    pub async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    pub async fn until_text(&self, words: &str) {
        let script = format!("return document.body.innerText.includes({})", json!(words));
        self.until(words, &script).await;
    }

    async fn element(&self, selector: &str) -> String {
        let body = json!({"using": "css selector", "value": selector});
        let found = self.ask(Method::POST, "element", &body).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// As with a mouse.
    pub async fn click(&self, selector: &str) {
        let path = format!("element/{}/click", self.element(selector).await);
        self.ask(Method::POST, &path, &json!({})).await;
    }

    /// As with a keyboard.
    pub async fn keys(&self, selector: &str, keys: &str) {
        let path = format!("element/{}/value", self.element(selector).await);
        self.ask(Method::POST, &path, &json!({"text": keys})).await;
    }

    /// A command of Chromium's own protocol.
    pub async fn tell(&self, command: &str, parameters: Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.ask(Method::POST, "goog/cdp/execute", &body).await;
    }

    /// Opens the page in one more tab, which is then the one in front.
    pub async fn open_another(&self, url: &str) {
        let body = json!({"type": "tab"});
        let tab = self.ask(Method::POST, "window/new", &body).await;
        let body = json!({"handle": tab["handle"]});
        self.ask(Method::POST, "window", &body).await;
        self.ask(Method::POST, "url", &json!({"url": url})).await;
    }

    /// Brings the tab to the front that was opened first.
    pub async fn show_first(&self) {
        let tabs = self.ask(Method::GET, "window/handles", &json!({})).await;
        let body = json!({"handle": tabs[0]});
        self.ask(Method::POST, "window", &body).await;
    }

    /// What the console was told since the last look.
    pub async fn log(&self) -> Value {
        let body = json!({"type": "browser"});
        self.ask(Method::POST, "se/log", &body).await
    }

    /// Ends it. Nothing may have gone wrong in the page; `refused` says whether calls may have been refused or got no answer.
    pub async fn close(self, refused: bool) {
        let log = self.log().await;
        let entries = log.as_array().unwrap().iter();
        let wrong: Vec<&Value> = entries
            .filter(|entry| !(refused && entry["source"] == "network"))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let ended = self
            .client
            .delete(&self.session)
            .timeout(Duration::from_secs(20));
        ended.send().await.unwrap();
    }
}
