//! What the containers are made of: the images that people use, set up as the local processes are.

use crate::sweeper::LABEL;
use local_runtime::database::SUPERUSER;
use local_runtime::kafka::{CLUSTER_ID, HEAP, Place, settings};
use local_runtime::postgres::{INITDB, SETTINGS};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use testcontainers::core::{ContainerPort, IntoContainerPort};
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

/// The image of the broker, and its tag.
pub(crate) const KAFKA: [&str; 2] = ["apache/kafka", "4.3.1"];

/// A volume of the image: it stays when the broker is killed, and goes with the container.
pub(crate) const KAFKA_DATA: &str = "/var/lib/kafka/data";
/// The entry point writes the broker's configuration there. Fresh at every start, as user 1000, who runs the broker: neither the
/// image's own file nor an earlier start is in the way.
const KAFKA_CONFIG: (&str, &str) = ("/opt/kafka/config", "uid=1000");
/// Outside of the range in which clients' ports are chosen.
const CONTROLLER: u16 = 9093;

/// A broker for clients on this machine. It listens on the same port inside, because it also is a client of itself.
pub(crate) fn kafka(address: SocketAddr, label: &str) -> ContainerRequest<GenericImage> {
    let place = Place {
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()),
        bootstrap: &address.to_string(),
        controller: CONTROLLER,
        data: Path::new(KAFKA_DATA),
    };
    let [image, tag] = KAFKA;
    let image = GenericImage::new(image, tag);
    let mut request = image
        .with_env_var("CLUSTER_ID", CLUSTER_ID)
        .with_env_var("KAFKA_HEAP_OPTS", HEAP.join(" "));
    for (name, value) in settings(place) {
        request = request.with_env_var(variable(name), value);
    }
    let (folder, options) = KAFKA_CONFIG;
    let config = [(folder.to_owned(), options.to_owned())];
    published(request, address, address.port().tcp(), label, config.into())
}

/// How the image wants a setting to be named.
fn variable(setting: &str) -> String {
    let name = setting.replace('_', "__").replace('-', "___");
    format!("KAFKA_{}", name.replace('.', "_").to_uppercase())
}

/// A database server for clients on this machine.
pub(crate) fn postgres(address: SocketAddr, label: &str) -> ContainerRequest<GenericImage> {
    let command = SETTINGS.into_iter().flat_map(|setting| ["-c", setting]);
    let request = GenericImage::new("postgres", "17")
        .with_env_var("POSTGRES_USER", SUPERUSER)
        .with_env_var("POSTGRES_PASSWORD", SUPERUSER)
        .with_env_var("POSTGRES_INITDB_ARGS", INITDB.join(" "))
        .with_cmd(std::iter::once("postgres").chain(command));
    published(request, address, 5432.tcp(), label, HashMap::new())
}

/// `memory`: folders that lie in memory, with their mount options.
///
/// A fixed port, which a stop and a start do not change, and only for this machine: by itself testcontainers listens everywhere.
fn published(
    request: ContainerRequest<GenericImage>,
    address: SocketAddr,
    inside: ContainerPort,
    label: &str,
    memory: HashMap<String, String>,
) -> ContainerRequest<GenericImage> {
    request
        .with_mapped_port(address.port(), inside)
        .with_label(LABEL, label)
        .with_host_config_modifier(move |host| {
            host.tmpfs = Some(memory.clone());
            let bindings = host
                .port_bindings
                .iter_mut()
                .flat_map(|all| all.values_mut());
            for binding in bindings.flatten().flatten() {
                binding.host_ip = Some(address.ip().to_string());
            }
        })
}
