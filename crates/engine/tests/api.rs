//! A client of the API against a running engine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use action::messages::action_cache_client::ActionCacheClient;
use action::messages::capabilities_client::CapabilitiesClient;
use action::messages::content_addressable_storage_client::ContentAddressableStorageClient;
use action::messages::execution_client::ExecutionClient;
use action::messages::{
    BatchReadBlobsRequest, BatchUpdateBlobsRequest, ExecuteRequest, ExecuteResponse,
    FindMissingBlobsRequest, GetActionResultRequest, GetCapabilitiesRequest, GetTreeRequest,
    WaitExecutionRequest, batch_update_blobs_request, compressor,
};
use action::{Digest, Hermetic, Root, messages};
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{QueryWriteStatusRequest, ReadRequest, WriteRequest};
use bazel_remote_apis::google::longrunning::operation;
use engine::{
    Client, Engine, Entry, Executed, Executor, Failure, Folder, Found, Job, Output, Refusal, Slot,
    Stop,
};
use prost::Message;
use store::{Results, Store};
use tokio::sync::Semaphore;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::{Channel, Server};
use tonic_types::StatusExt;

/// Runs commands of this machine in a folder made of the input root; relative paths only.
struct Plain {
    store: Store,
    runs: AtomicUsize,
    stopped: AtomicUsize,
    slots: Arc<Semaphore>,
    /// Jobs that wait for a slot.
    queued: Arc<AtomicUsize>,
    /// Set where actions run that do not bring their root.
    surroundings: Mutex<Option<Digest>>,
}

impl Plain {
    fn make(&self, entry: &Entry, at: &Path) {
        match entry {
            Entry::File { digest, executable } => {
                self.store.place(*digest, *executable, at).unwrap()
            }
            Entry::Link(target) => std::os::unix::fs::symlink(target, at).unwrap(),
            Entry::Folder { entries, .. } => {
                std::fs::create_dir_all(at).unwrap();
                for (name, entry) in &**entries {
                    self.make(entry, &at.join(name));
                }
            }
        }
    }
}

impl Executor for Plain {
    fn accept(&self, _: Client, job: &Job) -> Result<Slot, Refusal> {
        match job.property("InputRootAbsolutePath") {
            Some("/") => Ok(Box::new(())),
            None if self.surroundings().is_some() => Ok(Box::new(())),
            other => Err(Refusal::Never(format!("no such root: {other:?}"))),
        }
    }

    fn surroundings(&self) -> Option<Digest> {
        *self.surroundings.lock().unwrap()
    }

    fn slot(&self, _: Client) -> Pin<Box<dyn Future<Output = Slot> + Send>> {
        let (slots, queued) = (Arc::clone(&self.slots), Queued::new(&self.queued));
        Box::pin(async move {
            let slot = slots.acquire_owned().await.unwrap();
            drop(queued);
            Box::new(slot) as Slot
        })
    }

    fn execute(&self, _: Client, job: &Job, stop: &Stop) -> Result<Executed, Failure> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let folder = tempfile::tempdir().unwrap();
        self.make(&job.root, folder.path());
        let cwd = folder.path().join(&job.command.working_directory);
        let words = &job.command.arguments;
        let mut command = Command::new(&words[0]);
        let mut child = command.args(&words[1..]).current_dir(&cwd).spawn().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if stop.is_stopped() {
                child.kill().unwrap();
                child.wait().unwrap();
                self.stopped.fetch_add(1, Ordering::SeqCst);
                return Err(Failure::Stopped);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let made = |path: &String| {
            let at = cwd.join(path);
            let output = match at.is_dir() {
                true => {
                    let kept = tempfile::tempdir().unwrap();
                    std::fs::rename(at, kept.path().join("out")).unwrap();
                    Output::Folder(Box::new(Kept(kept)))
                }
                false => Output::File {
                    content: File::open(at).ok()?,
                    executable: false,
                },
            };
            Some((path.clone(), output))
        };
        Ok(Executed {
            exit_code: status.code().unwrap(),
            stdout: b"said".to_vec(),
            stderr: Vec::new(),
            outputs: job.outputs.iter().filter_map(made).collect(),
        })
    }
}

/// A folder that a command made: `out` in here.
#[derive(Debug)]
struct Kept(tempfile::TempDir);

