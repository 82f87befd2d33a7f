//! The service of the API: one async runtime, in a thread of its own, for all connections that speak HTTP/2.
//!
//! It is started by the first of them, with the store, the folder of input trees and the sandbox, and ends with the
//! server: then nothing new is begun, what runs is finished, and whoever holds a connection open for nothing is closed. If its
//! cache is removed it ends at once, and the next connection starts another one.

use std::any::Any;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::Engine;
use sandbox::{Config, Mode, Sandbox, View};
use store::{Results, Store};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::codegen::tokio_stream::{StreamExt, wrappers::UnboundedReceiverStream};
use tonic::transport;

use super::connection::Connection;
use super::gone::{Gone, Watch};
use super::limits::{Limits, REQUESTS};
use super::runner::{Runner, StandIn};
use super::surroundings::Surroundings;
use super::trees::Trees;
use super::watched::watched_event;
use crate::confinement::{self, Confinement};
use crate::event::Event;
use crate::peer::Peer;
use crate::server::Server;
use crate::settings::RemoteExecution;
use crate::shares::Shares;
use crate::wire::{Taken, Wire};

/// What a connection has of the server until it is over.
pub(crate) type Guard = Box<dyn Any + Send + Sync>;

/// Whether and how actions run here.
#[derive(Debug)]
pub(crate) struct Service {
    offered: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    /// It runs no more.
    is_over: bool,
}

#[derive(Debug)]
struct Running {
    connections: UnboundedSender<Arrived>,
    thread: JoinHandle<()>,
}

struct Arrived {
    taken: Taken,
    client: engine::Client,
    guard: Guard,
}

/// Folders in the cache.
const BLOBS: &str = "blobs";
const RESULTS_FOLDER: &str = "results";
const TREES: &str = "trees";
const INNER: [&str; 3] = [BLOBS, RESULTS_FOLDER, TREES];

/// Why it serves no longer.
enum End {
    /// The server ends.
    Stopped,
    /// Its cache was removed.
    Gone(Gone),
}

/// The least and the most results that are kept; and the bytes of blobs for each.
const RESULTS: (u64, u64) = (1000, 1_000_000);
const RESULT_BLOBS: u64 = 32 << 10;

impl Service {
    /// Nothing runs yet. Without namespaces there is nowhere to run it in.
    pub(crate) fn new(remote_execution: RemoteExecution, confinement: &Confinement) -> Self {
        let has_sandbox = matches!(confinement, Confinement::Namespaces(_));
        Self {
            offered: has_sandbox && remote_execution != RemoteExecution::Off,
            state: Mutex::default(),
        }
    }

    /// Whether connections that speak HTTP/2 are for it.
    pub(crate) fn are_offered(&self) -> bool {
        self.offered
    }

    /// They are for nobody from now on.
    pub(crate) fn withdraw(&mut self) {
        self.offered = false;
    }

    /// Takes over a connection, and starts the service for the first one.
    ///
    /// # Errors
    /// Why there is no service.
    pub(crate) fn take(
        &self,
        server: &Arc<Server>,
        wire: Wire,
        peer: &Peer,
        guard: Guard,
    ) -> Result<(), String> {
        let mut state = self.state();
        if state.is_over {
            return Err("this server ends".into());
        }
        let arrived = Arrived {
            taken: wire.into_taken(),
            client: engine::Client(peer.address()),
            guard,
        };
        // One whose cache was removed.
        let over = |running: &mut Running| running.connections.is_closed();
        if let Some(over) = state.running.take_if(over) {
            let _ = over.thread.join(); // A panic was printed.
        }
        let running = match &mut state.running {
            Some(running) => running,
            none => none.insert(start(server)?),
        };
        let sent = running.connections.send(arrived);
        sent.map_err(|_| "the service of actions has ended".into())
    }

