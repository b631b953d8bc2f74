//! Which instances there are: read from a file, or looked up in DNS, at every poll.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use futures::future::join_all;
use reqwest::Url;
use service_kit::dns_lookup::DnsLookup;
use service_kit::instance;

/// Most instances that are asked.
const MAX_INSTANCES: usize = 100;

/// Most bytes of the file.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where the list of instances is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum InstanceSource {
    /// No instance is asked.
    #[default]
    None,
    /// A file with a line for each instance: its name and its base URL.
    File(PathBuf),
    /// Every address of these names is an instance.
    Hosts(Vec<InstanceHost>),
}

/// The name and the port of a service's containers: `inventory-service:8001`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceHost {
    host: String,
    port: u16,
}

/// An instance, and where it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceAddress {
    /// Service and number: `inventory-service.2`.
    pub name: String,
    /// Without a path.
    pub url: Url,
}

impl InstanceSource {
    /// The instances there are now, at most 100.
    ///
    /// # Errors
    /// If the file cannot be read, or a line of it is invalid.
    pub async fn list(&self) -> anyhow::Result<Vec<InstanceAddress>> {
        let mut all = match self {
            Self::None => Vec::new(),
            Self::File(path) => {
                let text = read(path)?;
                parse(&text).with_context(|| format!("{} is invalid", path.display()))?
            }
            Self::Hosts(hosts) => look_up(hosts).await,
        };
        all.truncate(MAX_INSTANCES);
        Ok(all)
    }
}

/// A local file of a few hundred bytes: a thread for it would cost more memory than it saves time.
fn read(path: &Path) -> anyhow::Result<String> {
    let failed = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(failed)?.len();
    if size > MAX_FILE_BYTES {
        bail!(
            "{} has {size} bytes; at most {MAX_FILE_BYTES} are read",
            path.display()
        );
    }
    std::fs::read_to_string(path).with_context(failed)
}

/// Empty lines are skipped.
fn parse(text: &str) -> anyhow::Result<Vec<InstanceAddress>> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| parse_line(line).with_context(|| format!("line {}", n + 1)))
        .collect()
}

fn parse_line(line: &str) -> anyhow::Result<InstanceAddress> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(url), None) = (words.next(), words.next(), words.next()) else {
        bail!("must be a name and a URL: inventory-service.2 http://127.0.0.1:8002");
    };
    let url: Option<Url> = url.parse().ok();
    let http = url.filter(|url| url.scheme() == "http" && url.has_host());
    Ok(InstanceAddress {
        name: name.to_owned(),
        url: http.context("the second word must be a URL like http://127.0.0.1:8002")?,
    })
}

/// One instance for each address of each name. The number of an instance is the one that the
/// instance itself uses: that of its container's name.
async fn look_up(hosts: &[InstanceHost]) -> Vec<InstanceAddress> {
    let Some(dns) = DnsLookup::from_system() else {
        return Vec::new();
    };
    let dns = &dns;
    let of_hosts = hosts.iter().map(|one| async move {
        let addresses = dns.ipv4_addresses(&one.host).await.into_iter();
        join_all(addresses.map(|address| async move {
            let name = dns.reverse(address).await;
            let number = name.as_deref().and_then(instance::number_in_name);
            let number = number.unwrap_or_else(|| instance::last_octet(address));
            let url = format!("http://{address}:{}", one.port).parse().ok()?;
            let name = format!("{}.{number}", one.host);
            Some(InstanceAddress { name, url })
        }))
        .await
    });
    let all = join_all(of_hosts).await.into_iter();
    let mut all: Vec<InstanceAddress> = all.flatten().flatten().collect();
    all.sort_by(|one, next| one.name.cmp(&next.name));
    all
}

impl FromStr for InstanceHost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be a host name and a port, as in inventory-service:8001";
        let (host, port) = text.split_once(':').ok_or(FORM)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(FORM)?;
        if host.is_empty() || host.len() > 253 || !host.chars().all(is_plain) {
            return Err(FORM);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_file_is_a_name_and_a_base_url() {
        let text = "order-service.1 http://127.0.0.1:3000\n\n  inventory-service.2   http://[::1]:8002\r\n";
        let all = parse(text).unwrap();
        let all: Vec<_> = all
            .iter()
            .map(|one| (one.name.as_str(), one.url.as_str()))
            .collect();
        assert_eq!(
            all,
            [
                ("order-service.1", "http://127.0.0.1:3000/"),
                ("inventory-service.2", "http://[::1]:8002/"),
            ]
        );
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn an_invalid_line_is_named_by_its_number() {
        for line in [
            "order-service.1",
            "order-service.1 127.0.0.1:3000",
            "order-service.1 file:///etc/passwd",
            "order-service.1 https://127.0.0.1:3000",
            "order-service.1 http://127.0.0.1:3000 3",
        ] {
            let error = parse(&format!("\n{line}\n")).unwrap_err();
            assert!(format!("{error:#}").starts_with("line 2: "), "{error:#}");
        }
    }

    #[test]
    fn a_host_needs_a_name_and_a_port() {
        let valid: InstanceHost = "inventory-service:8001".parse().unwrap();
        assert_eq!(
            (valid.host.as_str(), valid.port),
            ("inventory-service", 8001)
        );
        for invalid in ["", "a", "a:", ":1", "a:0", "a:65536", "a b:1", "http://a:1"] {
            assert!(invalid.parse::<InstanceHost>().is_err(), "{invalid}");
        }
    }

    #[tokio::test]
    async fn the_file_is_read_at_each_call() {
        let path = std::env::temp_dir().join(format!("instances-{}.txt", std::process::id()));
        let source = InstanceSource::File(path.clone());
        let missing = source.list().await.unwrap_err();
        assert!(
            format!("{missing:#}").contains("cannot read"),
            "{missing:#}"
        );
        for count in [1, 3] {
            let lines =
                (1..=count).map(|n| format!("inventory-service.{n} http://127.0.0.1:800{n}\n"));
            std::fs::write(&path, lines.collect::<String>()).unwrap();
            assert_eq!(source.list().await.unwrap().len(), count);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
