//! A client of the Remote Execution API, whose actions are scripts that bring a shell and a few tools along.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use action::messages::command::EnvironmentVariable;
use action::messages::platform::Property;
use action::messages::{self, Platform};
use action::{Digest, PLATFORM_ROOT, Root};
use prost::Message;
use remote::{Content, Contents, Endpoint, Order, Outcome, Trouble};

/// Programs that scripts may use.
const TOOLS: [&str; 9] = [
    "sh", "cat", "ln", "mkdir", "mkfifo", "mv", "rm", "sleep", "chmod",
];

/// A client that is connected.
pub(crate) struct Api {
    runtime: tokio::runtime::Runtime,
    server: remote::Server,
}

/// An action under construction.
#[derive(Clone)]
pub(crate) struct Script {
    root: Root,
    blobs: HashMap<Digest, Vec<u8>>,
    text: String,
    cwd: String,
    outputs: Vec<String>,
    /// What the platform has to be.
    pub(crate) properties: Vec<(String, String)>,
    /// How long it may take.
    pub(crate) timeout: Option<Duration>,
    /// A result that is known already will do.
    pub(crate) cached: bool,
}

struct InMemory(HashMap<Digest, Vec<u8>>);

impl Contents for InMemory {
    fn content(&self, digest: &Digest) -> io::Result<Content> {
        let content = self.0.get(digest).cloned();
        content
            .map(Content::Bytes)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Api {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, Trouble> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let endpoint = Endpoint::parse(&format!("grpc://{address}")).unwrap();
        let server = runtime.block_on(remote::Server::connect(&endpoint))?;
        Ok(Self { runtime, server })
    }

    pub(crate) fn run(&self, script: &Script) -> Result<Outcome, Trouble> {
        self.runtime.block_on(self.server.run(&script.order()))
    }

    /// Runs it, and goes away as soon as `until` is true.
    pub(crate) fn leave(&self, script: &Script, until: impl Fn() -> bool) {
        let order = script.order();
        self.runtime.block_on(async {
            let looking = async {
                while !until() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                outcome = self.server.run(&order) => panic!("{outcome:?}"),
                () = looking => {}
            }
        });
    }
}

impl Script {
    /// A shell's script in an empty folder `/w`, which declares these outputs.
    pub(crate) fn new(text: &str, outputs: &[&str]) -> Self {
        let mut script = Self {
            root: Root::default(),
            blobs: HashMap::new(),
            text: text.to_owned(),
            cwd: "w".to_owned(),
            outputs: outputs.iter().map(|&output| output.to_owned()).collect(),
            properties: vec![(PLATFORM_ROOT.0.to_owned(), PLATFORM_ROOT.1.to_owned())],
            timeout: None,
            cached: false,
        };
        for (path, content) in tools() {
            script = script.program(path, content);
        }
        script.root.add_folder(b"/w").unwrap();
        script
    }

    fn program(mut self, path: &str, content: &[u8]) -> Self {
        let digest = Digest::of(content);
        self.root.add_file(path.as_bytes(), digest, true).unwrap();
        self.blobs.insert(digest, content.to_vec());
        self
    }

    /// With a file in its root.
    pub(crate) fn file(mut self, path: &str, content: &str) -> Self {
        let digest = Digest::of(content.as_bytes());
        self.root.add_file(path.as_bytes(), digest, false).unwrap();
        self.blobs.insert(digest, content.into());
        self
    }

    /// With a link in its root.
    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        let (path, target) = (path.as_bytes(), target.as_bytes());
        self.root.add_link(path, target).unwrap();
        self
    }

    /// In another folder, whether there or not.
    pub(crate) fn within(mut self, cwd: &str) -> Self {
        cwd.clone_into(&mut self.cwd);
        self
    }

    fn order(&self) -> Order {
        let packed = self.root.pack();
        let command = messages::Command {
            arguments: ["/bin/sh", "-c", &self.text].map(String::from).to_vec(),
            environment_variables: vec![EnvironmentVariable {
                name: "PATH".into(),
                value: "/bin:/usr/bin".into(),
            }],
            output_paths: self.outputs.clone(),
            working_directory: self.cwd.clone(),
            ..messages::Command::default()
        }
        .encode_to_vec();
        let properties = self.properties.iter();
        let properties = properties.map(|(name, value)| Property {
            name: name.clone(),
            value: value.clone(),
        });
        let mut action = messages::Action {
            command_digest: Some(Digest::of(&command).message()),
            input_root_digest: Some(packed.digest.message()),
            platform: Some(Platform {
                properties: properties.collect(),
            }),
            ..messages::Action::default()
        };
        if let Some(limit) = self.timeout {
            let timeout = action.timeout.get_or_insert_default();
            timeout.seconds = limit.as_secs().cast_signed();
            timeout.nanos = limit.subsec_nanos().cast_signed();
        }
        let action = action.encode_to_vec();
        let mut blobs = self.blobs.clone();
        blobs.extend(packed.blobs);
        let digest = Digest::of(&action);
        for blob in [command, action] {
            blobs.insert(Digest::of(&blob), blob);
        }
        Order {
            action: digest,
            blobs: blobs.keys().copied().collect(),
            outputs: Arc::new(self.outputs.iter().cloned().collect::<BTreeSet<_>>()),
            cached: self.cached,
            contents: Arc::new(InMemory(blobs)),
        }
    }
}

/// The tools with all that they need to be started.
fn tools() -> &'static [(String, Vec<u8>)] {
    static FOUND: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut paths: BTreeSet<String> = TOOLS.iter().map(|tool| format!("/bin/{tool}")).collect();
        for path in paths.clone() {
            let output = Command::new("ldd").arg(path).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let words = text.split_whitespace();
            let libraries = words.filter(|word| word.starts_with('/'));
            paths.extend(libraries.map(str::to_owned));
        }
        let read = |path: String| {
            let content = fs::read(&path).unwrap();
            (path, content)
        };
        paths.into_iter().map(read).collect()
    })
}
