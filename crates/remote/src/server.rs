//! A connection to a server, and what the server can do.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use action::messages::capabilities_client::CapabilitiesClient;
use action::messages::{
    CacheCapabilities, GetCapabilitiesRequest, ServerCapabilities, compressor, digest_function,
};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint as Address};
use tower::ServiceExt as _;

use crate::endpoint::Endpoint;
use crate::held::Held;
use crate::lookups::Lookups;
use crate::traffic::{Counted, Traffic};
use crate::trouble::{Trouble, chain};

/// Bytes of one message at most, which is gRPC's own limit.
pub(crate) const MESSAGE: usize = 4 << 20;
/// Bytes of blobs in one message at most: the rest is for their names.
const BATCH: usize = MESSAGE - (256 << 10);

/// A server that is not there is known soon.
const CONNECT: Duration = Duration::from_secs(10);
/// What it can do is said at once, even by one with much to do.
const GREETING: Duration = Duration::from_secs(60);
/// One that has gone without a word is found out.
const ALIVE: Duration = Duration::from_secs(30);

/// A server of the API that has said what it can do. Cheap to ask from many jobs at once.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) channel: Channel,
    pub(crate) instance: String,
    pub(crate) offers: Offers,
    pub(crate) held: Arc<Held>,
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) traffic: Arc<Traffic>,
}

/// What a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offers {
    pub(crate) executes: bool,
    /// Bytes of blobs in one message.
    pub(crate) batch: usize,
    pub(crate) zstd_in_batches: bool,
    /// Messages about blobs may be packed as wholes.
    pub(crate) zstd_of_messages: bool,
    pub(crate) zstd_in_streams: bool,
    /// The largest blob it takes.
    pub(crate) largest: u64,
}

impl Server {
    /// Connects, and asks what the server can do.
    ///
    /// # Errors
    ///
    /// [`Trouble::Away`]; `Foreign` if something else answers; `Refused` if it speaks another version or wants other
    /// digests than SHA-256.
    pub async fn connect(endpoint: &Endpoint) -> Result<Server, Trouble> {
        let address = address(&endpoint.authority, &endpoint.to_string())?;
        let traffic = Arc::<Traffic>::default();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let counting = Arc::clone(&traffic);
        let connector = connector.map_response(move |stream: TokioIo<TcpStream>| {
            TokioIo::new(Counted::new(stream.into_inner(), Arc::clone(&counting)))
        });
        let channel = address.connect_with_connector(connector).await;
        let channel = channel.map_err(|error| unconnected(&error))?;
        Server::over(channel, &endpoint.instance, traffic).await
    }

    /// The same over a connection that is there already, and counts.
    pub(crate) async fn over(
        channel: Channel,
        instance: &str,
        traffic: Arc<Traffic>,
    ) -> Result<Server, Trouble> {
        let request = GetCapabilitiesRequest {
            instance_name: instance.to_owned(),
        };
        let mut client = CapabilitiesClient::new(channel.clone());
        let said = tokio::time::timeout(GREETING, client.get_capabilities(request)).await;
        let silent = |_| Trouble::Away("it does not say what it can do".to_owned());
        let (encodings, said, _) = said.map_err(silent)?.map_err(unanswered)?.into_parts();
        let mut offers = Offers::read(&said)?;
        // gRPC's own word, which hardly any server says.
        let encodings = encodings.get("grpc-accept-encoding");
        let encodings = encodings.and_then(|encodings| encodings.to_str().ok());
        let mut encodings = encodings.unwrap_or_default().split(',');
        offers.zstd_of_messages = encodings.any(|encoding| encoding.trim() == "zstd");
        Ok(Server {
            channel,
            instance: instance.to_owned(),
            offers,
            held: Arc::default(),
            lookups: Arc::default(),
            traffic,
        })
    }

    /// Whether anybody answers, whatever is said. Asked while an action takes long; how long to wait is the caller's choice.
    pub async fn is_there(&self) -> bool {
        let request = GetCapabilitiesRequest {
            instance_name: self.instance.clone(),
        };
        let mut client = CapabilitiesClient::new(self.channel.clone());
        match client.get_capabilities(request).await {
            Ok(_) => true,
            Err(status) => status.source().is_none(),
        }
    }

    /// Whether it runs actions; otherwise it keeps results only.
    pub fn executes(&self) -> bool {
        self.offers.executes
    }
}

