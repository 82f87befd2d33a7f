//! Builds whose hosts turn out to run actions, or not: plain entries of host lists, servers behind ssh, all in one list.
#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use end_to_end::client::Client;
use end_to_end::programs::{Side, command, ours, packaged};
use end_to_end::run::{Done, run, run_within};
use end_to_end::server::{Server, Setup};
use end_to_end::sshd::Sshd;
use end_to_end::tree::{Tree, snapshot};
use rustix::process::{Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(600);

/// A project of some sources that share headers, and a log of what became of each command.
struct Project {
    tree: Tree,
    sources: usize,
}

impl Project {
    fn new(sources: usize) -> Self {
        Self::within(Tree::new(), sources)
    }

    fn within(tree: Tree, sources: usize) -> Self {
        tree.write(
            "w/all.h",
            "#include <stdio.h>\n#include <string.h>\n#define ALL 3\n",
        );
        for number in 0..sources {
            let text = format!(
                "#include \"all.h\"\nint f{number}(const char *s) {{ return ALL * {number} + strlen(s); }}\n"
            );
            tree.write(format!("w/f{number}.c"), text);
        }
        tree.write(
            "w/Makefile",
            "all: $(patsubst %.c,%.o,$(wildcard *.c))\n%.o: %.c\n\t$(CC) -O1 -MMD -c $< -o $@\n",
        );
        Self { tree, sources }
    }

    /// All objects and dependency files, as they are made here.
    fn expected(&self) -> BTreeMap<String, Vec<u8>> {
        let mut make = command("make");
        run(make
            .args(["-j4", "CC=gcc"])
            .current_dir(self.tree.join("w")))
        .expect_success();
        let made = self.made();
        assert_eq!(made.len(), 2 * self.sources);
        self.clean();
        made
    }

    fn made(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.tree.join("w")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let of_build = |path: &Path| path.extension().is_some_and(|it| it == "o" || it == "d");
        let made = paths.filter(|path| of_build(path));
        made.map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
    }

    fn clean(&self) {
        for name in self.made().keys() {
            fs::remove_file(self.tree.join("w").join(name)).unwrap();
        }
    }

    fn client(&self, hosts: &str) -> Client {
        Client::of(Side::Ours, hosts)
            .with("DISTCC_VERBOSE", "1")
            .with("DISTCC_LOG", self.tree.join("log"))
            .with_actions()
    }

    /// A script below `pump`. Nothing is left behind it.
    #[track_caller]
    fn pump(&self, client: &Client, script: &str) -> Done {
        let mut pump = client.command(ours("pump"), &self.tree.join("w"));
        let done = run_within(pump.args(["sh", "-ec", script]), LIMIT);
        assert!(!self.log().contains("panicked"), "{}", self.log());
        let left = snapshot(&client.temp());
        assert!(left.is_empty(), "left in the client's folder: {left:?}");
        done
    }

    /// The same once somebody has said that it runs actions: on a busy machine that may take longer than compiles wait.
    #[track_caller]
    fn pump_actions(&self, client: &Client, script: &str) -> Done {
        self.tree.write("warm.c", "int warm;\n");
        let script = format!(
            "for i in $(seq 600); do
                distcc gcc -c ../warm.c -o ../warm.o
                if grep -q ': as an action' $DISTCC_LOG; then break; fi
                sleep 0.1
            done
            : > $DISTCC_LOG
            {script}"
        );
        self.pump(client, &script)
    }

    /// Builds all, so many compiles at a time, and counts those that ran as actions. All is what it is here.
    #[track_caller]
    fn build(&self, client: &Client, jobs: usize, actions: bool) -> usize {
        let expected = self.expected();
        let make = format!("make -j{jobs} 'CC=distcc gcc'");
        let done = match actions {
            true => self.pump_actions(client, &make),
            false => self.pump(client, &make),
        };
        let log = self.log();
        assert_eq!(done.code(), 0, "{}\n{log}", done.explain());
        let different: Vec<_> = expected
            .iter()
            .filter(|(name, content)| self.made().get(*name) != Some(*content))
            .map(|(name, _)| name)
            .collect();
        assert!(different.is_empty(), "{different:?}\n{log}");
        self.clean();
        self.actions()
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.tree.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn actions(&self) -> usize {
        self.log().matches(": as an action").count()
    }
}

/// `/LIMIT` and options behind a server's address.
fn entry(server: &Server, rest: &str) -> String {
    format!("127.0.0.1:{}{rest}", server.address().port())
}

#[test]
fn a_plain_host_that_is_ours_runs_actions() {
    for rest in ["", "/3", ",lzo", "/2,cpp,lzo"] {
        let (project, server) = (Project::new(8), Setup::of(Side::Ours).start());
        let client = project.client(&entry(&server, rest));
        let actions = project.build(&client, 8, true);
        assert_eq!(actions, 8, "{rest}: {}", project.log());
    }
}

/// A root has a `/dev` of its own; what lies in `/dev/shm` comes along all the same. Other engines may not do that.
#[test]
fn projects_in_memory_are_built_by_actions_of_ours() {
    let project = Project::within(Tree::in_memory(), 4);
    let server = Setup::of(Side::Ours).start();
    let actions = project.build(&project.client(&entry(&server, "/2")), 4, true);
    assert_eq!(actions, 4, "{}", project.log());

    project.tree.write("log", "");
    let engine = format!("grpc://127.0.0.1:{}", server.address().port());
    let client = project.client(&engine).with_fallback();
    assert_eq!(project.build(&client, 4, false), 0, "{}", project.log());
    let why = "engines may have their own /dev/shm";
    assert!(project.log().contains(why), "{}", project.log());
}

/// Compilers write the folder as `PWD` spells it into debug information.
#[test]
fn a_folder_behind_a_link_is_spelled_as_here() {
    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    project.tree.link("w", "link");
    project.tree.write("other/deep/x", "");
    project.tree.link("../../w", "other/deep/back");
    let script = "for cc in gcc clang; do for way in link other/deep/back link/../w; do
            cd ../$way
            $cc -g -c f0.c -o here.o
            distcc $cc -g -c f0.c -o there.o
            cmp here.o there.o
            cd \"$top\"
        done; done";
    let client = project.client(&entry(&server, ""));
    let script = format!("top=$PWD; {script}");
    let done = project.pump_actions(&client, &script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert_eq!(project.actions(), 6, "{}", project.log());
}

/// A server would take its own compiler of that name.
#[test]
fn a_compiler_that_is_a_script_runs_here() {
    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    let script = "mkdir bin; printf '#!/bin/sh\nexec /usr/bin/gcc -DWRAPPED \"$@\"\n' > bin/gcc; chmod +x bin/gcc
        printf '#ifdef WRAPPED\nint right;\n#endif\n' > a.c
        PATH=$PWD/bin:$PATH; distcc gcc -c a.c; nm a.o | grep right";
    let done = project.pump_actions(&project.client(&entry(&server, "")), script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    let log = project.log();
    assert!(
        log.contains("running locally: ") && log.contains("is a script"),
        "{log}"
    );
}

/// Servers have other clocks, other zones, and files of their own times.
#[test]
fn what_depends_on_the_time_is_no_action() {
    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    project
        .tree
        .write("w/a.c", "#define T __TIMESTAMP__\nchar *a = T;\n");
    project.tree.write("w/b.c", "char *b = B;\n");
    project.tree.write("w/d.c", "char *d = __DATE__;\n");
    let script = "touch -d @99999 a.c b.c d.c
        export TZ=Pacific/Kiritimati
        for cc in gcc clang; do
            distcc $cc -c a.c -o there.o; $cc -c a.c -o here.o; cmp here.o there.o
            distcc $cc -DB=__TIMESTAMP__ -c b.c -o there.o
            $cc -DB=__TIMESTAMP__ -c b.c -o here.o; cmp here.o there.o
            $cc -c d.c -o old.o; distcc $cc -c d.c -o there.o; $cc -c d.c -o here.o
            cmp here.o there.o || cmp old.o there.o
        done";
    let done = project.pump_actions(&project.client(&entry(&server, "")), script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert_eq!(project.actions(), 0, "{}", project.log());
    assert!(
        project.log().contains("__TIMESTAMP__ may be in it"),
        "{}",
        project.log()
    );
}

/// As Buildroot has its cross compilers.
#[test]
fn a_compiler_that_a_program_starts_with_options_of_its_own_comes_along() {
    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    project.tree.write(
        "w/wrapper.c",
        "#include <unistd.h>
        int main(int count, char **words) {
            char *all[count + 2];
            all[0] = REAL; all[1] = \"-DWRAPPED\";
            for (int at = 1; at <= count; at++) all[at + 1] = words[at];
            execv(all[0], all);
            return 1;
        }\n",
    );
    project
        .tree
        .write("w/a.c", "#ifdef WRAPPED\n#include \"b.h\"\n#endif\n");
    project.tree.write("w/b.h", "int right;\n");
    let script = "mkdir bin
        gcc -DREAL=\"\\\"$(command -v gcc)\\\"\" -o bin/cross-gcc wrapper.c
        PATH=$PWD/bin:$PATH
        cross-gcc -g -c a.c -o here.o; distcc cross-gcc -g -c a.c -o there.o
        cmp here.o there.o; nm there.o | grep right";
    let done = project.pump_actions(&project.client(&entry(&server, "")), script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert_eq!(project.actions(), 1, "{}", project.log());
}

/// Builds that make their own compiler have its folder in front from the start.
#[test]
fn a_compiler_that_comes_to_stand_earlier_in_the_path_is_the_one() {
    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    let script = "mkdir bin; PATH=$PWD/bin:$PATH
        distcc gcc -c f0.c -o there.o; gcc -c f0.c -o here.o; cmp here.o there.o
        ln -s \"$(command -v clang)\" bin/gcc; hash -r
        distcc gcc -c f0.c -o there2.o; gcc -c f0.c -o here2.o; cmp here2.o there2.o
        ! cmp -s here.o here2.o";
    let done = project.pump_actions(&project.client(&entry(&server, "")), script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert_eq!(project.actions(), 2, "{}", project.log());
}

#[test]
fn a_compile_that_must_fail_says_what_the_compiler_says_here() {
    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    let script = "printf '#include \"none.h\"\n' > a.c
        gcc -c a.c 2> here && exit 1; distcc gcc -c a.c 2> there && exit 1
        grep -v 'ERROR: compile a.c on localhost failed' there | diff here - >&2";
    let client = project.client(&entry(&server, ""));
    // Messages of ours would go to the log.
    let client = client.with("DISTCC_VERBOSE", "0").with("DISTCC_LOG", "");
    let done = project.pump(&client, &format!("sleep 1; {script}"));
    assert_eq!(done.code(), 0, "{}", done.explain());
}

#[test]
fn a_host_that_is_down_does_not_keep_pump_from_building() {
    let project = Project::new(2);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = free.local_addr().unwrap().to_string();
    drop(free);
    let client = project.client(&host).with_fallback();
    let done = project.pump(&client, "make 'CC=distcc gcc'");
    assert_eq!(done.code(), 0, "{}", done.explain());
    assert_eq!(project.made().len(), 4);
    let said = done.text().1;
    assert!(said.contains(&format!("no answer from {host}")), "{said}");
}

/// With engines alone, what they said is the reason.
#[test]
fn what_an_engine_said_is_why_a_compile_runs_here() {
    let project = Project::new(1);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let engine = format!("grpc://{}", free.local_addr().unwrap());
    drop(free);
    let client = project.client(&engine).with_fallback();
    assert_eq!(project.build(&client, 1, false), 0);
    let (log, why) = (
        project.log(),
        format!("running locally: {engine}: not reachable: "),
    );
    assert!(log.contains(&why), "{log}");

    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    let engine = format!("grpc://127.0.0.1:{}", server.address().port());
    let client = project.client(&engine).with_fallback();
    let script = "mkdir f0.o; if distcc gcc -c f0.c; then exit 9; fi";
    let done = project.pump(&client, script);
    assert_eq!(done.code(), 0, "{}", done.explain());
    let (log, why) = (
        project.log(),
        "running locally: failed to write f0.o from grpc://",
    );
    assert!(log.contains(why), "{log}");
}

#[test]
fn who_does_not_want_actions_gets_none() {
    let (project, server) = (Project::new(4), Setup::of(Side::Ours).start());
    let client = project.client(&server.host(3)).with("PUMP_ACTIONS", "0");
    assert_eq!(project.build(&client, 4, false), 0);
    assert!(!server.cache().join("blobs").exists());
    server.expect_jobs("COMPILE_OK", 4);

    let (project, server) = (
        Project::new(4),
        Setup::of(Side::Ours).option("--remote-exec=off").start(),
    );
    let client = project.client(&server.host(3));
    assert_eq!(project.build(&client, 4, false), 0);
    server.expect_jobs("COMPILE_OK", 4);
    assert!(server.log().contains("got \"PRI \""), "{}", server.log());
}

#[test]
fn a_list_without_pump_mode_needs_a_server_that_runs_actions() {
    let project = Project::new(4);
    for (side, code) in [(Side::Ours, 0), (Side::Packaged, 1)] {
        let server = Setup::of(side).start();
        let client = project.client(&server.host(1));
        let make = "make -j4 'CC=distcc gcc'";
        let done = match side {
            Side::Ours => project.pump_actions(&client, make),
            Side::Packaged => project.pump(&client, make),
        };
        assert_eq!(done.code(), code, "{}", done.explain());
        let says = done
            .text()
            .1
            .contains("does not contain any hosts with ',cpp' option");
        assert_eq!(says, code != 0, "{}", done.explain());
        assert_eq!(project.actions(), 4);
    }
}

#[test]
fn a_stock_server_is_asked_once_and_compiles_as_ever() {
    let (project, server) = (Project::new(12), Setup::of(Side::Packaged).start());
    let client = project.client(&server.host(3));
    assert_eq!(project.build(&client, 4, false), 0);
    server.expect_jobs("COMPILE_OK", 12);
    assert_eq!(
        server.log().matches("PRI * HTTP/2.0").count(),
        1,
        "{}",
        server.log()
    );
}

#[test]
fn stock_servers_and_ours_compile_in_one_build() {
    let project = Project::new(40);
    let (ours, stock) = (
        Setup::of(Side::Ours).start(),
        Setup::of(Side::Packaged).start(),
    );
    let hosts = [entry(&stock, "/2,lzo,cpp"), entry(&ours, "/2,lzo,cpp")].join(" ");
    let actions = project.build(&project.client(&hosts), 8, true);
    let log = project.log();
    assert_eq!(log.matches("ran on 127.0.0.1").count(), 40, "{log}");
    assert!((1..40).contains(&actions), "{}", project.log());
}

#[test]
fn a_private_server_runs_actions() {
    let project = Project::new(6);
    let client = project.client("").with("PUMP_PRIVATE_SERVER", "1");
    assert_eq!(project.build(&client, 4, true), 6, "{}", project.log());
}

#[test]
fn monitors_show_actions() {
    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    let client = project.client(&entry(&server, "/4,lzo,cpp"));
    let pid = server.pid().as_raw_nonzero();
    let monitors = [ours("distccmon-text"), packaged("distccmon-text")];
    let [ours, theirs] = monitors.each_ref().map(|monitor| monitor.display());
    let script = format!(
        "kill -STOP {pid}; distcc gcc -c f0.c &
        for i in $(seq 100); do {ours} >shown; grep -q f0 shown && break; sleep 0.1; done
        {theirs} >>shown; kill -CONT {pid}; wait $!; {ours} >after; {theirs} >>after"
    );
    let done = project.pump_actions(&client, &script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    let said = |name: &str| fs::read_to_string(project.tree.join("w").join(name)).unwrap();
    let shown = said("shown");
    let lines: Vec<Vec<&str>> = shown
        .lines()
        .map(|it| it.split_whitespace().collect())
        .filter(|it: &Vec<&str>| !it.is_empty())
        .collect();
    assert_eq!(lines.len(), 2, "{shown}");
    for line in lines {
        assert_eq!(line[1..], ["Compile", "f0.c", "127.0.0.1[0]"], "{shown}");
    }
    assert_eq!(said("after").trim(), "");
    assert_eq!(project.actions(), 1, "{}", project.log());
}

/// Editors and containers take many of the 128 queues that a user may have.
#[test]
fn without_a_queue_of_changes_they_are_looked_for() {
    let (project, server) = (Project::new(3), Setup::of(Side::Ours).start());
    let client = project.client(&entry(&server, ",lzo,cpp"));
    let script = "distcc gcc -c f0.c -o before.o
        sed -i 's/ALL 3/ALL 4/' all.h
        distcc gcc -c f0.c -o after.o
        gcc -c f0.c -o here.o; cmp after.o here.o";
    let mut pump = client.command("unshare", &project.tree.join("w"));
    pump.args(["-Ur", "sh", "-ec"])
        .arg("echo 0 >/proc/sys/user/max_inotify_instances; exec \"$@\"")
        .args(["sh", ours("pump").to_str().unwrap(), "sh", "-ec", script]);
    let done = run_within(&mut pump, LIMIT);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert_eq!(project.actions(), 2, "{}", project.log());
    let (_, said) = done.text();
    let warnings = said.matches("WARNING include server: inotify: Too many open files");
    assert_eq!(warnings.count(), 1, "{said}");
}

/// One login for all actions of a build, and as many as there are compiles for a server that knows none.
#[test]
fn all_actions_go_over_one_ssh() {
    for side in [Side::Ours, Side::Packaged] {
        let (project, sshd) = (Project::new(10), Sshd::start());
        let host = format!("@build/4:{},lzo,cpp", side.distccd().display());
        let client = project.client(&host).with("DISTCC_SSH", sshd.ssh());
        let is_ours = side == Side::Ours;
        let actions = project.build(&client, 4, is_ours);
        assert_eq!(actions, if is_ours { 10 } else { 0 }, "{}", project.log());
        let log = sshd.log();
        let logins = log.matches("Accepted publickey").count();
        // Compiles that came before it had said what it is had one each, too.
        let most = if is_ours { 10 } else { 11 };
        assert!((1..=most).contains(&logins), "{logins}: {log}");
        assert!(is_ours || logins == 11, "{logins}: {log}");
    }
}

#[test]
fn a_server_that_dies_in_the_middle_costs_no_more_than_time() {
    let project = Project::new(20);
    let servers = [(); 2].map(|()| Setup::of(Side::Ours).start());
    let hosts = servers
        .each_ref()
        .map(|server| entry(server, "/2,lzo,cpp"))
        .join(" ");
    let expected = project.expected();
    let pid = servers[0].pid().as_raw_nonzero();
    let script = format!("(sleep 0.3; kill -9 {pid}) & make -j4 'CC=distcc gcc'; wait");
    let client = project.client(&hosts).with_fallback();
    let client = client.with("PUMP_RACE", "0");
    let done = project.pump_actions(&client, &script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert!(project.made() == expected, "{}", project.log());
    assert!(project.actions() > 10, "{}", project.log());
}

/// A server that is stopped holds its connections, and says nothing.
#[test]
fn a_server_that_stops_in_the_middle_costs_no_more_than_time() {
    let project = Project::new(40);
    let servers = [(); 2].map(|()| Setup::of(Side::Ours).start());
    let hosts = servers
        .each_ref()
        .map(|server| entry(server, "/2,lzo,cpp"))
        .join(" ");
    let expected = project.expected();
    // Once enough is known of what is usual.
    let script = stopped_after_thirty(&servers[0], "make -j4 'CC=distcc gcc'");
    let client = project.client(&hosts).with_fallback();
    let client = client.with("PUMP_RACE", "0");
    let done = project.pump_actions(&client, &script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert!(project.made() == expected, "{}", project.log());
    assert_eq!(project.actions(), 40, "{}", project.log());
}

/// Makes thirty files, then the rest while this server is stopped, which is as slow as can be.
fn stopped_after_thirty(server: &Server, rest: &str) -> String {
    let pid = server.pid().as_raw_nonzero();
    format!(
        "make -j4 'CC=distcc gcc' $(seq -f f%g.o 0 29)
        kill -STOP {pid}
        {rest}
        kill -CONT {pid}"
    )
}

/// Without any other server, such compiles end here.
#[test]
fn the_only_server_may_stop_too() {
    let (project, server) = (Project::new(34), Setup::of(Side::Ours).start());
    let expected = project.expected();
    let script = stopped_after_thirty(&server, "make -j4 'CC=distcc gcc'");
    let client = project.client(&entry(&server, ",lzo,cpp"));
    // For those that went there the old way.
    let client = client.with_fallback().with("DISTCC_IO_TIMEOUT", "20");
    let client = client.with("PUMP_RACE", "0");
    let done = project.pump_actions(&client, &script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert!(project.made() == expected, "{}", project.log());
    assert!(project.actions() >= 20, "{}", project.log());
}

#[test]
fn what_takes_long_elsewhere_is_run_here_too() {
    let (project, server) = (Project::new(50), Setup::of(Side::Ours).start());
    let expected = project.expected();
    let script = stopped_after_thirty(&server, "make -j2 'CC=distcc gcc'");
    let client = project.client(&entry(&server, "/4,lzo,cpp"));
    let done = project.pump_actions(&client.with_fallback(), &script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert!(project.made() == expected, "{}", project.log());
    let here = "running locally: it ended here before it did elsewhere";
    assert!(
        project.log().matches(here).count() >= 15,
        "{}",
        project.log()
    );
    let (said, _) = done.text();
    assert!(said.contains(" were begun here, too: "), "{said}");
}

/// Who ends ccache's kin does not end what they have done elsewhere.
#[test]
fn what_a_launcher_would_do_is_not_begun_here_too() {
    let (project, server) = (Project::new(32), Setup::of(Side::Ours).start());
    let expected = project.expected();
    let rest = "mkdir mask; ln -s /usr/bin/ccache mask/gcc
        PATH=$PWD/mask:$PATH CCACHE_DISABLE=1 make -j2 'CC=distcc gcc'";
    let script = stopped_after_thirty(&server, rest);
    let client = project.client(&entry(&server, "/4,lzo,cpp"));
    let done = project.pump_actions(&client.with_fallback(), &script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert!(project.made() == expected, "{}", project.log());
    // Those that make had while the server was stopped; the others are no launcher's.
    let is_begun = |line: &str| {
        line.contains("exec on localhost, too")
            && [" f30.c", " f31.c"].iter().any(|name| line.contains(name))
    };
    assert!(!project.log().lines().any(is_begun), "{}", project.log());
}

/// There are no other processors than those.
#[test]
fn what_takes_long_on_a_private_server_is_not_run_here_too() {
    let project = Project::new(1);
    let client = project.client("").with("PUMP_PRIVATE_SERVER", "1");
    // Longer than it takes until compiles elsewhere would be begun here.
    let script = "
        kill -STOP $(cat $(dirname $INCLUDE_SERVER_PORT)/distccd.pid)
        (sleep 5; kill -CONT $(cat $(dirname $INCLUDE_SERVER_PORT)/distccd.pid)) &
        distcc gcc -c f0.c; wait";
    let done = project.pump_actions(&client.with_fallback(), script);
    assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
    assert!(
        !project.log().contains("exec on localhost, too"),
        "{}",
        project.log()
    );
    assert_eq!(project.actions(), 1, "{}", project.log());
}

/// It takes connections, as the kernel does for it, and has never said what it is: nobody waits for it to say more.
#[test]
fn a_server_that_was_stopped_before_the_build_keeps_no_compile_waiting() {
    for has_stock in [false, true] {
        let (project, stopped) = (Project::new(12), Setup::of(Side::Ours).start());
        let stock = Setup::of(Side::Packaged).start();
        let expected = project.expected();
        let mut hosts = vec![entry(&stopped, "/4,lzo,cpp")];
        hosts.extend(has_stock.then(|| entry(&stock, "/4,lzo,cpp")));
        let client = project.client(&hosts.join(" "));
        // Whoever waits for it waits longer than this test may take.
        let client = client.with_fallback().with("DISTCC_IO_TIMEOUT", "100000");
        kill_process(stopped.pid(), Signal::STOP).unwrap();
        let done = project.pump(&client, "make -j4 'CC=distcc gcc'");
        kill_process(stopped.pid(), Signal::CONT).unwrap();
        assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
        assert!(project.made() == expected, "{}", project.log());
        if has_stock {
            stock.expect_jobs("COMPILE_OK", 12);
        }
    }
}

/// Whoever else opens a pipe takes from it what is the compiler's, or waits for ever.
#[test]
fn pipes_are_read_by_the_compile_alone() {
    let (project, server) = (Project::new(1), Setup::of(Side::Ours).start());
    let script = "mkfifo pipe.c pipe.h; echo '#include \"pipe.h\"' >b.c
        text='int f;'
        gcc -c -o here.o -x c - <<<$text
        for words in pipe.c b.c '-include pipe.h f0.c' '-x c /dev/fd/3'; do
            for pipe in pipe.c pipe.h; do
                case $words in *$pipe*|b.c) ;; *) continue; esac
                case $words in b.c) pipe=pipe.h; esac
                echo $text >$pipe & break
            done
            timeout 30 distcc gcc -c $words -o there.o 3< <(echo $text)
            wait
            nm there.o | grep ' f$'
        done
        timeout 30 distcc gcc -c f0.c";
    for actions in ["0", "1"] {
        let client = project.client(&entry(&server, ",lzo,cpp")).with_fallback();
        let client = client.with("PUMP_ACTIONS", actions);
        let script = format!("bash -ec '{}'", script.replace('\'', "'\\''"));
        let script = format!("rm -f pipe.*; {script}");
        let done = project.pump(&client, &script);
        assert_eq!(done.code(), 0, "{}\n{}", done.explain(), project.log());
        let (said, _) = done.text();
        assert_eq!(said.matches(" f\n").count(), 4, "{said}");
    }
}
