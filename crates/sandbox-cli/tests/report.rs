//! `sandbox report` as a person runs it, with a real broker: the file and the exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helper functions of tests fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kafka_admin::Cluster;
use kafka_admin::KafkaSettings;
use kafka_admin::publish::RawRecord;
use shared_events::Topic;
use tempfile::TempDir;
use test_stack::{kafka_tool, shared};

/// The lag of the group.
const RECORDS: usize = 40;

/// A stack of which only the broker exists, with a group that has a lag.
struct Stack {
    home: TempDir,
    prefix: String,
    port: String,
    group: String,
}

impl Stack {
    async fn new(test: &str) -> Self {
        let stack = shared().await;
        let prefix = stack.unique_prefix(test);
        let kafka = KafkaSettings {
            bootstrap_servers: stack.bootstrap().to_owned(),
            name_prefix: prefix.parse().unwrap(),
            slot: None,
        };
        let cluster = Cluster::new(&kafka).unwrap();
        cluster
            .create_topics(&[Topic::Payments], Some(2))
            .await
            .unwrap();
        let records: Vec<_> = (0..RECORDS).map(record).collect();
        cluster.publish(&records).await.unwrap();
        let (group, topic) = (
            format!("{prefix}inventory-service-group"),
            format!("{prefix}payments"),
        );
        let reset = [
            "--timeout",
            "60000",
            "--group",
            &group,
            "--topic",
            &topic,
            "--reset-offsets",
            "--to-earliest",
            "--execute",
        ];
        kafka_tool(stack.bootstrap(), "consumer-groups", &reset).await;
        let (_, port) = stack.bootstrap().rsplit_once(':').unwrap();
        Self {
            home: tempfile::tempdir().unwrap(),
            port: port.to_owned(),
            prefix,
            group,
        }
    }

    /// Runs the scenario of this README, in a folder of this name.
    fn report(&self, name: &str, readme: &str, more: &[&str]) -> Output {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("README.md"), readme).unwrap();
        Command::new(env!("CARGO_BIN_EXE_sandbox"))
            .args(["--home", &self.home.path().display().to_string()])
            .args(["--name-prefix", &self.prefix, "--kafka-port", &self.port])
            // Ports without a listener.
            .args([
                "--order-port",
                "1",
                "--payment-port",
                "2",
                "--inventory-ports",
                "3",
            ])
            .args(["report", &folder.display().to_string()])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(format!("reports/{name}.html"))
    }
}

fn record(n: usize) -> RawRecord {
    RawRecord {
        topic: Topic::Payments,
        partition: None,
        key: Some(n.to_string().into_bytes()),
        headers: Vec::new(),
        value: Some(b"a record".to_vec()),
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_report_of_a_passed_scenario_shows_the_sampled_lag() {
    let stack = Stack::new("report_pass").await;
    let readme = "# A lag that stays\n## Look <i>twice</i>\n```sh\necho 'seen & <b>shown</b>'\nsleep 2\n```\n";
    let output = stack.report("passes", readme, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let file = stack.file("passes");
    let printed = text(&output.stdout);
    assert!(
        printed.trim_end().ends_with(&file.display().to_string()),
        "{printed}"
    );
    let page = read(&file);
    for part in [
        "<h1>A lag that stays</h1>",
        ">PASS</p>",
        "seen &amp; &lt;b&gt;shown&lt;/b&gt;",
        "Look &lt;i&gt;twice&lt;/i&gt;",
        &format!(
            "{} <span>highest {RECORDS} · last {RECORDS}</span>",
            stack.group
        ),
        &format!("Lag of {} by partition", stack.group),
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(
        page.contains("<g class=\"line c0\"") && page.contains("<path d=\"M"),
        "{page}"
    );
    for external in ["src=", "href=\"http", "url(", "@import", "<script"] {
        assert!(!page.contains(external), "{external} in {page}");
    }
}

#[tokio::test]
async fn the_report_of_a_failed_scenario_has_its_exit_code() {
    let stack = Stack::new("report_fail").await;
    let readme = "# It breaks\n## Fix\n```sh\necho two\n```\n```text expect\none\n```\n## Verify\n```sh\ntrue\n```\n\
        ## Restore\n```sh\necho restored\n```\n";
    let elsewhere = stack.home.path().join("here/mine.html");
    let named = elsewhere.display().to_string();
    let output = stack.report("fails", readme, &["--output", &named]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("fails: Fix: unexpected output"), "{error}");
    let page = read(&elsewhere);
    for part in [">FAIL</p>", "Expected", "Actual", "NOT RUN", "restored"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!stack.file("fails").exists());
}

#[tokio::test]
async fn a_report_without_a_broker_states_that() {
    let mut stack = Stack::new("report_alone").await;
    stack.port = "1".to_owned();
    let output = stack.report("alone", "# Alone\n```sh\ntrue\n```\n", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = read(&stack.file("alone"));
    assert!(
        page.contains("The cluster could not be read") && !page.contains("<svg"),
        "{page}"
    );
}

#[tokio::test]
async fn an_output_that_cannot_be_a_file_is_refused_before_the_run() {
    let stack = Stack::new("report_place").await;
    let mark = stack.home.path().join("played");
    let readme = format!("# A\n```sh\ntouch '{}'\n```\n", mark.display());
    let folder = stack.home.path().display().to_string();
    let output = stack.report("place", &readme, &["--output", &folder]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(!mark.exists());
}
