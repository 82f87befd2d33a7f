//! Our programs against Debian's distcc 3.4, in each direction and each protocol.
//!
//! Every case is compiled twice in the same folder: by the compiler alone, and through client and
//! server. Both must give the same files, messages and exit code. Where 3.4 is known to do
//! something else, that is asserted instead, so that a test tells when it no longer holds; and
//! the pairs of 3.4 with itself show that what we expect of it is what it does.
//!
//! - `cases`: what is compiled, and what is known to differ;
//! - `compare`: when two compiles are the same.

mod cases;
mod compare;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

use end_to_end::client::Client;
use end_to_end::compilers::write_compiler;
use end_to_end::include_server::IncludeServer;
use end_to_end::programs::{Side, command};
use end_to_end::run::{PATH, run, wait_until};
use end_to_end::server::{Server, Setup};
use end_to_end::tree::{Tree, snapshot};

use cases::Case;
use compare::Observed;

/// Who talks to whom, in which protocol. In protocol 3 the include server is always ours: the
/// packaged one does not work.
#[derive(Clone, Copy, Debug)]
struct Pair {
    client: Side,
    server: Side,
    protocol: u32,
}

impl Pair {
    fn is_plain(self) -> bool {
        self.protocol < 3
    }

    fn has_packaged_client(self) -> bool {
        self.client == Side::Packaged
    }

    fn has_packaged_server(self) -> bool {
        self.server == Side::Packaged
    }
}

macro_rules! pairs {
    ($($name:ident: $client:ident $server:ident $protocol:literal;)*) => {
        $(
            #[test]
            fn $name() {
                check(Pair {
                    client: Side::$client,
                    server: Side::$server,
                    protocol: $protocol,
                });
            }
        )*
    };
}

pairs! {
    our_client_and_our_server_in_protocol_1: Ours Ours 1;
    our_client_and_our_server_in_protocol_2: Ours Ours 2;
    our_client_and_our_server_in_protocol_3: Ours Ours 3;
    our_client_and_packaged_server_in_protocol_1: Ours Packaged 1;
    our_client_and_packaged_server_in_protocol_2: Ours Packaged 2;
    our_client_and_packaged_server_in_protocol_3: Ours Packaged 3;
    packaged_client_and_our_server_in_protocol_1: Packaged Ours 1;
    packaged_client_and_our_server_in_protocol_2: Packaged Ours 2;
    packaged_client_and_our_server_in_protocol_3: Packaged Ours 3;
    packaged_client_and_packaged_server_in_protocol_1: Packaged Packaged 1;
    packaged_client_and_packaged_server_in_protocol_2: Packaged Packaged 2;
    packaged_client_and_packaged_server_in_protocol_3: Packaged Packaged 3;
}

/// Runs all cases and shows all that went wrong.
fn check(pair: Pair) {
    let bench = Bench::new(pair);
    let cases = cases::all();
    let failures: Vec<String> = cases.iter().flat_map(|case| bench.check(case)).collect();
    assert!(
        failures.is_empty(),
        "{} failures in {} cases:\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    if pair.server == Side::Ours {
        bench.server.wait_for_clean_scratch();
    }
    if let Some(include_server) = bench.include_server {
        include_server.forget_discrepancies();
        let left = include_server.stop();
        assert!(left.is_empty(), "left by the include server: {left:?}");
    }
}

/// What all cases of a pair share.
struct Bench {
    pair: Pair,
    server: Server,
    include_server: Option<IncludeServer>,
    /// Compilers that client and server have.
    everywhere: Tree,
    /// Compilers that only the client has.
    client_only: Tree,
}

impl Bench {
    fn new(pair: Pair) -> Self {
        let everywhere = Tree::new();
        write_compiler(&everywhere, "dying-gcc", "kill -KILL $$");
        let client_only = Tree::new();
        write_compiler(&client_only, "my-gcc", "exec gcc \"$@\"");
        let both = [everywhere.path(), client_only.path()].map(OsString::from);
        let programs = both.join(OsStr::new(":"));
        Self {
            pair,
            server: Setup::of(pair.server)
                .with_programs(everywhere.path())
                .start(),
            include_server: (pair.protocol == 3)
                .then(|| IncludeServer::start(Path::new(&programs))),
            everywhere,
            client_only,
        }
    }

    fn check(&self, case: &Case) -> Vec<String> {
        let fallback = case.fails().then(|| self.check_once(case, true));
        let failures = [Some(self.check_once(case, false)), fallback];
        failures.into_iter().flatten().flatten().collect()
    }

