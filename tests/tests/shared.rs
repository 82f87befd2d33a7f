//! A folder `$DISTCC_DIR` that our clients share with packaged ones which run at the same time:
//! slots, back-off, and what monitors show.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use end_to_end::client::{Client, records};
use end_to_end::compilers::write_compiler;
use end_to_end::port::Port;
use end_to_end::programs::{Side, command, ours, packaged};
use end_to_end::run::{LIMIT, run, wait, wait_until};
use end_to_end::server::Setup;
use end_to_end::tree::{Tree, snapshot};

/// What clients of both sides share.
struct Shared {
    programs: Tree,
    /// What compilers on any machine leave here.
    signs: Tree,
    state: Tree,
}

impl Shared {
    /// With a compiler that does this first; `$signs` is the folder for signs.
    fn new(commands: &str) -> Self {
        let (programs, signs) = (Tree::new(), Tree::for_everybody());
        for folder in ["running", "seen", "started"] {
            let folder = signs.folder(folder);
            fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o1777))
                .unwrap();
        }
        let head = format!("signs='{}'\n", signs.path().display());
        write_compiler(
            &programs,
            "my-gcc",
            &format!("{head}{commands}\nexec gcc \"$@\""),
        );
        Self {
            programs,
            signs,
            state: Tree::new(),
        }
    }

    fn client(&self, side: Side, hosts: &str) -> Client {
        Client::of(side, hosts)
            .with("DISTCC_DIR", self.state.path())
            .with("DISTCC_PAUSE_TIME_MSEC", "20")
            .with_programs(&self.programs.path())
    }

    /// Compiles `NAME.c` in the background.
    fn start(&self, side: Side, hosts: &str, name: &str) -> Job {
        let tree = Tree::new();
        tree.write(format!("{name}.c"), "int f(void) { return 3; }\n");
        let client = self.client(side, hosts);
        let argv = ["my-gcc", "-c", &format!("{name}.c"), "-o", "a.o"].map(OsString::from);
        let mut distcc = client.distcc(&argv, &tree.path());
        distcc.stdin(Stdio::null()).stdout(Stdio::null());
        distcc.stderr(fs::File::create(tree.join("stderr")).unwrap());
        Job {
            child: distcc.spawn().unwrap(),
            tree,
            _client: client,
        }
    }
}

/// A compile in the background.
struct Job {
    child: Child,
    tree: Tree,
    _client: Client,
}

impl Job {
    #[track_caller]
    fn expect_object(mut self) {
        let status = wait(&mut self.child, LIMIT).expect("the client does not end");
        let said = fs::read_to_string(self.tree.join("stderr")).unwrap();
        assert!(status.success(), "{status}: {said}");
        assert!(self.tree.join("a.o").is_file(), "{said}");
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It has ended where all went well.
        let _ = self.child.wait();
    }
}

/// Counts those that run at the same time.
const COUNTING: &str = "touch $signs/running/$$\n\
                        ls $signs/running | wc -l >$signs/seen/$$\n\
                        sleep 0.1\n\
                        rm $signs/running/$$";

/// The most compilers that ran at a time, and how many ran in all.
fn most_at_once(shared: &Shared) -> (u32, usize) {
    let seen = snapshot(&shared.signs.join("seen"));
    let counts = seen.keys().map(|name| {
        let count = fs::read_to_string(shared.signs.join("seen").join(name)).unwrap();
        count.trim().parse::<u32>().unwrap()
    });
    (counts.max().unwrap_or(0), seen.len())
}

#[test]
fn a_hosts_slots_are_counted_together() {
    let shared = Shared::new(COUNTING);
    let server = Setup::of(Side::Ours)
        .without_sandbox()
        .jobs(20)
        .with_programs(shared.programs.path())
        .start();
    let hosts = format!("{}/3,lzo", server.address());
    let jobs: Vec<Job> = (0..14)
        .map(|number| {
            let side = [Side::Ours, Side::Packaged][number % 2];
            shared.start(side, &hosts, &format!("part{number}"))
        })
        .collect();
    jobs.into_iter().for_each(Job::expect_object);
    server.expect_jobs("COMPILE_OK", 14);
    let (most, all) = most_at_once(&shared);
    assert_eq!(all, 14);
    assert!(most <= 3, "{most} at once");
}

