//! `SERVICE health`: reads `/health/ready` of the instance in the same container. It is the
//! container's health check, and needs only the instance's address: no other setting, no async
//! runtime and no second program.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};

/// The name of the subcommand.
pub(crate) const NAME: &str = "health";

/// How long connecting and each read may take. A paused instance accepts the connection and never
/// answers.
const IO_TIME: Duration = Duration::from_secs(2);

/// Most bytes of a response that are read. A readiness report has a few hundred.
const RESPONSE_BYTES: u64 = 64 * 1024;

/// The subcommand of a service, with the service's own settings for port and address.
pub(crate) fn command(service: &Command) -> Command {
    let is_address = |argument: &&Arg| {
        let variable = argument.get_env().and_then(|name| name.to_str());
        matches!(variable, Some("PORT" | "BIND_ADDR"))
    };
    Command::new(NAME)
        .about("Ask the instance that listens here whether it is ready; exit code 0 if so, else 1")
        .args(service.get_arguments().filter(is_address).cloned())
}

/// The address of the instance, from the settings of [`command`].
pub(crate) fn address(matches: &ArgMatches) -> Option<SocketAddr> {
    let address = *matches.try_get_one::<IpAddr>("bind_addr").ok()??;
    let port = *matches.try_get_one::<u16>("port").ok()??;
    let address = match address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        given => given,
    };
    Some(SocketAddr::new(address, port))
}

/// The instance's readiness report in one line: `Ok` if it is ready, else `Err`, also without an
/// answer.
pub(crate) fn check_ready(address: SocketAddr) -> Result<String, String> {
    let answer = exchange(address).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("{address} did not answer within {IO_TIME:?}")
        }
        io::ErrorKind::ConnectionRefused => format!("no process listens on {address}"),
        _ => format!("cannot reach {address}: {error}"),
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let line = body.lines().collect::<Vec<_>>().join(" ");
    match head.split(' ').nth(1) {
        Some("200") => Ok(line),
        Some(code) if line.is_empty() => Err(format!("{address} answers {code}")),
        Some(_) => Err(line),
        None => Err(format!(
            "the process that listens on {address} does not speak HTTP"
        )),
    }
}

fn exchange(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, IO_TIME)?;
    stream.set_read_timeout(Some(IO_TIME))?;
    stream.set_write_timeout(Some(IO_TIME))?;
    write!(
        stream,
        "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(RESPONSE_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use prometheus::Registry;
    use tokio::net::TcpListener;
    use tokio::task::spawn_blocking;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{HttpSettings, Readiness, RequestMetrics, admin, server};

    #[derive(Debug, Parser)]
    struct Example {
        #[arg(long, env = "PORT", default_value_t = 3002)]
        port: u16,
        #[arg(long, env = "EXAMPLE_NEEDED")]
        needed: String,
        #[command(flatten)]
        http: HttpSettings,
    }

    fn address_of(arguments: &[&str]) -> Option<SocketAddr> {
        let all = std::iter::once(NAME).chain(arguments.iter().copied());
        let matches = command(&Example::command()).try_get_matches_from(all);
        address(&matches.unwrap())
    }

    #[test]
    fn only_the_services_port_and_address_are_needed() {
        assert_eq!(address_of(&[]), "127.0.0.1:3002".parse().ok());
        let everywhere = ["--bind-addr", "0.0.0.0", "--port", "8001"];
        assert_eq!(address_of(&everywhere), "127.0.0.1:8001".parse().ok());
        assert_eq!(
            address_of(&["--bind-addr", "::"]),
            "[::1]:3002".parse().ok()
        );
    }

    async fn checked(address: SocketAddr) -> Result<String, String> {
        spawn_blocking(move || check_ready(address)).await.unwrap()
    }

    #[tokio::test]
    async fn the_report_of_a_not_ready_instance_has_the_reason() {
        let readiness = Readiness::new("example");
        let database = readiness.component("database");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let registry = Registry::new();
        let metrics = RequestMetrics::new(&registry).unwrap();
        let router = admin::router(readiness, registry);
        let serving = server::serve(listener, router, metrics, shutdown.clone(), IO_TIME);
        let checks = async {
            let not = checked(address).await.unwrap_err();
            assert!(not.contains(r#""reason":"starting""#), "{not}");
            database.ready();
            let ready = checked(address).await.unwrap();
            assert!(ready.contains(r#""status":"ready""#), "{ready}");
            shutdown.cancel();
        };
        tokio::join!(serving, checks);
        let stopped = checked(address).await.unwrap_err();
        assert_eq!(stopped, format!("no process listens on {address}"));
    }
}