    /// `fallback`: the client may compile locally after a failure.
    fn check_once(&self, case: &Case, fallback: bool) -> Option<String> {
        let (tree, argv) = lay_out(case);
        let before = tree.snapshot();
        let done = run(&mut self.alone(case, &argv, &tree));
        let local = Observed::new(done, tree.take_changes(&before));

        let compiled = self.compiled();
        let client = self.client(case, fallback);
        let done = run(&mut client.distcc(&argv, &tree.path()));
        let through = Observed::new(done, tree.take_changes(&before));

        let mut wrong = compare::differences(self.pair, case, fallback, &local, &through);
        if case.known(self.pair).is_none() && wrong.is_empty() {
            wrong.extend(self.miscounted(case, compiled));
            wrong.extend(self.leak(&through));
        }
        let left = snapshot(&client.temp());
        if !left.is_empty() {
            wrong.push(format!("left by the client: {left:?}"));
        }
        let fallback = if fallback { ", with fallback" } else { "" };
        (!wrong.is_empty()).then(|| {
            format!(
                "== {} ({:?}{fallback})\n{}\nalone: {}\nthrough distcc: {}",
                case.name,
                self.pair,
                wrong.join("\n"),
                local.show(),
                through.show()
            )
        })
    }

    fn alone(&self, case: &Case, argv: &[OsString], tree: &Tree) -> Command {
        let path = self.path();
        let mut alone = command(find(&argv[0], &path));
        alone
            .args(&argv[1..])
            .current_dir(tree.path())
            .env("PATH", &path)
            .envs(case.variables.iter().copied());
        alone
    }

    fn client(&self, case: &Case, fallback: bool) -> Client {
        let hosts = self.server.host(self.pair.protocol);
        let mut client = Client::of(self.pair.client, &hosts).with("PATH", self.path());
        for (name, value) in &case.variables {
            client = client.with(name, value);
        }
        if let Some(include_server) = &self.include_server {
            include_server.forget_discrepancies();
            client = client.with("INCLUDE_SERVER_PORT", include_server.socket());
        }
        match fallback {
            true => client.with_fallback(),
            false => client,
        }
    }

    /// Of client and local compile.
    fn path(&self) -> OsString {
        [
            self.everywhere.path().into_os_string(),
            self.client_only.path().into_os_string(),
            PATH.into(),
        ]
        .join(OsStr::new(":"))
    }

    /// Whether the server had more or less to do than it should; `compiled` is what it had done
    /// before.
    fn miscounted(&self, case: &Case, compiled: usize) -> Option<String> {
        let due = usize::from(case.is_sent(self.pair));
        wait_until(
            || (self.compiled() >= compiled + due).then_some(()),
            || {
                format!(
                    "{}: no compile in the log:\n{}",
                    case.name,
                    self.server.log()
                )
            },
        );
        let count = self.compiled() - compiled;
        (count != due).then(|| format!("the server compiled {count} times, due: {due}"))
    }

    /// Compiles that the server has run.
    fn compiled(&self) -> usize {
        let jobs = self.server.jobs();
        jobs.iter()
            .filter(|job| job.starts_with("COMPILE_"))
            .count()
    }

    /// Our server leaves no path of its own anywhere. 3.4 does, in pump mode.
    fn leak(&self, through: &Observed) -> Option<String> {
        let scratch = self.server.scratch();
        let is_named = through.mentions(scratch.as_os_str().as_bytes());
        (!self.pair.has_packaged_server() && is_named)
            .then(|| "the server's scratch folder is named".into())
    }
}

/// Writes a case's files, and returns its command.
fn lay_out(case: &Case) -> (Tree, Vec<OsString>) {
    let tree = Tree::new();
    for (name, content) in &case.files {
        tree.write(name, insert_place(content, &tree));
    }
    for (target, name) in &case.links {
        tree.link(target, name);
    }
    let words = case.argv.iter();
    let argv = words.map(|word| OsString::from_vec(insert_place(word.as_bytes(), &tree)));
    let argv = argv.collect();
    (tree, argv)
}

/// `@HERE@` stands for the folder of the case.
fn insert_place(text: &[u8], tree: &Tree) -> Vec<u8> {
    const MARK: &[u8] = b"@HERE@";
    let mut rest = text;
    let mut result = Vec::new();
    while let Some(at) = rest.windows(MARK.len()).position(|part| part == MARK) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(tree.path().as_os_str().as_bytes());
        rest = &rest[at + MARK.len()..];
    }
    result.extend_from_slice(rest);
    result
}

/// A program in a search path that is not ours.
fn find(name: &OsStr, path: &OsStr) -> OsString {
    let folders = path.as_bytes().split(|&byte| byte == b':');
    let files = folders.map(|folder| Path::new(OsStr::from_bytes(folder)).join(name));
    let found = files.into_iter().find(|file| file.is_file());
    found
        .unwrap_or_else(|| panic!("no {}", name.display()))
        .into()
}
