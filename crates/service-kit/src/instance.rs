//! Which instance of its service a process is: a small number, for labels of metrics and for people. Never a container's id,
//! since every new container would then begin new series.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use tokio::sync::OnceCell;

use crate::names::Names;

/// The highest number, as of `SLOT`.
const HIGHEST: u32 = 999;

/// An address that nobody has (RFC 5737): the way there shows which address is ours.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// The number of this instance: `SLOT`, else the number in the name that the network's DNS server knows for our address
/// (`shop-inventory-service-2` is 2), else the last part of that address. 1 where no DNS server knows us, as outside of
/// containers. Asks once in a process; never fails, and takes a second at most.
pub async fn number(slot: Option<u32>) -> u32 {
    static ASKED: OnceCell<u32> = OnceCell::const_new();
    match slot {
        Some(slot) => slot,
        None => *ASKED.get_or_init(ask).await,
    }
}

async fn ask() -> u32 {
    let Some((address, names)) = own_address().zip(Names::of_network()) else {
        return 1;
    };
    match names.name_of(address).await {
        Some(name) => of_name(&name).unwrap_or_else(|| last_part(address)),
        None => 1,
    }
}

/// The number in a container's name as its network's DNS server tells it: `shop-inventory-service-2.shop_default.` under
/// Compose v2, `shop_inventory-service_2.shop_default.` under 1.29.
pub fn of_name(name: &str) -> Option<u32> {
    let label = name.split('.').next()?;
    let (_, number) = label.rsplit_once(['-', '_'])?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok()?;
    (digits && (1..=HIGHEST).contains(&number)).then_some(number)
}

/// The last part of an address, which is unique in a small network.
pub fn last_part(address: IpAddr) -> u32 {
    let last = match address {
        IpAddr::V4(address) => address.octets().last().copied(),
        IpAddr::V6(address) => address.octets().last().copied(),
    };
    last.map_or(1, u32::from)
}

/// The address at which others reach this machine or container. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ANYWHERE).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_what_compose_ends_the_containers_name_with() {
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
            assert_eq!(of_name(name), number, "{name}");
        }
    }

    #[test]
    fn an_address_stands_in_for_a_name_without_a_number() {
        assert_eq!(last_part("172.18.0.5".parse().unwrap()), 5);
        assert_eq!(last_part("fd00::1a".parse().unwrap()), 26);
    }

    #[tokio::test]
    async fn a_slot_is_the_number_whatever_the_network_says() {
        assert_eq!(number(Some(7)).await, 7);
    }
}
