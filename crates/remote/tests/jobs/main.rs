//! Actions on running servers: honest ones, forgetful ones, and liars.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod lies;
mod peer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};

use action::{Digest, Hermetic, Root};
use remote::{Content, Contents, Endpoint, Made, Order, Server, Trouble};

use peer::start;

async fn connect(address: SocketAddr) -> Server {
    let endpoint = Endpoint::parse(&format!("grpc://{address}/main")).unwrap();
    Server::connect(&endpoint).await.unwrap()
}

/// Blobs by their digests; some on disk. Counts how often each was asked for.
#[derive(Default)]
struct Blobs {
    bytes: HashMap<Digest, Vec<u8>>,
    files: HashMap<Digest, File>,
    asked: Mutex<HashMap<Digest, usize>>,
    /// Those of the action itself.
    of_action: HashSet<Digest>,
    /// What folders name.
    folders: HashMap<Digest, Vec<Digest>>,
}

impl Contents for Blobs {
    fn is_of_action(&self, digest: &Digest) -> bool {
        self.of_action.contains(digest)
    }

    fn named_by(&self, digest: &Digest) -> &[Digest] {
        self.folders.get(digest).map_or(&[], Vec::as_slice)
    }

    fn content(&self, digest: &Digest) -> io::Result<Content> {
        *self.asked.lock().unwrap().entry(*digest).or_default() += 1;
        match self.files.get(digest) {
            Some(file) => Ok(Content::File(file.try_clone()?)),
            None => Ok(Content::Bytes(self.bytes[digest].clone())),
        }
    }
}

/// An action that repeats `input` into these outputs, and the blobs for it: all messages are its own.
fn order(times: usize, input: &[u8], outputs: &[&str]) -> (Order, Arc<Blobs>) {
    let (mut order, mut blobs) = order_of(times, &[("/w/in", input)], outputs);
    let messages = blobs.bytes.keys().copied();
    blobs.of_action = messages.filter(|it| *it != Digest::of(input)).collect();
    let blobs = Arc::new(blobs);
    order.contents = Arc::clone(&blobs) as _;
    (order, blobs)
}

/// An action that repeats the first of these files.
fn order_of(times: usize, files: &[(&str, &[u8])], outputs: &[&str]) -> (Order, Blobs) {
    let job = action::Job {
        arguments: &[times.to_string().into_bytes()],
        environment: &BTreeMap::new(),
        working_folder: b"/w",
        outputs: &outputs
            .iter()
            .map(|path| path.as_bytes().to_vec())
            .collect(),
        do_not_cache: false,
    };
    let mut root = Root::default();
    let mut blobs = Blobs::default();
    for (path, content) in files {
        let digest = Digest::of(content);
        root.add_file(path.as_bytes(), digest, false).unwrap();
        blobs.bytes.insert(digest, content.to_vec());
    }
    let hermetic = Hermetic::new(&job, root).unwrap();
    blobs.bytes.extend(hermetic.packed.blobs.clone());
    blobs.folders = hermetic.packed.folders;
    let order = Order {
        action: hermetic.packed.digest,
        blobs: blobs.bytes.keys().copied().collect(),
        outputs: Arc::new(hermetic.outputs.into_keys().collect()),
        cached: true,
        contents: Arc::new(Blobs::default()),
    };
    (order, blobs)
}

impl Blobs {
    fn for_order(self, order: Order) -> Order {
        Order {
            contents: Arc::new(self),
            ..order
        }
    }
}

#[tokio::test]
async fn an_action_runs_and_its_outputs_come_back() {
    let running = start().await;
    let server = connect(running.address).await;
    assert!(server.executes());
    let (order, _) = order(2, b"ab", &["a.o", "x"]);
    let outcome = server.run(&order).await.unwrap();
    let made = |path: &str, content: &[u8], executable| Made {
        path: path.to_owned(),
        content: content.to_vec(),
        executable,
    };
    assert_eq!(
        outcome.files,
        [made("a.o", b"ababa.o", false), made("x", b"ababx", true)]
    );
    assert_eq!(
        (outcome.exit_code, &*outcome.stdout, &*outcome.stderr),
        (3, &b"out"[..], &b""[..])
    );
    assert!(!outcome.cached);
}

/// A server that does not know the result does not have the messages either, as a rule.
#[tokio::test]
async fn a_server_is_asked_for_files_and_only_at_first_for_messages() {
    let running = start().await;
    let server = connect(running.address).await;
    let (first, _) = order(2, b"one", &["o"]);
    server.run(&first).await.unwrap();
    let mut all = first.blobs.to_vec();
    all.sort_unstable();
    assert_eq!(running.peer.asked(), all);
    let (second, _) = order(2, b"two", &["o"]);
    server.run(&second).await.unwrap();
    assert_eq!(running.peer.asked(), [Digest::of(b"two")]);
    // What it has forgotten goes there again.
    running.peer.forget();
    server.run(&second).await.unwrap();
    assert_eq!(running.peer.runs(), 3);
}

