//! Free ports, and which process holds a taken one.

use crate::supervised::{StackProcess, stack_process_of};
use anyhow::{Context, Result, bail};
use procfs::net::TcpState;
use procfs::process::{FDTarget, all_processes};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// Below the range of ephemeral ports: an outgoing connection could otherwise take a port between
/// the moment it is found free and the moment a server listens on it.
const CANDIDATES: std::ops::Range<u16> = 20_000..32_000;

/// The process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortHolder {
    /// The process id.
    pub pid: i32,
    /// The command name, as `ps` shows it.
    pub name: String,
    /// The stack that has started the process, if one has.
    pub stack: Option<StackProcess>,
}

impl std::fmt::Display for PortHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pid, name, stack } = self;
        match stack {
            Some(StackProcess { home, name }) => {
                let home = home.display();
                write!(f, "{name} of the stack in {home} (process {pid})")
            }
            None => write!(f, "{name} (process {pid})"),
        }
    }
}

impl PortHolder {
    /// How a person ends the process.
    #[must_use]
    pub fn how_to_end(&self) -> String {
        match &self.stack {
            Some(stack) => format!(
                "end that stack (SANDBOX_HOME={} ./sandbox down)",
                in_shell_quotes(&stack.home.to_string_lossy())
            ),
            // The engine's process that publishes the port of a container.
            None if self.name == "docker-proxy" => {
                "end the container (of the shop: ./sandbox --docker down)".to_owned()
            }
            None => "end it".to_owned(),
        }
    }
}

/// A word for a shell line, quoted if it holds more than plain characters.
fn in_shell_quotes(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// True when a process could listen on this address and port now.
#[must_use]
pub fn is_free(address: IpAddr, port: u16) -> bool {
    TcpListener::bind(SocketAddr::new(address, port)).is_ok()
}

/// Checks that the port is free for the server `what`. `setting` is the variable that chooses
/// another port.
///
/// # Errors
/// When it is taken; the message names the port, the process that holds it, and what to do.
pub fn require_free(what: &str, address: IpAddr, port: u16, setting: &str) -> Result<()> {
    if is_free(address, port) {
        return Ok(());
    }
    let (holder, end) = match holder(port)? {
        Some(holder) => (holder.to_string(), holder.how_to_end()),
        None => ("another user's process".to_owned(), "end it".to_owned()),
    };
    bail!("port {port} for {what} is taken by {holder}: {end} or choose another with {setting}")
}

/// Different ports that are free on 127.0.0.1 now. As long as this process runs, no other call of this
/// function returns them, in this process or another. A program that does not use this function can
/// still take one: retry with other ports then.
///
/// # Errors
/// When not enough are free.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        let candidate = (0..1000)
            .map(|_| fastrand::u16(CANDIDATES))
            .find(|port| is_free(Ipv4Addr::LOCALHOST.into(), *port) && reserve(*port));
        *port = candidate.context("no free port found on 127.0.0.1")?;
    }
    Ok(ports)
}

/// The first of `count` ports in a row, each as one of [`free`].
///
/// # Errors
/// When there is no such row.
pub fn free_in_a_row(count: u16) -> Result<u16> {
    (0..1000)
        .map(|_| fastrand::u16(CANDIDATES))
        .find(|first| {
            let mut row = *first..first + count;
            row.all(|port| is_free(Ipv4Addr::LOCALHOST.into(), port) && reserve(port))
        })
        .context("no free ports in a row found on 127.0.0.1")
}

/// Reserves a port for this process: a UDP socket on the same number, which servers do not use. The
/// kernel releases it when the process ends.
fn reserve(port: u16) -> bool {
    static RESERVED: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    reserved.push(socket);
    true
}

/// The process that listens on a TCP port of this machine. `None` when there is none, or when it is
/// another user's process, whose files only root can read.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn holder(port: u16) -> Result<Option<PortHolder>> {
    let v4 = procfs::net::tcp().context("cannot read /proc/net/tcp")?;
    let v6 = procfs::net::tcp6().unwrap_or_default();
    let sockets: HashSet<u64> = v4
        .into_iter()
        .chain(v6)
        .filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port)
        .map(|entry| entry.inode)
        .collect();
    if sockets.is_empty() {
        return Ok(None);
    }
    let mut holders = Vec::new();
    for process in all_processes().context("cannot read /proc")?.flatten() {
        // The process has ended meanwhile, or belongs to another user.
        let Ok(files) = process.fd() else { continue };
        let holds = files
            .flatten()
            .any(|file| matches!(file.target, FDTarget::Socket(inode) if sockets.contains(&inode)));
        if let (true, Ok(stat)) = (holds, process.stat()) {
            holders.push(stat);
        }
    }
    // A child has the sockets of its parent until it executes its own program.
    let oldest = holders.into_iter().min_by_key(|stat| stat.starttime);
    Ok(oldest.map(|stat| PortHolder {
        pid: stat.pid,
        name: stat.comm,
        stack: stack_process_of(stat.pid),
    }))
}

/// The address that clients on this machine use for a server that listens on `address`. An
/// unspecified address (0.0.0.0) means all interfaces, and clients cannot connect to it.
pub(crate) fn connect_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        given => given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_named_with_its_stack_and_how_to_end_it() {
        let holder = |name: &str, home: Option<&str>| PortHolder {
            pid: 7,
            name: name.to_owned(),
            stack: home.map(|home| StackProcess {
                home: home.into(),
                name: "kafka".to_owned(),
            }),
        };
        for (found, text, end) in [
            (
                holder("java", Some("/srv/b")),
                "kafka of the stack in /srv/b (process 7)",
                "end that stack (SANDBOX_HOME=/srv/b ./sandbox down)",
            ),
            (
                holder("java", Some("/srv/it's b")),
                "kafka of the stack in /srv/it's b (process 7)",
                r"end that stack (SANDBOX_HOME='/srv/it'\''s b' ./sandbox down)",
            ),
            (
                holder("docker-proxy", None),
                "docker-proxy (process 7)",
                "end the container (of the shop: ./sandbox --docker down)",
            ),
            (holder("nginx", None), "nginx (process 7)", "end it"),
        ] {
            assert_eq!(found.to_string(), text);
            assert_eq!(found.how_to_end(), end);
        }
    }
}
