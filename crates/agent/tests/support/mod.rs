//! What the tests of the two programs share: trees of files, and include servers to ask.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{IoSliceMut, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use protocol::include::{MUST_EXIST, Query, client_name};
use protocol::pieces::Pieces;
use protocol::request::{Head, Limits, RequestDecoder, Step, put_file_count};
use protocol::{Version, lzo, stream};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own, with a real path of two components.
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    /// A tree with these files. A text that starts with `-> ` makes a symbolic link.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir_in("/tmp").unwrap());
        for (name, text) in files {
            tree.write(name, text);
        }
        tree
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.as_ref().strip_prefix(b"-> ") {
            Some(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }

    /// A script that can be run. Another process writes it: were it this one, a program that
    /// another test starts in this moment could hold it open, and it could not be run then.
    pub(crate) fn script(&self, name: &str, text: &str) {
        let mut writer = Command::new("sh")
            .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
            .arg(self.path(name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let script = format!("#!/bin/sh\n{text}");
        let mut stdin = writer.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        assert!(writer.wait().unwrap().success());
    }

    /// The absolute path of `name`, nothing shortened.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            return self.0.path().to_owned();
        }
        PathBuf::from(format!("{}/{name}", self.0.path().display()))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// The names in a folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Splits a command at blanks; words from `paths` take the places of `{}`.
pub(crate) fn words(command: &str, paths: &[&Path]) -> Vec<OsString> {
    let mut paths = paths.iter();
    command
        .split_whitespace()
        .map(|word| match word.split_once("{}") {
            Some((before, after)) => {
                let mut word = OsString::from(before);
                word.push(paths.next().unwrap());
                word.push(after);
                word
            }
            None => OsString::from(word),
        })
        .collect()
}

/// What a client would send under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    File(Vec<u8>),
    Link(PathBuf),
}

/// An answer as a client understands it: names on the client, and what goes with them.
pub(crate) type Answer = BTreeMap<PathBuf, Sent>;

/// An answer to a client of ours.
pub(crate) struct InPieces {
    pub(crate) pieces: Pieces,
    file: File,
}

impl InPieces {
    /// What a compile server understands of a request with it.
    pub(crate) fn answer(&self) -> Answer {
        let head = Head {
            version: Version::Pump,
            cwd: Some("/".into()),
            argv: vec!["gcc".into()],
        };
        let mut request = head.encode();
        put_file_count(&mut request, self.pieces.files);
        for piece in &self.pieces.pieces {
            let mut bytes = vec![0; piece.bytes as usize];
            let start = u64::from(piece.start);
            self.file.read_exact_at(&mut bytes, start).unwrap();
            request.extend(bytes);
        }
        let mut from = &request[..];
        let mut decoder = RequestDecoder::new(Limits::default());
        let mut answer = Answer::new();
        loop {
            let (name, sent) = match decoder.step() {
                Step::Header => {
                    let header = stream::read_header(&mut from).unwrap();
                    decoder.on_header(&header).unwrap();
                    continue;
                }
                Step::Text { bytes } => {
                    let text = stream::read_body(&mut from, bytes).unwrap();
                    decoder.on_text(text).unwrap();
                    continue;
                }
                Step::File { name, wire_bytes } => {
                    let block = stream::read_body(&mut from, wire_bytes).unwrap();
                    let is_folder = Path::new(&name).ends_with(MUST_EXIST);
                    assert_eq!(block.is_empty(), is_folder);
                    let sent = match is_folder {
                        true => block,
                        false => lzo::decompress(&block, 1 << 24).unwrap(),
                    };
                    (name, Sent::File(sent))
                }
                Step::Link { name, text } => (name, Sent::Link(text.into())),
                Step::Head(_) => continue,
                Step::End => break,
                Step::Source { .. } | Step::Why { .. } => panic!("not in pump mode"),
            };
            assert!(answer.insert(name.into(), sent).is_none());
        }
        assert!(from.is_empty());
        answer
    }
}

/// An include server in the background.
pub(crate) struct Server {
    /// Holds its socket, and what it prints.
    pub(crate) tree: Tree,
    /// Where its copies are.
    pub(crate) roots: Tree,
    pub(crate) pid: i32,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let tree = Tree::new(&[]);
        let roots = Tree::new(&[]);
        let status = server_command(&tree, &roots.path(""))
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success(), "{}", tree.text("stderr"));
        let pid = tree.text("pid");
        assert!(pid.ends_with('\n'));
        Self {
            pid: pid.trim_end().parse().unwrap(),
            tree,
            roots,
        }
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.tree.path("socket")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The paths in the answer to a question.
    pub(crate) fn ask_for_paths(&self, cwd: &Path, argv: Vec<OsString>) -> Vec<OsString> {
        let mut stream = self.connect();
        let query = Query {
            cwd: cwd.into(),
            argv,
        };
        stream.write_all(&query.encode()).unwrap();
        stream::read_answer(&mut stream, Limits::default()).unwrap()
    }

    /// The answer to a question; nothing if the server refuses.
    pub(crate) fn ask(&self, cwd: &Path, argv: Vec<OsString>) -> Option<Answer> {
        let paths = self.ask_for_paths(cwd, argv);
        if paths.is_empty() {
            return None;
        }
        let roots = self.roots.path("");
        let mut answer = Answer::new();
        for path in &paths {
            let name = PathBuf::from(client_name(path).unwrap());
            let path = Path::new(path);
            assert!(path.starts_with(&roots), "{}", path.display());
            let is_link = fs::symlink_metadata(path).unwrap().is_symlink();
            let sent = if is_link {
                Sent::Link(fs::read_link(path).unwrap())
            } else {
                let block = fs::read(path).unwrap();
                // Clients send empty files as they are: only folders are empty here.
                assert_eq!(block.is_empty(), name.ends_with(MUST_EXIST));
                Sent::File(if block.is_empty() {
                    block
                } else {
                    lzo::decompress(&block, 1 << 24).unwrap()
                })
            };
            assert!(answer.insert(name, sent).is_none(), "{}", path.display());
        }
        Some(answer)
    }

    /// The answer to a question of a client of ours; nothing if the server refuses.
    pub(crate) fn ask_for_pieces(&self, cwd: &Path, argv: Vec<OsString>) -> Option<InPieces> {
        let mut stream = UnixStream::connect(self.tree.path("socket.pieces")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let cwd = cwd.into();
        let query = Query { cwd, argv };
        stream.write_all(&query.encode()).unwrap();
        // The descriptor comes with the first byte.
        let mut first = [0];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffers = [IoSliceMut::new(&mut first)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        recvmsg(&stream, &mut buffers, &mut control, flags).unwrap();
        let file = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        let mut from = first.chain(&stream);
        let pieces = Pieces::read(&mut from, Limits::default()).unwrap();
        assert_eq!(from.read(&mut [0]).unwrap(), 0, "more than an answer");
        assert_eq!(file.is_some(), pieces.files > 0);
        let file = file?.into();
        Some(InPieces { pieces, file })
    }

    pub(crate) fn stderr(&self) -> String {
        self.tree.text("stderr")
    }

    /// Ends it by `signal`, and waits until it is gone.
    pub(crate) fn end(&self, signal: &str) {
        let _ = Command::new("kill")
            .args([signal, &self.pid.to_string()])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        wait_until("the server ends", || !is_running(self.pid));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end("-TERM");
    }
}

/// The command that starts a server in the background of `tree`.
pub(crate) fn server_command(tree: &Tree, root_folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_include_server"));
    command
        .arg("--port")
        .arg(tree.path("socket"))
        .arg("--pid_file")
        .arg(tree.path("pid"))
        .arg("-d1")
        .env("DISTCC_CLIENT_TMP", root_folder)
        .env_remove("CPATH")
        // Not in the folders of whoever runs the tests.
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(File::create(tree.path("stdout")).unwrap())
        .stderr(File::create(tree.path("stderr")).unwrap());
    command
}

/// Whether there is such a process, zombies not counted.
pub(crate) fn is_running(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Names of an answer below `folder`: links with their targets behind ` -> `, folders that must
/// exist with a slash at the end. Default folders of the compiler are left out.
pub(crate) fn names_below(answer: &Answer, folder: &Path) -> Vec<String> {
    let below = |path: &Path| {
        let path = path.strip_prefix(folder).unwrap_or(path);
        path.to_str().unwrap().to_owned()
    };
    answer
        .iter()
        .filter(|(name, _)| name.starts_with(folder))
        .map(|(name, sent)| match sent {
            Sent::Link(target) => format!("{} -> {}", below(name), below(target)),
            Sent::File(_) if name.ends_with(MUST_EXIST) => {
                format!("{}/", below(name.parent().unwrap()))
            }
            Sent::File(_) => below(name),
        })
        .collect()
}

/// Rebuilds what a client sends as a server does, runs the command on it as distcc 3.4 does
/// (absolute folders and the source moved below the copy), and returns the preprocessed text
/// without line markers, in which no path of the copy may occur. An absolute source is the
/// last word.
pub(crate) fn preprocess_remotely(
    answer: &Answer,
    cwd: &Path,
    argv: &[OsString],
) -> Result<String, String> {
    let root = tempfile::tempdir_in("/tmp").unwrap();
    let below = |path: &Path| root.path().join(path.strip_prefix("/").unwrap());
    for (name, sent) in answer {
        let place = below(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        match sent {
            Sent::File(content) => fs::write(place, content).unwrap(),
            Sent::Link(text) if text.is_absolute() => symlink(below(text), place).unwrap(),
            Sent::Link(text) => symlink(text, place).unwrap(),
        }
    }
    fs::create_dir_all(below(cwd)).unwrap();
    let moved = |word: &OsString| -> OsString {
        let bytes = word.as_bytes();
        let skip = ["-isystem", "-iquote", "-idirafter", "-include", "-I"]
            .iter()
            .find(|option| bytes.starts_with(option.as_bytes()))
            .map_or(0, |option| option.len());
        let (option, path) = bytes.split_at(skip);
        if !path.starts_with(b"/") {
            return word.clone();
        }
        let mut word = OsStr::from_bytes(option).to_owned();
        word.push(below(Path::new(OsStr::from_bytes(path))));
        word
    };
    let text = preprocess(argv.iter().map(moved).collect(), &below(cwd))?;
    assert!(
        !text.contains(root.path().to_str().unwrap()),
        "a path of the server is visible: {text}"
    );
    Ok(text)
}

/// The preprocessed text, without line markers, of a command that runs where it should.
pub(crate) fn preprocess(argv: Vec<OsString>, cwd: &Path) -> Result<String, String> {
    let output = run(Command::new(&argv[0])
        .args(argv[1..].iter().filter(|word| *word != "-c"))
        .args(["-E", "-P", "-Wmissing-include-dirs"])
        .current_dir(cwd));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && stderr.is_empty() {
        // clang puts blanks in the place of a byte order mark.
        let text = String::from_utf8(output.stdout).unwrap();
        Ok(text
            .lines()
            .map(str::trim_start)
            .collect::<Vec<_>>()
            .join("\n"))
    } else {
        Err(stderr)
    }
}

pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}
