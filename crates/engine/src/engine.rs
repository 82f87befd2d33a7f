//! What all services share, and what they need of the server around them.

use std::fmt;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use action::Digest;
use action::messages::action_cache_server::ActionCacheServer;
use action::messages::capabilities_server::CapabilitiesServer;
use action::messages::content_addressable_storage_server::ContentAddressableStorageServer;
use action::messages::execution_server::ExecutionServer;
use bazel_remote_apis::google::bytestream::byte_stream_server::ByteStreamServer;
use store::{Hold, Owner, Results, Store};
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

use crate::operations::Operations;
use crate::reading::Job;

/// Bytes of one message at most, which is gRPC's own limit.
pub(crate) const MESSAGE: usize = 4 << 20;
/// Bytes of blobs in one message at most: the rest is for their names.
pub(crate) const BATCH: usize = MESSAGE - (256 << 10);
/// Bytes of a file within a result at most. Whoever fetches a longer one by itself can have it packed, which is worth more
/// than the question that it saves.
pub(crate) const INLINE: u64 = 64 << 10;

/// A server of the API. Clones are the same server.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) results: Results,
    pub(crate) executor: Option<Arc<dyn Executor>>,
    pub(crate) operations: Operations,
    /// The empty blob: clients take it for granted, and Bazel does not send it.
    _empty: Option<Hold>,
}

/// Who asks, as far as it has an address. Who accepts connections gives it along with each
/// (`tonic::transport::server::Connected`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Client(pub Option<SocketAddr>);

impl Client {
    /// Whose its blobs are. All of an IPv6 network that one machine may choose its addresses from is one.
    fn owner(self) -> Owner {
        let mut owner = [0; 8];
        match self.0.map(|address| address.ip().to_canonical()) {
            Some(IpAddr::V4(ip)) => owner[4..].copy_from_slice(&ip.octets()),
            Some(IpAddr::V6(ip)) => owner.copy_from_slice(&ip.octets()[..8]),
            None => {}
        }
        Owner(owner)
    }
}

/// What a job has of the server; dropped, it is given back.
pub type Slot = Box<dyn Send>;

/// Runs actions.
pub trait Executor: Send + Sync + 'static {
    /// Whether this action may run here at all; what it takes until it is over.
    ///
    /// # Errors
    ///
    /// Why not.
    fn accept(&self, client: Client, job: &Job) -> Result<Slot, Refusal>;

    /// What actions that do not bring their root folder find here at this moment, as a digest: their results hold only
    /// as long as it stays the same. Nothing where none of them run.
    fn surroundings(&self) -> Option<Digest>;

    /// Waits until a job of this client may run. Dropped before, it has left the queue.
    fn slot(&self, client: Client) -> Pin<Box<dyn Future<Output = Slot> + Send>>;

    /// Runs an action whose blobs are held. Blocks its thread.
    ///
    /// # Errors
    ///
    /// [`Failure`]. A command that fails by itself is none.
    fn execute(&self, client: Client, job: &Job, stop: &Stop) -> Result<Executed, Failure>;
}

/// Why an action is not taken, in a sentence for the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot run here.
    Never(String),
    /// The client has too many already.
    Busy(String),
}

/// How a command ended, and what it made.
#[derive(Debug)]
pub struct Executed {
    /// As a shell tells it.
    pub exit_code: i32,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it wrote.
    pub stderr: Vec<u8>,
    /// Those of the declared outputs that it made, by their paths in the command.
    pub outputs: Vec<(String, Output)>,
}

/// Something that a command made.
#[derive(Debug)]
pub enum Output {
    /// A file.
    File {
        /// Read from its beginning.
        content: File,
        /// May be executed.
        executable: bool,
    },
    /// A symbolic link, and where it leads.
    Link(String),
    /// A folder with all that is in it.
    Folder(Box<dyn Folder>),
}

/// A folder that a command made. It is read once it is kept, so that not all of its files are open at a time.
pub trait Folder: fmt::Debug + Send {
    /// Calls `take` for each entry, by its path from the folder, without a slash in front; folders come before what they
    /// hold. Ends at the first error.
    ///
    /// # Errors
    ///
    /// What cannot be brought back, and those of `take`.
    fn visit(
        &self,
        take: &mut dyn FnMut(&str, Found) -> Result<(), Failure>,
    ) -> Result<(), Failure>;
}

/// An entry of a folder.
#[derive(Debug)]
pub enum Found {
    /// A file.
    File {
        /// Read from its beginning.
        content: File,
        /// May be executed.
        executable: bool,
    },
    /// A symbolic link, and where it leads.
    Link(String),
    /// A folder, perhaps an empty one.
    Folder,
}

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The action makes no sense; a sentence.
    Invalid(String),
    /// It took longer than it or the server allows.
    TimedOut,
    /// It used more than it may; a sentence.
    Exceeded(String),
    /// Nobody waits for it any more.
    Stopped,
    /// The server ends, and begins nothing new.
    Ending,
    /// The server's own trouble; a sentence.
    Broken(String),
}

/// Tells a job that nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    stopped: Arc<watch::Sender<bool>>,
}

impl Stop {
    /// Whether the job shall end.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Comes when the job shall end.
    pub(crate) async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        // The other end is here.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

impl Engine {
    /// A server over these. Without an executor it is a cache only.
    pub fn new(store: Store, results: Results, executor: Option<Arc<dyn Executor>>) -> Engine {
        let empty = Digest::of(b"");
        // A disk on which it has no room has room for nothing else, which others say.
        let kept = store.put(empty, b"").ok();
        let shared = Shared {
            _empty: kept.and_then(|()| store.hold([empty]).ok()),
            store,
            results,
            executor,
            operations: Operations::default(),
        };
        Engine {
            shared: Arc::new(shared),
        }
    }

    /// The store for this client.
    pub(crate) fn store_of(&self, client: Client) -> Store {
        self.shared.store.of(client.owner())
    }

    /// The services, for a server of gRPC.
    pub fn routes(&self) -> Routes {
        let limit = MESSAGE;
        let mut routes = Routes::builder();
        routes
            .add_service(CapabilitiesServer::new(self.clone()))
            .add_service(
                // Blobs of one action packed in one message are half of what they are one by one.
                ContentAddressableStorageServer::new(self.clone())
                    .max_decoding_message_size(limit)
                    .accept_compressed(CompressionEncoding::Zstd)
                    .send_compressed(CompressionEncoding::Zstd),
            )
            .add_service(ByteStreamServer::new(self.clone()).max_decoding_message_size(limit))
            .add_service(ActionCacheServer::new(self.clone()))
            .add_service(ExecutionServer::new(self.clone()));
        routes.routes()
    }
}
