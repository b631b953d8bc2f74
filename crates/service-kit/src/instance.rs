//! The instance number of a process: a small number for metric labels and for people. A container's
//! id is no instance number, because every new container would start new time series.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use tokio::sync::OnceCell;

use crate::dns_lookup::DnsLookup;

/// The highest value of `SLOT`.
const MAX_NUMBER: u32 = 999;

/// A documentation address (RFC 5737). The route to it shows this machine's own address.
const DOCUMENTATION_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// The number of this instance: `SLOT`; without it, the number in the DNS name of this container's
/// address (2 for `shop-inventory-service-2`); without a number in the name, the last octet of the
/// address. 1 outside of containers. The lookup runs once a process, takes at most a second and
/// never fails.
pub async fn number(slot: Option<u32>) -> u32 {
    static LOOKED_UP: OnceCell<u32> = OnceCell::const_new();
    match slot {
        Some(slot) => slot,
        None => *LOOKED_UP.get_or_init(look_up).await,
    }
}

async fn look_up() -> u32 {
    let Some((address, dns)) = own_address().zip(DnsLookup::from_system()) else {
        return 1;
    };
    match dns.reverse(address).await {
        Some(name) => number_in_name(&name).unwrap_or_else(|| last_octet(address)),
        None => 1,
    }
}

/// The number in the DNS name of a container: `shop-inventory-service-2.shop_default.` under
/// Compose v2, `shop_inventory-service_2.shop_default.` under 1.29.
pub fn number_in_name(name: &str) -> Option<u32> {
    let label = name.split('.').next()?;
    let (_, number) = label.rsplit_once(['-', '_'])?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok()?;
    (digits && (1..=MAX_NUMBER).contains(&number)).then_some(number)
}

/// The last octet of an address, which is unique in a small network.
pub fn last_octet(address: IpAddr) -> u32 {
    let last = match address {
        IpAddr::V4(address) => address.octets().last().copied(),
        IpAddr::V6(address) => address.octets().last().copied(),
    };
    last.map_or(1, u32::from)
}

/// The address of this machine or container in its network. Connecting a UDP socket sends nothing.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(DOCUMENTATION_ADDRESS).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_last_part_of_the_containers_name() {
        for (name, number) in [
            ("shop-inventory-service-2.shop_default.", Some(2)),
            ("shop_inventory-service_12.shop_default.", Some(12)),
            ("shop-inventory-service-2", Some(2)),
            ("3f2a9c0d1e44.shop_default.", None),
            ("inventory.shop-1_default.", None),
            ("shop-inventory-service-0.shop_default.", None),
            ("shop-inventory-service-+2.shop_default.", None),
            ("shop-sandbox-run-4c8355aa.shop_default.", None),
            ("host-123456789.example.", None),
            ("", None),
        ] {
            assert_eq!(number_in_name(name), number, "{name}");
        }
    }

    #[test]
    fn the_last_octet_is_the_number_for_a_name_without_one() {
        assert_eq!(last_octet("172.18.0.5".parse().unwrap()), 5);
        assert_eq!(last_octet("fd00::1a".parse().unwrap()), 26);
    }

    #[tokio::test]
    async fn a_slot_is_the_number_without_a_lookup() {
        assert_eq!(number(Some(7)).await, 7);
    }
}
