//! A connection to a broker, with one request at a time.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Message, Request, StrBytes, encode_request_header_into_buffer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::error::{Call, ReadError};

/// The largest answer, in bytes. It refuses other protocols: the text "HTTP" read as a length is
/// 1.2 GB.
const MAX_FRAME: usize = 64 << 20;
/// The version of ApiVersions; brokers from 3.9 on support it.
const API_VERSIONS: i16 = 4;

/// An open connection. After any error the caller must drop it: a late answer would be read as the
/// answer to the next request.
#[derive(Debug)]
pub(super) struct Connection {
    broker: String,
    client_id: StrBytes,
    within: Duration,
    stream: TcpStream,
    /// The minimum and maximum version that the broker supports, by API key.
    versions: BTreeMap<i16, (i16, i16)>,
    last_correlation_id: i32,
}

impl Connection {
    /// Connects to `host:port` and reads the API versions of the broker. `within` limits the
    /// connection attempt and every request.
    pub async fn open(broker: &str, client_id: &str, within: Duration) -> Result<Self, ReadError> {
        let unreachable = |source| ReadError::Unreachable {
            broker: broker.to_owned(),
            source,
        };
        let stream = match timeout(within, connect(broker)).await {
            Ok(connected) => connected.map_err(unreachable)?,
            Err(_) => return Err(unreachable(io::ErrorKind::TimedOut.into())),
        };
        let mut connection = Self {
            broker: broker.to_owned(),
            client_id: StrBytes::from_string(client_id.to_owned()),
            within,
            stream,
            versions: BTreeMap::new(),
            last_correlation_id: 0,
        };
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("cluster-reader"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = connection.exchange(&request, API_VERSIONS).await?;
        call::<ApiVersionsRequest>(broker)
            .check(answer.error_code, || "its versions".to_owned())?;
        let versions = answer.api_keys.iter();
        connection.versions = versions
            .map(|one| (one.api_key, (one.min_version, one.max_version)))
            .collect();
        Ok(connection)
    }

    /// The address, `host:port`.
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// Sends a request in the newest version that both sides support, and waits for the answer.
    pub async fn send<R: Request>(&mut self, request: &R) -> Result<R::Response, ReadError> {
        let version = self.version::<R>();
        let version = version.map_err(|what| call::<R>(&self.broker).unreadable(what))?;
        self.exchange(request, version).await
    }

    fn version<R: Request>(&self) -> Result<i16, String> {
        let supported = self.versions.get(&R::KEY);
        let (min, max) = *supported.ok_or("it does not support this call")?;
        let ours = (
            R::VERSIONS.min,
            R::VERSIONS.max.min(R::Response::VERSIONS.max),
        );
        let version = max.min(ours.1);
        if version < min || version < ours.0 {
            return Err(format!(
                "it supports versions {min} to {max} of this call, and this program {} to {}",
                ours.0, ours.1
            ));
        }
        Ok(version)
    }

    async fn exchange<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, ReadError> {
        self.last_correlation_id = self.last_correlation_id.wrapping_add(1);
        let id = self.last_correlation_id;
        let frame = self.frame(request, version, id);
        let frame = frame.map_err(|what| call::<R>(&self.broker).unreadable(what))?;
        let answer = timeout(self.within, self.round_trip(&frame)).await;
        let call = call::<R>(&self.broker);
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(source)) if source.kind() == io::ErrorKind::InvalidData => {
                return Err(call.unreadable(source));
            }
            Ok(Err(source)) => {
                return Err(ReadError::Disconnected {
                    call: call.name,
                    broker: self.broker.clone(),
                    source,
                });
            }
            Err(_) => {
                return Err(ReadError::TimedOut {
                    call: call.name,
                    broker: self.broker.clone(),
                    within: self.within,
                });
            }
        };
        decoded::<R>(answer, version, id).map_err(|what| call.unreadable(what))
    }

    fn frame<R: Request>(&self, request: &R, version: i16, id: i32) -> Result<Bytes, String> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(id)
            .with_client_id(Some(self.client_id.clone()));
        let mut body = BytesMut::new();
        encode_request_header_into_buffer(&mut body, &header).map_err(|error| error.to_string())?;
        let encoded = request.encode(&mut body, version);
        encoded.map_err(|error| error.to_string())?;
        let length = u32::try_from(body.len()).map_err(|error| error.to_string())?;
        let mut frame = BytesMut::with_capacity(body.len() + 4);
        frame.put_u32(length);
        frame.put(body);
        Ok(frame.freeze())
    }

    /// Writes a frame and reads one. The buffer grows with the bytes received, not with the length
    /// announced.
    async fn round_trip(&mut self, frame: &[u8]) -> io::Result<Bytes> {
        self.stream.write_all(frame).await?;
        let length = self.stream.read_u32().await? as usize;
        if length > MAX_FRAME {
            let what = format!("an answer of {length} bytes, where {MAX_FRAME} are allowed");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let mut answer = Vec::new();
        let mut rest = (&mut self.stream).take(length as u64);
        rest.read_to_end(&mut answer).await?;
        if answer.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer.into())
    }
}

fn decoded<R: Request>(mut answer: Bytes, version: i16, id: i32) -> Result<R::Response, String> {
    let header = R::Response::header_version(version);
    let header = ResponseHeader::decode(&mut answer, header).map_err(|error| error.to_string())?;
    if header.correlation_id != id {
        return Err(format!(
            "an answer to request {}, not to {id}",
            header.correlation_id
        ));
    }
    let response = R::Response::decode(&mut answer, version).map_err(|error| error.to_string())?;
    match answer.len() {
        0 => Ok(response),
        left => Err(format!("{left} bytes too many")),
    }
}

/// A request to a broker, for errors.
pub(super) fn call<R: Request>(broker: &str) -> Call<'_> {
    let name = std::any::type_name::<R>();
    let name = name.rsplit("::").next().unwrap_or(name);
    Call {
        name: name.strip_suffix("Request").unwrap_or(name),
        broker,
    }
}

/// Tries IPv4 first: `localhost` often resolves to ::1 first, where no broker listens.
async fn connect(broker: &str) -> io::Result<TcpStream> {
    let mut addresses: Vec<SocketAddr> = lookup_host(broker).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