/// `Execute` finds known results, too, so what is asked for in vain again and again is sent without asking.
#[tokio::test]
async fn results_are_not_asked_for_in_vain_for_ever() {
    let running = start().await;
    let run_all = async |server: &Server, times| {
        let before = (running.peer.runs(), running.peer.looked_up());
        for number in 0..100 {
            let (order, _) = order(times, format!("{number}").as_bytes(), &["o"]);
            server.run(&order).await.unwrap();
        }
        let (runs, lookups) = before;
        (
            running.peer.runs() - runs,
            running.peer.looked_up() - lookups,
        )
    };
    // It has all contents, and some results: those that failed are not kept.
    let other = connect(running.address).await;
    run_all(&other, 2).await;
    run_all(&other, 1).await;
    let server = connect(running.address).await;
    let (runs, in_vain) = run_all(&server, 2).await;
    assert!(
        runs == 100 && (1..30).contains(&in_vain),
        "{runs}, {in_vain}"
    );
    // From the first that is found all others are asked for again.
    let (runs, lookups) = run_all(&server, 1).await;
    assert!(runs == 0 && lookups >= 99, "{runs}, {lookups}");
}

/// Blobs that can be read only when the test says so.
struct Slow {
    blobs: Arc<Blobs>,
    gate: Mutex<mpsc::Receiver<()>>,
    /// Told of each that is wanted.
    wanted: mpsc::Sender<()>,
}

impl Contents for Slow {
    fn content(&self, digest: &Digest) -> io::Result<Content> {
        let _ = self.wanted.send(()); // The test waits for the first only.
        // The end of the gate opens it for all.
        let _ = self.gate.lock().unwrap().recv();
        self.blobs.content(digest)
    }
}

/// A job may be given up because it has ended elsewhere; what others need, too, has begun its way once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_arrives_though_its_job_is_given_up() {
    let running = start().await;
    let server = connect(running.address).await;
    let (first, blobs) = order(2, &vec![b'x'; 6 << 20], &["o"]);
    let (open, gate) = mpsc::channel();
    let (wanted, is_wanted) = mpsc::channel();
    let slow = Order {
        contents: Arc::new(Slow {
            blobs: Arc::clone(&blobs),
            gate: Mutex::new(gate),
            wanted,
        }),
        ..first.clone()
    };
    let job = tokio::spawn({
        let server = server.clone();
        async move { server.run(&slow).await }
    });
    tokio::task::spawn_blocking(move || is_wanted.recv().map(|()| is_wanted))
        .await
        .unwrap()
        .unwrap();
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
    drop(open);
    server.run(&first).await.unwrap();
    let asked = blobs.asked.lock().unwrap();
    assert_eq!(asked.len(), blobs.bytes.len());
    assert!(asked.values().all(|&times| times == 1), "{asked:?}");
}

/// After an edit most actions differ in one file alone: that one was lacked, so each folder above it is, and the result.
#[tokio::test]
async fn where_a_file_was_new_neither_folders_nor_results_are_asked_for() {
    let running = start().await;
    let compile = |source: &'static str, header: &str| {
        let files = [("/w/h", header.as_bytes()), ("/w/in", source.as_bytes())];
        let (order, blobs) = order_of(1, &files, &["o"]);
        blobs.for_order(order)
    };
    let before = connect(running.address).await;
    for source in ["a", "b"] {
        before.run(&compile(source, "old")).await.unwrap();
    }
    running.peer.asked();
    let looked_up = running.peer.looked_up();

    let after = connect(running.address).await;
    let first = compile("a", "new");
    after.run(&first).await.unwrap();
    let mut all = first.blobs.to_vec();
    all.sort_unstable();
    assert_eq!(running.peer.asked(), all);
    let second = compile("b", "new");
    let made = after.run(&second).await.unwrap();
    assert!(!made.cached);
    // The action names no file by itself, and so may be anything.
    let mut expected = vec![Digest::of(b"b"), second.action];
    expected.sort_unstable();
    assert_eq!(running.peer.asked(), expected);
    assert_eq!(running.peer.looked_up(), looked_up + 1);

    // A result that is known by now comes from where it would be made.
    let again = after.run(&second).await.unwrap();
    assert!(again.cached && again.files == made.files);
    assert_eq!(running.peer.asked(), []);
    // And who has not sent the file knows nothing of this.
    let other = connect(running.address).await;
    assert!(other.run(&second).await.unwrap().cached);
    assert_eq!(running.peer.looked_up(), looked_up + 2);
    assert_eq!(running.peer.runs(), 4);
}