impl Offers {
    fn read(said: &ServerCapabilities) -> Result<Offers, Trouble> {
        let versions = (&said.low_api_version, &said.high_api_version);
        if let (Some(low), Some(high)) = versions
            && !(low.major..=high.major).contains(&2)
        {
            let text = format!(
                "it speaks version {} to {} of the API, not 2",
                low.major, high.major
            );
            return Err(Trouble::Refused(text));
        }
        let nothing = CacheCapabilities::default();
        let cache = said.cache_capabilities.as_ref().unwrap_or(&nothing);
        let sha256 = i32::from(digest_function::Value::Sha256);
        if !cache.digest_functions.is_empty() && !cache.digest_functions.contains(&sha256) {
            return Err(Trouble::Refused(
                "it does not name contents by SHA-256".to_owned(),
            ));
        }
        let zstd = i32::from(compressor::Value::Zstd);
        let bounded = |said: i64, ours: usize| match usize::try_from(said) {
            Ok(said @ 1..) => said.min(ours),
            _ => ours,
        };
        Ok(Offers {
            executes: said
                .execution_capabilities
                .as_ref()
                .is_some_and(|can| can.exec_enabled),
            batch: bounded(cache.max_batch_total_size_bytes, BATCH),
            zstd_in_batches: cache.supported_batch_update_compressors.contains(&zstd),
            zstd_of_messages: false,
            zstd_in_streams: cache.supported_compressors.contains(&zstd),
            largest: u64::try_from(cache.max_cas_blob_size_bytes)
                .ok()
                .filter(|&largest| largest > 0)
                .unwrap_or(u64::MAX),
        })
    }
}

/// Who was there and went while it was greeted does not speak the API; all others are away.
pub(crate) fn unconnected(error: &(dyn Error + 'static)) -> Trouble {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let went = causes.any(|cause| {
        let kind = cause.downcast_ref().map(io::Error::kind);
        matches!(
            kind,
            Some(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
        )
    });
    match went {
        true => Trouble::Foreign(chain(error)),
        false => Trouble::Away(chain(error)),
    }
}

/// Who sends no status of its own ends the connection, or says what makes no sense.
fn unanswered(status: Status) -> Trouble {
    match status.source() {
        Some(error) => Trouble::Foreign(chain(error)),
        None => status.into(),
    }
}

/// How a connection to `authority` is made and kept; `name` is for messages.
pub(crate) fn address(authority: &str, name: &str) -> Result<Address, Trouble> {
    let address = Address::from_shared(format!("http://{authority}"))
        .map_err(|error| Trouble::Refused(format!("{name}: {error}")))?;
    Ok(address
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        // What is missing is told in one: some hundred names at once.
        .http2_max_header_list_size(1 << 20)
        .tcp_nodelay(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use action::messages::ExecutionCapabilities;
    use bazel_remote_apis::build::bazel::semver::SemVer;

    #[test]
    fn what_is_said_is_bounded_by_what_is_possible() {
        let zstd = i32::from(compressor::Value::Zstd);
        let mut said = ServerCapabilities {
            cache_capabilities: Some(CacheCapabilities {
                digest_functions: vec![digest_function::Value::Sha256.into()],
                max_batch_total_size_bytes: 1000,
                supported_compressors: vec![zstd],
                ..CacheCapabilities::default()
            }),
            ..ServerCapabilities::default()
        };
        let offers = Offers::read(&said).unwrap();
        let expected = Offers {
            executes: false,
            batch: 1000,
            zstd_in_batches: false,
            zstd_of_messages: false,
            zstd_in_streams: true,
            largest: u64::MAX,
        };
        assert_eq!(offers, expected);
        said.execution_capabilities = Some(ExecutionCapabilities {
            exec_enabled: true,
            ..ExecutionCapabilities::default()
        });
        let cache = said.cache_capabilities.as_mut().unwrap();
        cache.max_batch_total_size_bytes = 1 << 40;
        let offers = Offers::read(&said).unwrap();
        assert!(offers.executes && offers.batch == BATCH);
    }

    #[test]
    fn other_versions_and_digests_are_refused() {
        let version = |major| {
            let version = SemVer {
                major,
                ..SemVer::default()
            };
            Some(version)
        };
        let said = ServerCapabilities {
            low_api_version: version(3),
            high_api_version: version(4),
            ..ServerCapabilities::default()
        };
        assert!(matches!(Offers::read(&said), Err(Trouble::Refused(_))));
        let said = ServerCapabilities {
            cache_capabilities: Some(CacheCapabilities {
                digest_functions: vec![digest_function::Value::Md5.into()],
                ..CacheCapabilities::default()
            }),
            ..ServerCapabilities::default()
        };
        assert!(matches!(Offers::read(&said), Err(Trouble::Refused(_))));
    }
}