impl Folder for Kept {
    fn visit(
        &self,
        take: &mut dyn FnMut(&str, Found) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let top = self.0.path().join("out");
        let mut left = vec![top.clone()];
        while let Some(folder) = left.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let found = path.symlink_metadata().unwrap();
                let found = if found.is_symlink() {
                    let target = std::fs::read_link(&path).unwrap();
                    Found::Link(target.into_os_string().into_string().unwrap())
                } else if found.is_dir() {
                    left.push(path.clone());
                    Found::Folder
                } else {
                    Found::File {
                        content: File::open(&path).unwrap(),
                        executable: found.permissions().mode() & 0o111 != 0,
                    }
                };
                take(path.strip_prefix(&top).unwrap().to_str().unwrap(), found)?;
            }
        }
        Ok(())
    }
}

/// A place in the queue, until dropped.
struct Queued(Arc<AtomicUsize>);

impl Queued {
    fn new(count: &Arc<AtomicUsize>) -> Queued {
        count.fetch_add(1, Ordering::SeqCst);
        Queued(Arc::clone(count))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The header in which a test says from where it comes.
const FROM: &str = "x-from";

struct Running {
    _folder: tempfile::TempDir,
    plain: Arc<Plain>,
    channel: Channel,
}

async fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("blobs"), 64 << 20).unwrap();
    let results = Results::open(&folder.path().join("results"), 100).unwrap();
    let plain = Arc::new(Plain {
        store: store.clone(),
        runs: AtomicUsize::new(0),
        stopped: AtomicUsize::new(0),
        slots: Arc::new(Semaphore::new(2)),
        queued: Arc::default(),
        surroundings: Mutex::new(None),
    });
    let engine = Engine::new(store, results, Some(Arc::clone(&plain) as _));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // As who accepts connections does it.
    let told = |mut request: tonic::Request<()>| {
        let from = request.metadata().get(FROM);
        let from = from.map(|from| from.to_str().unwrap().parse().unwrap());
        request.extensions_mut().insert(Client(from));
        Ok(request)
    };
    let layer = tonic::service::InterceptorLayer::new(told);
    let mut serving = Server::builder().layer(layer);
    let serving = serving.add_routes(engine.routes());
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    Running {
        _folder: folder,
        plain,
        channel: channel.connect().await.unwrap(),
    }
}

/// An action that runs a line of shell in `w`, where `in.txt` is, and makes `out.txt`.
fn shell(line: &str, do_not_cache: bool) -> Hermetic {
    let words = ["/bin/sh", "-c", line].map(|word| word.as_bytes().to_vec());
    let job = action::Job {
        arguments: &words,
        environment: &BTreeMap::new(),
        working_folder: b"/w",
        outputs: &BTreeSet::from([b"out.txt".to_vec()]),
        do_not_cache,
    };
    let mut root = Root::default();
    root.add_file(b"/w/in.txt", Digest::of(b"content"), false)
        .unwrap();
    Hermetic::new(&job, root).unwrap()
}

impl Running {
    async fn put(&self, blobs: Vec<(Digest, Vec<u8>)>, zstd: bool) -> Vec<i32> {
        let mut client = ContentAddressableStorageClient::new(self.channel.clone());
        let requests =
            blobs
                .into_iter()
                .map(|(digest, content)| batch_update_blobs_request::Request {
                    digest: Some(digest.message()),
                    data: if zstd {
                        zstd::bulk::compress(&content, 3).unwrap()
                    } else {
                        content
                    },
                    compressor: if zstd {
                        compressor::Value::Zstd.into()
                    } else {
                        0
                    },
                });
        let request = BatchUpdateBlobsRequest {
            requests: requests.collect(),
            ..Default::default()
        };
        let response = client
            .batch_update_blobs(request)
            .await
            .unwrap()
            .into_inner();
        response
            .responses
            .into_iter()
            .map(|response| response.status.unwrap().code)
            .collect()
    }

    async fn put_action(&self, action: &Hermetic) {
        let mut blobs = action.packed.blobs.clone();
        blobs.push((Digest::of(b"content"), b"content".to_vec()));
        assert!(self.put(blobs, false).await.iter().all(|code| *code == 0));
    }

