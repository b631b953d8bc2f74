//! Lookups at the network's DNS server.
//!
//! The system's resolver also reads `/etc/hosts`, where a container finds its own address under the
//! container's id. Only the DNS server knows the container's name.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::timeout;

/// How long a lookup may take. The DNS server of a container network answers in a millisecond.
const LOOKUP_TIME: Duration = Duration::from_secs(1);

/// The DNS server of this machine or container.
pub struct DnsLookup {
    resolver: TokioResolver,
    service_domain: String,
}

impl DnsLookup {
    /// The DNS server of `/etc/resolv.conf`; `None` if the file names none.
    pub fn from_system() -> Option<Self> {
        let (config, mut options) = read_system_conf().ok()?;
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = LOOKUP_TIME;
        options.attempts = 1;
        // Containers come and go, and Docker's DNS server sets a time to live of ten minutes.
        options.cache_size = 0;
        let service_domain = service_domain(config.search());
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config, provider).with_options(options);
        Some(Self {
            resolver: builder.build().ok()?,
            service_domain,
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
    /// meaning. In a pod of Kubernetes, a name without a dot is a Service of the pod's namespace.
    pub async fn ipv4_addresses(&self, name: &str) -> Vec<IpAddr> {
        // With the final dot, the search domains of the host are not tried.
        let lookup = self.resolver.ipv4_lookup(match name.contains('.') {
            true => format!("{name}."),
            false => format!("{name}.{}", self.service_domain),
        });
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

/// The domain of the Services of a pod's namespace, with the final dot: the search domain
/// `NAMESPACE.svc.ZONE` that Kubernetes gives each pod. Empty elsewhere.
fn service_domain(search: &[Name]) -> String {
    let of_services = |domain: &&Name| domain.iter().nth(1) == Some(b"svc".as_slice());
    let found = search.iter().find(of_services).cloned();
    found.map_or_else(String::new, |mut domain| {
        domain.set_fqdn(true);
        domain.to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_domain_is_that_of_the_pods_namespace() {
        let domain = |search: &[&str]| {
            let names: Vec<Name> = search.iter().map(|name| name.parse().unwrap()).collect();
            service_domain(&names)
        };
        let pod = [
            "shop.svc.cluster.local",
            "svc.cluster.local",
            "cluster.local",
        ];
        assert_eq!(domain(&pod), "shop.svc.cluster.local.");
        assert_eq!(domain(&["corp.example", "example"]), "");
        assert_eq!(domain(&[]), "");
    }
}