#[tokio::test]
async fn a_server_gets_no_content_that_it_was_not_asked_about() {
    let running = start().await;
    let (mut order, mut blobs) = order_of(1, &[("/w/in", b"x")], &["o"]);
    let secret = Digest::of(b"secret");
    blobs.bytes.insert(secret, b"secret".to_vec());
    let blobs = Arc::new(blobs);
    order.contents = Arc::clone(&blobs) as _;
    running.peer.want(secret);
    let trouble = connect(running.address)
        .await
        .run(&order)
        .await
        .unwrap_err();
    assert!(matches!(trouble, Trouble::Liar(_)), "{trouble}");
    assert!(blobs.asked.lock().unwrap().is_empty());
}

/// HTTP/2 counts streams that are broken off, and ends connections with a thousand of them.
#[tokio::test]
async fn the_end_of_an_execution_is_waited_for() {
    let running = start().await;
    let server = connect(running.address).await;
    let (order, _) = order(1, b"x", &["o"]);
    server.run(&order).await.unwrap();
    let was_waited_for = running.peer.parted().await;
    assert!(was_waited_for, "it was broken off");
}

#[tokio::test]
async fn a_server_that_keeps_nothing_is_sent_all_twice_at_most() {
    let running = start().await;
    let server = connect(running.address).await;
    running.peer.fill();
    let (order, _) = order(2, b"input", &["o"]);
    let trouble = server.run(&order).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Forgetful(_)), "{trouble}");
    assert_eq!(running.peer.sent(), 2 * order.blobs.len());
}

#[tokio::test]
async fn large_contents_go_and_come_in_pieces() {
    let running = start().await;
    let server = connect(running.address).await;
    // Nothing that packs well.
    let mut state = 1_u64;
    let input: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(9 << 20)
    .collect();
    let (mut order, _) = order(2, &input, &["o"]);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&input).unwrap();
    io::Seek::rewind(&mut file).unwrap();
    let mut blobs = Blobs {
        files: HashMap::from([(Digest::of(&input), file)]),
        ..Blobs::default()
    };
    for digest in order.blobs.iter().filter(|digest| digest.size < 10_000) {
        let Content::Bytes(bytes) = order.contents.content(digest).unwrap() else {
            unreachable!()
        };
        blobs.bytes.insert(*digest, bytes);
    }
    order.contents = Arc::new(blobs);
    let outcome = server.run(&order).await.unwrap();
    let content = &outcome.files[0].content;
    assert_eq!(content.len(), (18 << 20) + 1);
    assert!(content.starts_with(&input) && content[input.len()..].starts_with(&input));
}

#[tokio::test]
async fn results_come_packed() {
    let running = start().await;
    let server = connect(running.address).await;
    // In one message, and in pieces.
    for bytes in [1 << 20, 9 << 20] {
        let (order, _) = order(2, &vec![b'x'; bytes], &["o"]);
        let outcome = server.run(&order).await.unwrap();
        assert_eq!(outcome.files[0].content.len(), 2 * bytes + 1);
        assert!(outcome.received < 100_000, "{}", outcome.received);
    }
}

#[tokio::test]
async fn each_blob_is_read_and_sent_once() {
    let running = start().await;
    let server = connect(running.address).await;
    let (first, blobs) = order(1, b"shared", &["o"]);
    let runs: Vec<_> = (0..20).map(|_| server.run(&first)).collect();
    for outcome in futures(runs).await {
        outcome.unwrap();
    }
    let asked = blobs.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), blobs.bytes.len());
    assert!(asked.values().all(|&times| times == 1), "{asked:?}");
    // Another action with the same file sends only what is new.
    let (second, blobs) = order(2, b"shared", &["o"]);
    server.run(&second).await.unwrap();
    assert!(
        !blobs
            .asked
            .lock()
            .unwrap()
            .contains_key(&Digest::of(b"shared"))
    );
    // And another connection learns that all is there.
    let (again, blobs) = order(1, b"shared", &["o"]);
    let order = Order {
        cached: false,
        ..again
    };
    connect(running.address).await.run(&order).await.unwrap();
    assert!(blobs.asked.lock().unwrap().is_empty());
}

