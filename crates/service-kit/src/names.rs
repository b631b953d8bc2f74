//! Names and addresses as the network's own DNS server has them, and no file of this machine: in a container, `/etc/hosts` has
//! the container's id for its own address.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::proto::rr::RData;
use tokio::time::timeout;

/// How long a question may take. The DNS server of a container network answers in a millisecond.
const PATIENCE: Duration = Duration::from_secs(1);

/// The DNS server that this machine or container is told to ask.
pub struct Names {
    resolver: TokioResolver,
}

impl Names {
    /// The one of `/etc/resolv.conf`; `None` if none is named there.
    pub fn of_network() -> Option<Self> {
        let mut builder = TokioResolver::builder_tokio().ok()?;
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = PATIENCE;
        options.attempts = 1;
        // Who is there now: Docker's DNS server lets an answer live for ten minutes.
        options.cache_size = 0;
        Some(Self {
            resolver: builder.build().ok()?,
        })
    }

    /// The name of who has this address: `shop-inventory-service-2.shop_default.`; `None` if nobody says so within a second.
    pub async fn name_of(&self, address: IpAddr) -> Option<String> {
        let asked = timeout(PATIENCE, self.resolver.reverse_lookup(address)).await;
        let answer = asked.ok()?.ok()?;
        let mut answers = answer.answers().iter();
        answers.find_map(|record| match &record.data {
            RData::PTR(name) => Some(name.to_string()),
            _ => None,
        })
    }

    /// Every address of this name, sorted; none if nobody knows it within a second. A network's DNS server hands a name that is
    /// none of its own on to the world's, so that an error tells no more than "not here".
    pub async fn addresses_of(&self, name: &str) -> Vec<IpAddr> {
        // With a dot at its end: else the host's search domains would be tried, too.
        let asked = timeout(PATIENCE, self.resolver.ipv4_lookup(format!("{name}."))).await;
        let Ok(Ok(answer)) = asked else {
            return Vec::new();
        };
        let addresses = answer
            .answers()
            .iter()
            .filter_map(|record| match record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                _ => None,
            });
        let mut addresses: Vec<IpAddr> = addresses.collect();
        addresses.sort();
        addresses
    }
}
