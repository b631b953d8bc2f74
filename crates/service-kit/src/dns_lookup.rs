//! Lookups at the network's DNS server.
//!
//! The system's resolver also reads `/etc/hosts`, where a container finds its own address under the
//! container's id. Only the DNS server knows the container's name.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::proto::rr::RData;
use tokio::time::timeout;

/// How long a lookup may take. The DNS server of a container network answers in a millisecond.
const LOOKUP_TIME: Duration = Duration::from_secs(1);

/// The DNS server of this machine or container.
pub struct DnsLookup {
    resolver: TokioResolver,
}

impl DnsLookup {
    /// The DNS server of `/etc/resolv.conf`; `None` if the file names none.
    pub fn from_system() -> Option<Self> {
        let mut builder = TokioResolver::builder_tokio().ok()?;
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = LOOKUP_TIME;
        options.attempts = 1;
        // Containers come and go, and Docker's DNS server sets a time to live of ten minutes.
        options.cache_size = 0;
        Some(Self {
            resolver: builder.build().ok()?,
        })
    }

    /// The name of an address: `shop-inventory-service-2.shop_default.`. `None` without an answer
    /// within a second.
    pub async fn reverse(&self, address: IpAddr) -> Option<String> {
        let lookup = self.resolver.reverse_lookup(address);
        let answer = timeout(LOOKUP_TIME, lookup).await.ok()?.ok()?;
        let mut answers = answer.answers().iter();
        answers.find_map(|record| match &record.data {
            RData::PTR(name) => Some(name.to_string()),
            _ => None,
        })
    }

    /// All IPv4 addresses of a name, sorted. Empty without an answer within a second: a container
    /// network's DNS server passes unknown names on to public servers, so an error has no other
    /// meaning.
    pub async fn ipv4_addresses(&self, name: &str) -> Vec<IpAddr> {
        // With the final dot, the search domains of the host are not tried.
        let lookup = self.resolver.ipv4_lookup(format!("{name}."));
        let Ok(Ok(answer)) = timeout(LOOKUP_TIME, lookup).await else {
            return Vec::new();
        };
        let records = answer.answers().iter();
        let mut addresses: Vec<IpAddr> = records
            .filter_map(|record| match record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                _ => None,
            })
            .collect();
        addresses.sort();
        addresses
    }
}