    /// Ends the service, and waits until all of it is over.
    pub(crate) fn end(&self, server: &Server) {
        let mut state = self.state();
        state.is_over = true;
        let running = state.running.take();
        drop(state);
        if let Some(running) = running {
            server.stop.raise();
            drop(running.connections);
            let _ = running.thread.join(); // A panic was printed.
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens all that actions need, and starts the thread that serves them.
fn start(server: &Arc<Server>) -> Result<Running, String> {
    let settings = &server.settings;
    let folder = server.cache_folder.as_ref().map_err(Clone::clone)?;
    let stand_in = settings.actions.stand_in.as_deref();
    let folder = match stand_in {
        None => folder.to_owned(),
        // What such a compiler makes shall never be taken for the result of a real one.
        Some(_) => folder.join("measurements"),
    };
    let (folder, store) = open_store(&folder, settings.actions.cache_bytes)?;
    tell_of_full_disk(server, &store, &folder);
    let failed = |error| in_cache(&folder, &error);
    let results = (settings.actions.cache_bytes / RESULT_BLOBS).clamp(RESULTS.0, RESULTS.1);
    let results = usize::try_from(results).unwrap_or(usize::MAX);
    let results = Results::open(&folder.join(RESULTS_FOLDER), results).map_err(failed)?;
    let trees_folder = folder.join(TREES);
    let kept = usize::try_from(settings.jobs).unwrap_or(usize::MAX);
    let kept = kept.saturating_mul(2).saturating_add(8);
    let trees = Trees::open(store.clone(), &trees_folder, kept).map_err(failed)?;
    let trees_folder = trees_folder.canonicalize().map_err(failed)?;
    let sandbox = |view: View| {
        let config = Config {
            mode: Mode::Namespaces,
            view,
            scratch: vec![trees_folder.clone()],
            programs: true,
            limits: confinement::limits(server.machine),
        };
        Sandbox::start(config).map_err(|error| format!("no sandbox: {error}"))
    };
    let hermetic = sandbox(View::nothing())?;
    let any = match settings.actions.execution {
        RemoteExecution::Any => {
            let view = server.view();
            let surroundings = Surroundings::of(&view);
            Some((sandbox(view)?, surroundings))
        }
        RemoteExecution::Hermetic | RemoteExecution::Off => None,
    };
    let stand_in = stand_in
        .map(|path| StandIn::new(&store, path))
        .transpose()?;
    // As much as the old protocols have for bodies.
    let memory = Shares::new((server.machine.memory_bytes / 4).min(2 << 30));
    let runner = Runner::new(
        Arc::clone(server),
        trees,
        hermetic,
        any,
        stand_in,
        Arc::clone(&memory),
    );
    let runner = Arc::new(runner.map_err(|error| crate::fault::reason(&error))?);
    let engine = Engine::new(store.clone(), results, Some(Arc::clone(&runner) as _));
    let runtime = runtime(settings.jobs).map_err(|error| crate::fault::reason(&error))?;
    let (connections, incoming) = unbounded_channel();
    let limits = Limits::new(memory, settings.patience.idle);
    let watch = Watch::open(&folder, &INNER).map_err(failed)?;
    if let Some(error) = watch.trouble() {
        let reason = crate::fault::reason(&error);
        let text = format_args!(
            "inotify: {reason}: it takes seconds to notice that the cache was removed"
        );
        server.log.warning("dcc_actions", text);
    }
    let server = Arc::clone(server);
    let thread = std::thread::Builder::new().name("actions".into());
    let spawned = thread.spawn(move || {
        let log = &server.log;
        log.info(
            "dcc_actions",
            format_args!("actions have their cache in {}", folder.display()),
        );
        let serving = serve(&server, &engine, &runner, limits, incoming);
        let served = runtime.block_on(async {
            tokio::select! {
                served = serving => served.map(|()| End::Stopped),
                gone = watch.gone() => match gone {
                    Ok(gone) => Ok(End::Gone(gone)),
                    Err(error) => Err(in_cache(&folder, &error)),
                },
            }
        });
        let shown = folder.display();
        match &served {
            Ok(End::Stopped) => {}
            Ok(End::Gone(_)) => log.error(
                "dcc_actions",
                format_args!("the cache in {shown} was removed: the next connection makes it anew"),
            ),
            Err(text) => log.error("dcc_actions", text),
        }
        // Connections that are still open end with it.
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop((engine, runner));
        if let Ok(End::Gone(gone)) = served {
            // What is left names what is not there, and jobs that are still running may have its locks. Where the folder
            // itself has gone, nothing at its path is ours: it may have been moved, with a link in its place.
            for inner in INNER.iter().filter(|_| gone == Gone::Part) {
                let _ = std::fs::remove_dir_all(folder.join(inner)); // Some have gone.
            }
        } else if let Err(error) = store.close() {
            let reason = crate::fault::reason(&error);
            log.warning("dcc_actions", format_args!("closing the cache: {reason}"));
        }
    });
    let thread = spawned.map_err(|error| crate::fault::reason(&error))?;
    Ok(Running {
        connections,
        thread,
    })
}

/// Logs that the disk has less room than the store may take: once, and if it lasts, once an hour.
fn tell_of_full_disk(server: &Arc<Server>, store: &Store, folder: &Path) {
    const AGAIN: Duration = Duration::from_secs(60 * 60);
    let (server, folder) = (Arc::clone(server), folder.to_owned());
    let told = Mutex::new(None::<Instant>);
    store.when_disk_is_full(move || {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        *told = Some(Instant::now());
        let text = format_args!(
            "the disk of the cache in {} is full: what was used least recently goes, although --cache-size allows more",
            folder.display()
        );
        server.log.warning("dcc_actions", text);
    });
}

/// Opens the store in the first folder that no other server has: `folder`, or `folder/2` and so on. Those that ssh starts
/// for several clients of one user are several, and private ones, too.
fn open_store(folder: &Path, bytes: u64) -> Result<(PathBuf, Store), String> {
    const MOST: u32 = 16;
    let others = (2..=MOST).map(|number| folder.join(number.to_string()));
    for folder in [folder.to_owned()].into_iter().chain(others) {
        // What clients have sent is nobody else's business.
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        let made = private.create(&folder);
        match made.and_then(|()| Store::open(&folder.join(BLOBS), bytes)) {
            Ok(store) => return Ok((folder, store)),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            Err(error) => return Err(in_cache(&folder, &error)),
        }
    }
    let folder = folder.display();
    Err(format!("the cache in {folder}: {MOST} servers have it"))
}

fn in_cache(folder: &Path, error: &io::Error) -> String {
    let reason = crate::fault::reason(error);
    format!("the cache in {}: {reason}", folder.display())
}

fn runtime(jobs: u64) -> io::Result<tokio::runtime::Runtime> {
    // One for each request that may keep a thread busy, and for each job; some for what is soon over.
    const OTHERS: u64 = 32;
    let threads = REQUESTS.saturating_add(jobs).saturating_add(OTHERS);
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("actions")
        .max_blocking_threads(usize::try_from(threads).unwrap_or(usize::MAX))
        .enable_all()
        .build()
}

/// Serves until the server stops and all is over.
async fn serve(
    server: &Server,
    engine: &Engine,
    runner: &Runner,
    limits: Limits,
    incoming: UnboundedReceiver<Arrived>,
) -> Result<(), String> {
    /// Actions that a client may wait for over one connection. Answers that it does not take stay in memory, with some
    /// 200 KiB for each, until it is found to have gone.
    const STREAMS: u32 = 256;
    let patience = server.settings.patience.idle;
    let words = |error: io::Error| crate::fault::reason(&error);
    let stop = raised(&server.stop).map_err(words)?;
    let (stop_again, kill) = (raised(&server.stop), raised(&server.kill));
    let (stop_again, kill) = (stop_again.map_err(words)?, kill.map_err(words)?);
    let connections = UnboundedReceiverStream::new(incoming).filter_map(move |arrived| {
        let Arrived {
            taken,
            client,
            guard,
        } = arrived;
        // It is gone if it cannot be watched; the others stay.
        let opened = Connection::open(taken, client, patience, guard);
        opened.ok().map(Ok::<_, io::Error>)
    });
    let serving = transport::Server::builder()
        .layer(limits)
        .http2_keepalive_interval(Some(patience / 3))
        .http2_keepalive_timeout(Some(patience / 3))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .http2_max_header_list_size(16 << 10)
        .add_routes(engine.routes())
        .serve_with_incoming_shutdown(connections, stop);
    tokio::select! {
        served = serving => served.map_err(|error| error.to_string()),
        () = kill => Ok(()),
        () = async { stop_again.await; runner.idle().await } => Ok(()),
    }
}

/// Comes when the event does.
fn raised(event: &Event) -> io::Result<impl Future<Output = ()> + use<>> {
    let event = watched_event(event.as_fd())?;
    Ok(async move {
        // Without a runtime nobody would be here.
        let _ = event.readable().await;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_share_a_cache_have_folders_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let open = || open_store(&cache, 256 << 20).unwrap();
        let (first, second) = (open(), open());
        assert_eq!([&first.0, &second.0], [&cache.join(""), &cache.join("2")]);
        drop(first);
        assert_eq!(open().0, cache);
    }
}
