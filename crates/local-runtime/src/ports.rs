//! Free ports, and who holds a taken one.

use anyhow::{Context, Result, bail};
use procfs::net::TcpState;
use procfs::process::{FDTarget, all_processes};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// Below the range from which the kernel takes the ports of outgoing connections: one of those could otherwise land on a port
/// between our finding it free and a broker's binding it.
const CHOICE: std::ops::Range<u16> = 20_000..32_000;

/// Who listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// Its command name, as `ps` shows it.
    pub name: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// True when this address could be listened on now.
#[must_use]
pub fn is_free(address: IpAddr, port: u16) -> bool {
    TcpListener::bind(SocketAddr::new(address, port)).is_ok()
}

/// Nothing, when the port is free.
///
/// # Errors
/// When it is taken; the message names the port, the process that holds it, and what to do.
pub fn require_free(what: &str, address: IpAddr, port: u16, setting: &str) -> Result<()> {
    if is_free(address, port) {
        return Ok(());
    }
    let holder = holder(port)?.map_or_else(
        || "another user's process".to_owned(),
        |holder| holder.to_string(),
    );
    bail!("port {port} for {what} is taken by {holder}: end it or choose another with {setting}")
}

/// Different ports that are free on 127.0.0.1 at this moment. Nobody keeps them free: use them at once, and start anew with
/// others when one was taken meanwhile.
///
/// # Errors
/// When not enough are free.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = (0..1000).find_map(|_| {
            let candidate = fastrand::u16(CHOICE);
            TcpListener::bind((Ipv4Addr::LOCALHOST, candidate))
                .ok()
                .map(|listener| (candidate, listener))
        });
        let (free, listener) = listener.context("no free port found on 127.0.0.1")?;
        *port = free;
        held.push(listener);
    }
    Ok(ports)
}

/// The process that listens on a TCP port of this machine; `None` when nobody does, or when it is another user's process and we
/// may not look.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn holder(port: u16) -> Result<Option<Holder>> {
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
    for process in all_processes().context("cannot read /proc")?.flatten() {
        // Processes end while we look, and others' files are closed to us: both are simply not the answer.
        let Ok(files) = process.fd() else { continue };
        let holds = files
            .flatten()
            .any(|file| matches!(file.target, FDTarget::Socket(inode) if sockets.contains(&inode)));
        if let (true, Ok(stat)) = (holds, process.stat()) {
            return Ok(Some(Holder {
                pid: stat.pid,
                name: stat.comm,
            }));
        }
    }
    Ok(None)
}
