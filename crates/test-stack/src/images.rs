//! The images of the containers, configured like the local processes.

use crate::container_cleanup::LABEL;
use local_runtime::database::SUPERUSER;
use local_runtime::download::KAFKA_VERSION;
use local_runtime::kafka::{CLUSTER_ID, Node, NodeConfig, server_properties};
use local_runtime::postgres::{INITDB, SETTINGS};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use testcontainers::core::{ContainerPort, IntoContainerPort};
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

/// The image of the broker, and its tag.
pub(crate) const KAFKA: [&str; 2] = ["apache/kafka", KAFKA_VERSION];

/// A volume of the image: it is kept when the broker is killed, and removed with the container.
pub(crate) const KAFKA_DATA: &str = "/var/lib/kafka/data";
/// The entry point writes the broker's configuration here. A tmpfs is empty at every start, so
/// neither the image's own file nor the file of an earlier start is left. User 1000 runs the
/// broker.
const KAFKA_CONFIG: (&str, &str) = ("/opt/kafka/config", "uid=1000");
/// Outside of the range of the ports for clients.
const CONTROLLER_PORT: u16 = 9093;

/// A broker for clients on this machine. It listens on the same port inside the container, because
/// it is also a client of itself.
pub(crate) fn kafka(address: SocketAddr, label: &str) -> ContainerRequest<GenericImage> {
    let config = NodeConfig {
        node: Node::ONLY,
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()),
        bootstrap: &address.to_string(),
        controllers: &[CONTROLLER_PORT],
        data: KAFKA_DATA,
    };
    let [image, tag] = KAFKA;
    let image = GenericImage::new(image, tag);
    let mut request = image
        .with_env_var("CLUSTER_ID", CLUSTER_ID)
        .with_env_var("KAFKA_HEAP_OPTS", Node::ONLY.heap().join(" "));
    for (name, value) in server_properties(config) {
        request = request.with_env_var(variable(name), value);
    }
    let (folder, options) = KAFKA_CONFIG;
    let tmpfs = [(folder.to_owned(), options.to_owned())];
    published(request, address, address.port().tcp(), label, tmpfs.into())
}

/// The environment variable that the image reads for a setting.
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

/// Publishes a fixed port, which stays the same over a restart. The port is bound to the address,
/// because testcontainers would bind it on all interfaces. `tmpfs` maps folders to their mount
/// options.
fn published(
    request: ContainerRequest<GenericImage>,
    address: SocketAddr,
    inside: ContainerPort,
    label: &str,
    tmpfs: HashMap<String, String>,
) -> ContainerRequest<GenericImage> {
    request
        .with_mapped_port(address.port(), inside)
        .with_label(LABEL, label)
        .with_host_config_modifier(move |host| {
            host.tmpfs = Some(tmpfs.clone());
            let bindings = host
                .port_bindings
                .iter_mut()
                .flat_map(|all| all.values_mut());
            for binding in bindings.flatten().flatten() {
                binding.host_ip = Some(address.ip().to_string());
            }
        })
}
