//! How many events a second load-generator produces, and how well it keeps a rate.
//!
//! The events go to a topic of their own, which is recreated for each measurement and deleted at
//! the end: the shop does not have to process millions of orders, and every measurement starts with
//! the same free disk space. The shop runs meanwhile, without load.
//!
//! * **burst**: events acknowledged per second, from the start of the load until the last
//!   acknowledgement, as load-generator reports.
//! * **Kafka's own `producer-perf-test`**, in the same run: as many records, with the same producer
//!   settings. Each record is one of the events just sent; key and headers are concatenated into
//!   the value, so that the record has the same size and compresses about as well. The tool runs as
//!   `./sandbox kafka` starts it, and a second time with all of Java's JIT compilers: `./sandbox
//!   kafka` starts tools with the first compiler only, because most tools run briefly, and a
//!   comparison with a slow tool would say little. The figure is the rate in the tool's last line.
//! * **rates**: the rate that an open loop is configured with, and the rate that it reached until
//!   the last acknowledgement.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kafka_admin::Cluster;
use kafka_admin::KafkaSettings;
use kafka_admin::records::{Query, Record, Start};
use local_runtime::kafka_tools;
use serde::Deserialize;
use shared_events::Topic;
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::measurements::Measurements;
use stack::layout::StackLayout;
use stack::settings::environment;
use stack::workload::Workload;

/// The highest number of events of a burst: a topic holds 5 million (3 GiB), which is also the
/// limit of load-generator.
pub const MAX_EVENTS: u64 = 5_000_000;

/// The rates that are measured one after the other, events per second.
pub const RATES: [u32; 3] = [1_000, 10_000, 50_000];

/// The producer settings of both programs: load-generator's argument, Kafka's name, and the value,
/// which is load-generator's default.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("--acks", "acks", "all"),
    ("--compression", "compression.type", "lz4"),
    ("--linger-ms", "linger.ms", "5"),
    ("--batch-bytes", "batch.size", "1000000"),
];

/// How Kafka's tool is run: the description in the figure's name, and the value of `_JAVA_OPTIONS`,
/// which overrides the command line.
const PERF_TESTS: [(&str, Option<&str>); 2] = [
    ("as ./sandbox kafka runs it", None),
    (
        "with all of Java's compilers",
        Some("-XX:TieredStopAtLevel=4"),
    ),
];

/// The events of each partition that become records of Kafka's tool. They are many times larger
/// than the window of lz4 (64 KiB), so that repeating them does not improve the compression.
const PAYLOADS_PER_PARTITION: i64 = 5_000;

/// How long the broker may take to answer the first request.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs load-generator and Kafka's producer-perf-test against a topic that the shop does not use.
pub struct LoadBench<'s> {
    layout: &'s StackLayout,
    kafka: KafkaSettings,
    cluster: Cluster,
}

/// The fields of load-generator's summary that are used here.
#[derive(Debug, Deserialize)]
struct Summary {
    asked: u64,
    acknowledged: u64,
    per_second: f64,
}

impl<'s> LoadBench<'s> {
    /// Checks that the broker answers. The topic is not created yet.
    pub async fn open(layout: &'s StackLayout) -> Result<Self> {
        let shop = layout.kafka();
        let prefix = shop.name_prefix.name("bench-").parse();
        let kafka = KafkaSettings {
            name_prefix: prefix.context("NAME_PREFIX is too long for \"bench-\" to follow it")?,
            ..shop
        };
        let cluster = Cluster::new(&kafka)?;
        cluster.ping(PING_TIMEOUT).await?;
        Ok(Self {
            layout,
            kafka,
            cluster,
        })
    }