    async fn missing(&self, digests: &[Digest]) -> Vec<Digest> {
        let mut client = ContentAddressableStorageClient::new(self.channel.clone());
        let request = FindMissingBlobsRequest {
            blob_digests: digests.iter().map(Digest::message).collect(),
            ..Default::default()
        };
        let response = client
            .find_missing_blobs(request)
            .await
            .unwrap()
            .into_inner();
        response
            .missing_blob_digests
            .iter()
            .map(|digest| Digest::try_from(digest).unwrap())
            .collect()
    }

    async fn execute(&self, action: &Hermetic) -> Result<ExecuteResponse, tonic::Status> {
        let mut client = ExecutionClient::new(self.channel.clone());
        let request = ExecuteRequest {
            action_digest: Some(action.packed.digest.message()),
            ..Default::default()
        };
        let mut stream = client.execute(request).await?.into_inner();
        loop {
            let message = stream.message().await?.unwrap();
            if let Some(operation::Result::Response(any)) = message.result {
                assert!(message.done);
                return Ok(ExecuteResponse::decode(&*any.value).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn a_result_that_rests_on_the_machine_holds_as_long_as_that_stays_the_same() {
    let running = start().await;
    let mut action = shell("cat in.txt > out.txt", false);
    running.put_action(&action).await;
    let is_action = |(digest, _): &&(Digest, Vec<u8>)| *digest == action.packed.digest;
    let (_, bytes) = action.packed.blobs.iter().find(is_action).unwrap();
    let mut message = messages::Action::decode(&**bytes).unwrap();
    message.platform = Some(messages::Platform::default());
    let bytes = message.encode_to_vec();
    action.packed.digest = Digest::of(&bytes);
    running
        .put(vec![(action.packed.digest, bytes)], false)
        .await;
    let check = async |surroundings: Option<&[u8]>, cached: Option<bool>| {
        *running.plain.surroundings.lock().unwrap() = surroundings.map(Digest::of);
        let response = running.execute(&action).await.ok();
        assert_eq!(response.map(|response| response.cached_result), cached);
    };
    check(Some(b"gcc 12"), Some(false)).await;
    check(Some(b"gcc 12"), Some(true)).await;
    check(Some(b"gcc 13"), Some(false)).await;
    check(Some(b"gcc 12"), Some(true)).await;
    // Where no such action runs, nobody is given the result of one.
    check(None, None).await;
}

#[tokio::test]
async fn what_it_can_do_is_said() {
    let running = start().await;
    let mut client = CapabilitiesClient::new(running.channel.clone());
    let said = client
        .get_capabilities(GetCapabilitiesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(said.execution_capabilities.unwrap().exec_enabled);
    assert!(
        !said
            .cache_capabilities
            .unwrap()
            .action_cache_update_capabilities
            .unwrap()
            .update_enabled
    );
    assert_eq!(said.high_api_version.unwrap().major, 2);
}

#[tokio::test]
async fn blobs_come_and_go_in_batches() {
    let running = start().await;
    let contents: [Vec<u8>; 4] = [
        b"a".to_vec(),
        vec![b'b'; 3000],
        Vec::new(),
        b"wrong".to_vec(),
    ];
    let mut blobs: Vec<_> = contents
        .iter()
        .map(|content| (Digest::of(content), content.clone()))
        .collect();
    blobs[3].1 = b"gnorw".to_vec();
    let digests: Vec<_> = blobs.iter().map(|(digest, _)| *digest).collect();
    // The empty one is always there.
    let all_others = [digests[0], digests[1], digests[3]];
    let missing: BTreeSet<_> = running.missing(&digests).await.into_iter().collect();
    assert_eq!(missing, BTreeSet::from(all_others));
    let invalid = i32::from(Code::InvalidArgument);
    assert_eq!(running.put(blobs.split_off(1), true).await, [0, 0, invalid]);
    assert_eq!(running.put(blobs, false).await, [0]);
    assert_eq!(running.missing(&digests).await, [digests[3]]);
    let mut client = ContentAddressableStorageClient::new(running.channel.clone());
    for zstd in [false, true] {
        let request = BatchReadBlobsRequest {
            digests: digests.iter().map(Digest::message).collect(),
            acceptable_compressors: if zstd {
                vec![compressor::Value::Zstd.into()]
            } else {
                Vec::new()
            },
            ..Default::default()
        };
        let answers = client
            .batch_read_blobs(request)
            .await
            .unwrap()
            .into_inner()
            .responses;
        for (answer, content) in answers.iter().zip(&contents).take(3) {
            let data = match answer.compressor {
                0 => answer.data.clone(),
                _ => zstd::bulk::decompress(&answer.data, 5000).unwrap(),
            };
            assert_eq!(&data, content);
        }
        assert_eq!(answers[1].compressor != 0, zstd);
        assert_eq!(
            answers[3].status.as_ref().unwrap().code,
            i32::from(Code::NotFound)
        );
    }
}

#[tokio::test]
async fn one_clients_flood_leaves_what_others_use() {
    let running = start().await;
    let put = async |from: &'static str, letter: u8| {
        let say = move |mut request: tonic::Request<()>| {
            request.metadata_mut().insert(FROM, from.parse().unwrap());
            Ok(request)
        };
        let channel = running.channel.clone();
        let mut client = ContentAddressableStorageClient::with_interceptor(channel, say);
        let content = vec![letter; 3 << 20];
        let digest = Digest::of(&content);
        let request = BatchUpdateBlobsRequest {
            requests: vec![batch_update_blobs_request::Request {
                digest: Some(digest.message()),
                data: content,
                compressor: 0,
            }],
            ..Default::default()
        };
        let response = client.batch_update_blobs(request).await.unwrap();
        let status = response.into_inner().responses.remove(0).status;
        assert_eq!(status.unwrap().code, 0);
        digest
    };
    let (small, flood) = ("10.0.0.1:1", "10.0.0.2:1");
    let theirs = put(small, b'a').await;
    // More than the store of 64 MiB has room for, over several connections of one machine.
    let mut first = None;
    for letter in 0..25 {
        let from = if letter % 2 == 0 { flood } else { "10.0.0.2:2" };
        let sent = put(from, letter).await;
        first.get_or_insert(sent);
    }
    let first = first.unwrap();
    assert_eq!(running.missing(&[theirs, first]).await, [first]);
}

#[tokio::test]
async fn large_blobs_come_and_go_in_pieces() {
    let running = start().await;
    let content: Vec<u8> = (0..1_500_000_u32)
        .flat_map(|at| (at / 7).to_le_bytes())
        .collect();
    let digest = Digest::of(&content);
    let mut client = ByteStreamClient::new(running.channel.clone());
    let packed = zstd::bulk::compress(&content, 1).unwrap();
    let named = |zstd: bool| {
        format!(
            "{}/{digest}",
            if zstd {
                "compressed-blobs/zstd"
            } else {
                "blobs"
            }
        )
    };
    let pieces = |name: String, data: &[u8], last: bool| {
        let mut at = 0;
        let count = data.chunks(1 << 20).count();
        let pieces: Vec<WriteRequest> = data
            .chunks(1 << 20)
            .enumerate()
            .map(|(number, piece)| {
                let request = WriteRequest {
                    resource_name: name.clone(),
                    write_offset: at,
                    finish_write: last && number + 1 == count,
                    data: piece.to_vec(),
                };
                at += piece.len() as i64;
                request
            })
            .collect();
        tokio_stream::iter(pieces)
    };
    let upload = |zstd: bool| format!("main/uploads/1-2-3/{}", named(zstd));
    // Cut off, wrong, and out of order: nothing is there.
    assert!(
        client
            .write(pieces(upload(false), &content, false))
            .await
            .is_err()
    );
    assert!(
        client
            .write(pieces(upload(false), &content[1..], true))
            .await
            .is_err()
    );
    assert!(
        client
            .write(pieces(upload(true), &packed[..packed.len() - 9], true))
            .await
            .is_err()
    );
    assert!(
        client
            .write(pieces("uploads/nothing".into(), &content, true))
            .await
            .is_err()
    );
    let status = QueryWriteStatusRequest {
        resource_name: upload(false),
    };
    assert!(
        !client
            .query_write_status(status.clone())
            .await
            .unwrap()
            .into_inner()
            .complete
    );
    assert_eq!(running.missing(&[digest]).await, [digest]);

    let written = client
        .write(pieces(upload(true), &packed, true))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(written.committed_size, packed.len() as i64);
    let again = client
        .write(pieces(upload(false), &content, true))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.committed_size, content.len() as i64);
    assert!(
        client
            .query_write_status(status)
            .await
            .unwrap()
            .into_inner()
            .complete
    );
    for (zstd, offset, limit) in [
        (false, 0, 0),
        (true, 0, 0),
        (false, 4_000_001, 0),
        (false, 17, 1_000_000),
    ] {
        let request = ReadRequest {
            resource_name: named(zstd),
            read_offset: offset,
            read_limit: limit,
        };
        let mut stream = client.read(request).await.unwrap().into_inner();
        let mut read = Vec::new();
        while let Some(piece) = stream.message().await.unwrap() {
            read.extend(piece.data);
        }
        if zstd {
            read = zstd::stream::decode_all(&*read).unwrap();
        }
        let offset = offset as usize;
        let end = if limit == 0 {
            content.len()
        } else {
            offset + limit as usize
        };
        assert!(read == content[offset..end], "{zstd} {offset} {limit}");
    }
    let request = ReadRequest {
        resource_name: named(false),
        read_offset: 1 << 40,
        read_limit: 0,
    };
    assert_eq!(
        client.read(request).await.unwrap_err().code(),
        Code::OutOfRange
    );
}

#[tokio::test]
async fn an_action_runs_once_and_is_known_then() {
    let running = start().await;
    let action = shell("tr a-z A-Z <in.txt >out.txt; echo x >undeclared", false);
    let status = running.execute(&action).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let violations = status
        .get_details_precondition_failure()
        .unwrap()
        .violations;
    assert_eq!(violations[0].r#type, "MISSING");
    assert_eq!(
        violations[0].subject,
        format!("blobs/{}", action.packed.digest)
    );

    running.put(action.packed.blobs.clone(), false).await;
    let status = running.execute(&action).await.unwrap_err();
    let violations = status
        .get_details_precondition_failure()
        .unwrap()
        .violations;
    let content = Digest::of(b"content");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].subject, format!("blobs/{content}"));

    running.put_action(&action).await;
    for cached in [false, true] {
        let response = running.execute(&action).await.unwrap();
        assert_eq!(response.cached_result, cached);
        let result = response.result.unwrap();
        assert_eq!((result.exit_code, &*result.stdout_raw), (0, &b"said"[..]));
        let [file] = &*result.output_files else {
            panic!("{result:?}")
        };
        assert_eq!((&*file.path, &*file.contents), ("out.txt", &b"CONTENT"[..]));
    }
    assert_eq!(running.plain.runs.load(Ordering::SeqCst), 1);
    let mut cache = ActionCacheClient::new(running.channel.clone());
    let request = GetActionResultRequest {
        action_digest: Some(action.packed.digest.message()),
        inline_output_files: vec!["out.txt".into()],
        ..Default::default()
    };
    let known = cache.get_action_result(request).await.unwrap().into_inner();
    assert_eq!(known.output_files[0].contents, b"CONTENT");
    let mut tree = ContentAddressableStorageClient::new(running.channel.clone());
    let root = action.packed.blobs.iter().rev().nth(2).unwrap().0;
    let request = GetTreeRequest {
        root_digest: Some(root.message()),
        ..Default::default()
    };
    let page = tree
        .get_tree(request)
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page.directories.len(), 2);
}

impl Running {
    /// The same action whose command is another: of a client before version 2.1, say.
    async fn put_changed(&self, action: &mut Hermetic, change: impl Fn(&mut messages::Command)) {
        let find = |digest: &Digest| {
            let mut blobs = action.packed.blobs.iter();
            blobs.find(|(there, _)| there == digest).unwrap().1.clone()
        };
        let mut message = messages::Action::decode(&*find(&action.packed.digest)).unwrap();
        let named = message.command_digest.as_ref().unwrap();
        let named = Digest::try_from(named).unwrap();
        let mut command = messages::Command::decode(&*find(&named)).unwrap();
        change(&mut command);
        let command = command.encode_to_vec();
        message.command_digest = Some(Digest::of(&command).message());
        let message = message.encode_to_vec();
        action.packed.digest = Digest::of(&message);
        let blobs = [command, message].map(|bytes| (Digest::of(&bytes), bytes));
        action.packed.blobs.extend(blobs);
        self.put_action(action).await;
    }
}

/// As of Bazel's tree artifacts: what is in it, of which one folder is there twice.
#[tokio::test]
#[expect(deprecated, reason = "as clients of the API before 2.1 name outputs")]
async fn outputs_that_are_folders_come_as_trees() {
    let running = start().await;
    let line = "mkdir -p out/a out/b/empty out/c/empty; echo x >out/a/x; chmod 755 out/a/x; ln -s a/x out/link";
    let mut action = shell(line, false);
    let by_kind = |files: &[&str], folders: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (files, folders): (Vec<String>, Vec<String>) = (names(files), names(folders));
        move |command: &mut messages::Command| {
            command.output_paths.clear();
            command.output_files.clone_from(&files);
            command.output_directories.clone_from(&folders);
            command.output_directory_format = 2;
        }
    };
    running
        .put_changed(&mut action, by_kind(&[], &["out"]))
        .await;
    let response = running.execute(&action).await.unwrap();
    let result = response.result.unwrap();
    let [output] = &*result.output_directories else {
        panic!("{result:?}")
    };
    assert_eq!(&*output.path, "out");
    let fetch = async |digest: Digest| {
        let mut client = ContentAddressableStorageClient::new(running.channel.clone());
        let request = BatchReadBlobsRequest {
            digests: vec![digest.message()],
            ..Default::default()
        };
        let answer = client.batch_read_blobs(request).await.unwrap().into_inner();
        answer.responses[0].data.clone()
    };
    let digest =
        |message: &Option<messages::Digest>| Digest::try_from(message.as_ref().unwrap()).unwrap();
    let tree = messages::Tree::decode(&*fetch(digest(&output.tree_digest)).await).unwrap();
    let root = tree.root.unwrap();
    // `b` and `c` are equal.
    assert_eq!((root.directories.len(), tree.children.len()), (3, 3));
    assert_eq!(
        (&*root.symlinks[0].name, &*root.symlinks[0].target),
        ("link", "a/x")
    );
    let named = |folder: &messages::Directory| Digest::of(&folder.encode_to_vec());
    let a = tree
        .children
        .iter()
        .find(|child| Some(named(child)) == Some(digest(&root.directories[0].digest)));
    let [file] = &*a.unwrap().files else {
        panic!("{a:?}")
    };
    assert!(file.is_executable && &*file.name == "x");
    assert_eq!(fetch(digest(&file.digest)).await, b"x\n");
    let kept = digest(&output.root_directory_digest);
    assert_eq!(kept, named(&root));
    assert_eq!(fetch(kept).await, root.encode_to_vec());

    // It is known as long as all of it is there.
    assert!(running.execute(&action).await.unwrap().cached_result);
    for letter in 0..25 {
        // All else of it is used meanwhile, as others would do.
        running
            .missing(&[digest(&output.tree_digest), action.packed.digest])
            .await;
        running.put(vec![junk(letter)], false).await;
    }
    let file = digest(&file.digest);
    assert_eq!(running.missing(&[file]).await, [file]);
    running.put_action(&action).await;
    assert!(!running.execute(&action).await.unwrap().cached_result);

    for (files, folders, is) in [
        (&["out"][..], &[][..], "folder"),
        (&[], &["in.txt"], "file"),
    ] {
        let mut action = shell(line, true);
        running
            .put_changed(&mut action, by_kind(files, folders))
            .await;
        let status = running.execute(&action).await.unwrap().status.unwrap();
        assert_eq!(status.code, i32::from(Code::InvalidArgument));
        assert!(
            status.message.contains(&format!("is a {is}")),
            "{}",
            status.message
        );
    }
}

fn junk(letter: u8) -> (Digest, Vec<u8>) {
    let content = vec![letter; 3 << 20];
    (Digest::of(&content), content)
}

#[tokio::test]
async fn failures_and_what_must_not_be_kept_run_again() {
    let running = start().await;
    let failing = shell("exit 3", false);
    let uncached = shell("echo x >out.txt", true);
    for action in [&failing, &uncached] {
        running.put_action(action).await;
        for _ in 0..2 {
            assert!(!running.execute(action).await.unwrap().cached_result);
        }
    }
    assert_eq!(running.plain.runs.load(Ordering::SeqCst), 4);
    let result = running.execute(&failing).await.unwrap().result.unwrap();
    assert_eq!(result.exit_code, 3);
    assert!(result.output_files.is_empty());
}

#[tokio::test]
async fn the_same_action_at_once_runs_once() {
    let running = start().await;
    let action = shell("sleep 0.3; echo x >out.txt", false);
    running.put_action(&action).await;
    let three = tokio::join!(
        running.execute(&action),
        running.execute(&action),
        running.execute(&action)
    );
    for response in [three.0, three.1, three.2] {
        assert_eq!(
            response.unwrap().result.unwrap().output_files[0].contents,
            b"x\n"
        );
    }
    assert_eq!(running.plain.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_may_come_back_and_one_that_does_not_ends_its_job() {
    let running = start().await;
    // Longer than it takes until its name is told.
    let action = shell("sleep 3; echo x >out.txt", false);
    running.put_action(&action).await;
    let mut client = ExecutionClient::new(running.channel.clone());
    let request = ExecuteRequest {
        action_digest: Some(action.packed.digest.message()),
        ..Default::default()
    };
    let mut stream = client.execute(request).await.unwrap().into_inner();
    let name = stream.message().await.unwrap().unwrap().name;
    drop(stream);
    let mut stream = client
        .wait_execution(WaitExecutionRequest { name })
        .await
        .unwrap()
        .into_inner();
    let done = loop {
        let message = stream.message().await.unwrap().unwrap();
        if message.done {
            break message;
        }
    };
    assert!(done.result.is_some());
    assert_eq!(running.plain.runs.load(Ordering::SeqCst), 1);
    let unknown = WaitExecutionRequest {
        name: "none".into(),
    };
    assert_eq!(
        client.wait_execution(unknown).await.unwrap_err().code(),
        Code::NotFound
    );

    let long = shell("exec sleep 600", false);
    running.put_action(&long).await;
    let request = ExecuteRequest {
        action_digest: Some(long.packed.digest.message()),
        ..Default::default()
    };
    let mut stream = client.execute(request).await.unwrap().into_inner();
    stream.message().await.unwrap();
    drop(stream);
    while running.plain.stopped.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..1200 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within a minute");
}

#[tokio::test]
async fn a_client_that_goes_leaves_the_queue_unless_another_waits_for_the_same() {
    let running = start().await;
    let (plain, queued) = (&running.plain, || {
        running.plain.queued.load(Ordering::SeqCst)
    });
    // All slots are taken, and stay so until the end.
    let taken = plain.slots.acquire_many(2).await.unwrap();
    let alone = shell("echo alone >out.txt", false);
    let shared = shell("echo shared >out.txt", false);
    let mut client = ExecutionClient::new(running.channel.clone());
    let mut streams = Vec::new();
    for action in [&alone, &shared, &shared] {
        running.put_action(action).await;
        let request = ExecuteRequest {
            action_digest: Some(action.packed.digest.message()),
            ..Default::default()
        };
        let mut stream = client.execute(request).await.unwrap().into_inner();
        stream.message().await.unwrap();
        streams.push(stream);
    }
    until(|| queued() == 2).await;
    let mut stays = streams.pop().unwrap();
    drop(streams);
    until(|| queued() == 1).await;
    drop(taken);
    let done = loop {
        let message = stays.message().await.unwrap().unwrap();
        if let Some(operation::Result::Response(any)) = message.result {
            break ExecuteResponse::decode(&*any.value).unwrap();
        }
    };
    assert_eq!(done.result.unwrap().output_files[0].contents, b"shared\n");
    assert_eq!(plain.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn actions_that_make_no_sense_are_refused_with_the_reason() {
    let running = start().await;
    let text = b"no message at all".to_vec();
    let digest = Digest::of(&text);
    running.put(vec![(digest, text)], false).await;
    let mut client = ExecutionClient::new(running.channel.clone());
    let mut refused = async |digest: action::messages::Digest| {
        let request = ExecuteRequest {
            action_digest: Some(digest),
            ..Default::default()
        };
        client.execute(request).await.unwrap_err()
    };
    let status = refused(digest.message()).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("the action makes no sense"),
        "{status}"
    );
    let status = refused(action::messages::Digest::default()).await;
    assert!(
        status.message().contains("64 hexadecimal digits"),
        "{status}"
    );
}