#[test]
fn this_machines_slots_are_counted_together() {
    let shared = Shared::new(COUNTING);
    let jobs: Vec<Job> = (0..12)
        .map(|number| {
            let side = [Side::Ours, Side::Packaged][number % 2];
            shared.start(side, "localhost/2", &format!("part{number}"))
        })
        .collect();
    jobs.into_iter().for_each(Job::expect_object);
    let (most, all) = most_at_once(&shared);
    assert_eq!(all, 12);
    assert!(most <= 2, "{most} at once");
}

#[test]
fn a_host_that_failed_one_side_is_left_alone_by_the_other() {
    for (first, second) in [(Side::Ours, Side::Packaged), (Side::Packaged, Side::Ours)] {
        let shared = Shared::new("");
        let dead = Port::keep();
        let address = format!("127.0.0.1:{}", dead.number);
        let compile = |side: Side| {
            let tree = Tree::new();
            tree.write("a.c", "int f(void) { return 3; }\n");
            let client = shared.client(side, &address).with_fallback();
            let argv = ["gcc", "-c", "a.c"].map(OsString::from);
            let done = run(&mut client.distcc(&argv, &tree.path())).expect_success();
            done.text().1
        };
        assert!(compile(first).contains("Connection refused"), "{first:?}");
        let said = compile(second);
        assert!(said.contains("failed to distribute"), "{second:?}: {said}");
        assert!(!said.contains("Connection refused"), "{second:?}: {said}");
    }
}

#[test]
fn monitors_of_both_sides_show_clients_of_both() {
    let shared = Shared::new(
        "touch $signs/started/$$\n\
         while ! [ -e $signs/go ]; do sleep 0.02; done",
    );
    let server = Setup::of(Side::Ours)
        .without_sandbox()
        .with_programs(shared.programs.path())
        .start();
    let remote = format!("{}/2", server.address());
    let jobs = [
        shared.start(Side::Ours, &remote, "ours"),
        shared.start(Side::Packaged, &remote, "packaged"),
        shared.start(Side::Ours, "localhost/2", "ours_here"),
        shared.start(Side::Packaged, "localhost/2", "packaged_here"),
    ];
    let shown = |monitor: PathBuf| {
        let mut monitor = command(monitor);
        monitor.env("DISTCC_DIR", shared.state.path());
        let done = run(&mut monitor).expect_success();
        done.text().0
    };
    // All four are compiling some time after their compilers have started.
    let text = wait_until(
        || {
            let text = shown(packaged("distccmon-text"));
            (text.matches("  Compile ").count() == 4).then_some(text)
        },
        || {
            let started = snapshot(&shared.signs.join("started")).len();
            format!(
                "{started} of 4 have started: {}",
                shown(packaged("distccmon-text"))
            )
        },
    );
    assert_eq!(shown(ours("distccmon-text")), text);
    let mut places: Vec<(String, String)> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[2].to_owned(), words[3].to_owned())
        })
        .collect();
    places.sort();
    let files: Vec<&str> = places.iter().map(|(file, _)| file.as_str()).collect();
    assert_eq!(
        files,
        ["ours.c", "ours_here.c", "packaged.c", "packaged_here.c"]
    );
    let mut slots: Vec<&str> = places.iter().map(|(_, slot)| slot.as_str()).collect();
    slots.sort_unstable();
    assert_eq!(
        slots,
        [
            "127.0.0.1[0]",
            "127.0.0.1[1]",
            "localhost[0]",
            "localhost[1]"
        ]
    );
    shared.signs.write("go", "");
    jobs.into_iter().for_each(Job::expect_object);
    assert_eq!(shown(packaged("distccmon-text")).trim(), "");
    assert_eq!(shown(ours("distccmon-text")).trim(), "");
    assert_eq!(records(&shared.state.path()), [""; 0]);
}