    /// Runs the work, and deletes the topic: also when the work fails, and on Ctrl-C, which ends
    /// the work.
    pub async fn deleting_topic<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let guard = self.layout.interrupt().guard()?;
        let outcome = guard.unless_interrupted(work).await;
        // The first guard is interrupted after a signal, so the deletion needs a guard of its own.
        let _delete_guard = self.layout.interrupt().guard()?;
        let deleted = self.cluster.delete_topics(&[Topic::Orders]).await;
        let deleted = deleted.map_err(anyhow::Error::from);
        outcome.and_then(|outcome| deleted.map(|()| outcome))
    }

    /// Measures a burst, and then Kafka's own tool with as many records of the same size.
    pub async fn burst(&self, events: u64, measurements: &mut Measurements) -> Result<()> {
        let burst = self
            .load(&["burst", "--count", &events.to_string()])
            .await?
            .per_second;
        measurements.add("burst", "events/s", burst);
        let payloads = self.payloads().await?;
        for (how, java_options) in PERF_TESTS {
            let tool = self.perf_test(events, &payloads, java_options).await?;
            measurements.add(format!("producer-perf-test {how}"), "records/s", tool);
            let name = format!("burst, compared with producer-perf-test {how}");
            measurements.add(name, "times", burst / tool);
        }
        Ok(())
    }

    /// Measures an open loop at this rate (events per second).
    pub async fn rate(
        &self,
        rate: u32,
        seconds: u32,
        measurements: &mut Measurements,
    ) -> Result<()> {
        let (events_per_second, duration) = (rate.to_string(), format!("{seconds}s"));
        let arguments = [
            "continuous",
            "--events-per-second",
            &events_per_second,
            "--duration",
            &duration,
        ];
        let reached = self.load(&arguments).await?.per_second;
        measurements.add(format!("{rate}/s asked: came"), "events/s", reached);
        let off_percent = 100.0 * (reached - f64::from(rate)) / f64::from(rate);
        measurements.add(format!("{rate}/s asked: off by"), "%", off_percent);
        Ok(())
    }

    /// Runs load-generator with these arguments into an empty topic. Fails unless every event is
    /// acknowledged.
    async fn load(&self, arguments: &[&str]) -> Result<Summary> {
        self.recreate_topic().await?;
        let generator = Workload::LoadGenerator;
        let prefix = self.kafka.name_prefix.to_string();
        let overrides = BTreeMap::from([("NAME_PREFIX".to_owned(), prefix)]);
        let mut command = Command::new(self.layout.binary(generator));
        command
            .args(arguments)
            .args(SETTINGS.iter().flat_map(|(name, _, value)| [name, value]))
            .arg("--json")
            .env_clear()
            .envs(environment(self.layout, generator, 1, &overrides)?);
        let stdout = stdout_of(command, "load-generator").await?;
        let summary: Summary =
            serde_json::from_str(&stdout).context("load-generator printed no valid summary")?;
        let Summary {
            asked,
            acknowledged,
            ..
        } = summary;
        if acknowledged != asked {
            bail!("{acknowledged} of {asked} events were acknowledged, so the rate is invalid");
        }
        Ok(summary)
    }

    /// Runs Kafka's own tool into an empty topic, and returns its records per second.
    async fn perf_test(
        &self,
        records: u64,
        payloads: &NamedTempFile,
        java_options: Option<&str>,
    ) -> Result<f64> {
        self.recreate_topic().await?;
        let (topic, count) = (self.topic(), records.to_string());
        let arguments = ["--topic", &topic, "--num-records", &count];
        let mut arguments: Vec<OsString> = arguments.map(OsString::from).to_vec();
        arguments.extend(["--throughput", "-1", "--payload-file"].map(OsString::from));
        arguments.push(payloads.path().into());
        let broker = &self.kafka.bootstrap_servers;
        // Kafka 4.0 has neither --bootstrap-server nor --command-property for this tool.
        arguments.push("--producer-props".into());
        arguments.push(format!("bootstrap.servers={broker}").into());
        let settings = SETTINGS.map(|(_, name, value)| format!("{name}={value}"));
        arguments.extend(settings.map(OsString::from));
        let installation = self.layout.sources().installed()?;
        let tool = kafka_tools::command(&installation, broker, "producer-perf-test", &arguments)?;
        let mut tool = Command::from(tool);
        // The tool formats numbers by the locale, and the parser expects a decimal point.
        tool.env("LC_ALL", "C");
        if let Some(options) = java_options {
            tool.env("_JAVA_OPTIONS", options);
        }
        let stdout = stdout_of(tool, "producer-perf-test").await?;
        match parse_last_line(&stdout) {
            Some((sent, rate)) if sent == records => Ok(rate),
            _ => bail!("producer-perf-test printed no result for {records} records: {stdout}"),
        }
    }

    /// A file with events of the last load, one in each line.
    async fn payloads(&self) -> Result<NamedTempFile> {
        let last = Query {
            start: Start::Last(PAYLOADS_PER_PARTITION),
            ..Query::default()
        };
        let records = self.cluster.read(&self.topic(), &last).await?;
        let mut file = NamedTempFile::new().context("cannot create a file for the records")?;
        let lines: Vec<Vec<u8>> = records.iter().map(concat_bytes).collect();
        let written = file.write_all(&lines.join(&b'\n'));
        written.context("cannot write the records to a file")?;
        Ok(file)
    }

    async fn recreate_topic(&self) -> Result<()> {
        let topics = [Topic::Orders];
        self.cluster.delete_topics(&topics).await?;
        self.cluster.create_topics(&topics, None).await?;
        Ok(())
    }

    fn topic(&self) -> String {
        self.kafka.name_prefix.topic(Topic::Orders)
    }
}

/// Key, headers and value of a record. An event contains no line break.
fn concat_bytes(record: &Record) -> Vec<u8> {
    let mut all = record.key.clone().unwrap_or_default();
    for (name, value) in record.headers.iter().flatten() {
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    all.extend_from_slice(record.value.as_deref().unwrap_or_default());
    all
}

/// The records and the records per second in the tool's last line. The lines before contain interim
/// results.
fn parse_last_line(stdout: &str) -> Option<(u64, f64)> {
    let mut lines = stdout.lines().rev();
    let (sent, rest) = lines.find_map(|line| line.split_once(" records sent, "))?;
    let (rate, _) = rest.split_once(" records/sec")?;
    Some((sent.trim().parse().ok()?, rate.parse().ok()?))
}

/// Runs a program that must succeed, and returns its standard output. The program is killed when
/// the future is dropped.
async fn stdout_of(mut command: Command, name: &str) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = output
        .await
        .with_context(|| format!("cannot run {name}: ./sandbox up installs what it needs"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{name} failed: {}{stdout}",
            stderr.trim_start_matches("error: ")
        );
    }
    Ok(stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_of_the_tool_with_a_result_is_parsed() {
        let stdout = "600000 records sent, 119976.0 records/sec (68.66 MB/sec), 1.2 ms avg latency, 9.0 ms max latency.\n\
            1000000 records sent, 123456.7 records/sec (70.64 MB/sec), 1.10 ms avg latency, 9.00 ms max latency, 1 ms 50th.\n";
        assert_eq!(parse_last_line(stdout), Some((1_000_000, 123_456.7)));
        for other in [
            "",
            "1 records sent, fast",
            "org.apache.kafka.KafkaException",
        ] {
            assert_eq!(parse_last_line(other), None, "{other}");
        }
    }

    #[test]
    fn key_headers_and_value_are_concatenated() {
        let record = Record {
            topic: "orders".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(b"key".to_vec()),
            headers: Some(vec![("name".to_owned(), Some(b"header".to_vec()))]),
            value: Some(b"value".to_vec()),
        };
        assert_eq!(concat_bytes(&record), b"keynameheadervalue");
    }
}