async fn futures<F: Future>(all: Vec<F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = one.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_result_that_is_known_costs_one_question() {
    let running = start().await;
    let (first, _) = order(1, b"x", &["o"]);
    let made = connect(running.address).await.run(&first).await.unwrap();
    assert!(!made.cached);
    let (again, blobs) = order(1, b"x", &["o"]);
    let known = connect(running.address).await.run(&again).await.unwrap();
    assert!(known.cached);
    assert_eq!(known.files, made.files);
    assert!(blobs.asked.lock().unwrap().is_empty());
    assert_eq!(running.peer.runs(), 1);
}

#[tokio::test]
async fn what_a_server_has_forgotten_is_sent_again() {
    let running = start().await;
    let server = connect(running.address).await;
    let (order, blobs) = order(2, b"precious", &["o"]);
    server.run(&order).await.unwrap();
    running.peer.forget();
    let outcome = server.run(&order).await.unwrap();
    assert_eq!(outcome.files[0].content, b"preciouspreciouso");
    assert_eq!(running.peer.runs(), 2);
    assert_eq!(blobs.asked.lock().unwrap()[&Digest::of(b"precious")], 2);
}

#[tokio::test]
async fn who_is_not_there_is_away() {
    // It is taken, and nobody listens.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let endpoint = Endpoint::parse(&format!("grpc://{address}")).unwrap();
    let trouble = Server::connect(&endpoint).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Away(_)), "{trouble}");
}

#[tokio::test]
async fn files_that_change_are_not_sent() {
    let running = start().await;
    let server = connect(running.address).await;
    let (mut order, _) = order(1, b"before", &["o"]);
    let mut blobs = Blobs::default();
    for digest in &*order.blobs {
        let Content::Bytes(bytes) = order.contents.content(digest).unwrap() else {
            unreachable!()
        };
        blobs.bytes.insert(*digest, bytes);
    }
    blobs
        .bytes
        .insert(Digest::of(b"before"), b"behind".to_vec());
    order.contents = Arc::new(blobs);
    let trouble = server.run(&order).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Unreadable(_)), "{trouble}");
    assert_eq!(running.peer.runs(), 0);
}

/// What is no longer there has to be made again, and not found again.
#[tokio::test]
async fn a_known_result_whose_files_are_gone_is_made_anew() {
    let running = start().await;
    let (order, _) = order(1, b"x", &["o"]);
    let run = async || connect(running.address).await.run(&order).await.unwrap();
    run().await;
    running.peer.lose(&Digest::of(b"xo"));
    let outcome = run().await;
    assert!(!outcome.cached && running.peer.runs() == 2);
    // Found when it is executed: where inputs are missing the result is not asked for.
    running.peer.forget_blobs();
    let outcome = run().await;
    assert!(!outcome.cached && running.peer.runs() == 3);
    assert_eq!(outcome.files[0].content, b"xo");
}

/// An action with so many headers.
fn order_with_headers(count: u32, content: impl Fn(u32) -> Vec<u8>) -> Order {
    let files: Vec<(String, Vec<u8>)> = (0..count)
        .map(|number| (format!("/w/{number}.h"), content(number)))
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, text)| (&**path, &**text))
        .collect();
    let (order, blobs) = order_of(2, &files, &["o"]);
    blobs.for_order(order)
}

/// A thousand names are more than a header usually has room for.
#[tokio::test]
async fn all_that_a_server_has_forgotten_is_sent_again() {
    let running = start().await;
    let server = connect(running.address).await;
    let order = order_with_headers(1000, |number| number.to_string().into_bytes());
    for runs in [1, 2] {
        server.run(&order).await.unwrap();
        assert_eq!(running.peer.runs(), runs);
        running.peer.forget();
    }
}

/// Their names take as much as they do.
#[tokio::test]
async fn thousands_of_small_files_go_in_messages_that_a_server_takes() {
    let running = start().await;
    let server = connect(running.address).await;
    for (count, repeated) in [(20_000, 6), (5000, 24)] {
        // Nothing that packs well.
        let order = order_with_headers(count, |number| {
            let part = |part: u32| Digest::of(format!("{number} {part}").as_bytes()).hash;
            (0..repeated).flat_map(part).collect()
        });
        server.run(&order).await.unwrap();
    }
}

/// It would need as much the next time, and others need less.
#[tokio::test]
async fn what_needs_too_much_is_refused_and_no_sign_of_a_busy_server() {
    let running = start().await;
    let server = connect(running.address).await;
    let (small, _) = order(2, b"x", &["o"]);
    running.peer.is_short_of(false);
    let trouble = server.run(&small).await.unwrap_err();
    assert_eq!(trouble, Trouble::Refused("too many processes".to_owned()));
    let (other, _) = order(2, b"y", &["o"]);
    running.peer.is_short_of(true);
    let trouble = server.run(&other).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Forgetful(_)), "{trouble}");
}
