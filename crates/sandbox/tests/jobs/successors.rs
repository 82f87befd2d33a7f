//! Jobs one after the other: they have one first process, and nothing else in common.

use sandbox::{Ended, Mode};

use crate::bench::{Bench, check};

/// Who the job is, and what it may use.
const SELF: &str = "ulimit -Sa; ulimit -Ha; nice; taskset -p $$ | sed 's/.*: //'; ionice; ls -A /tmp; \
                    set -- /proc/[0-9]*; echo $#; ls /proc/self/fd | wc -l; id; umask; \
                    sed -n '/Sig\\|Cap\\|NoNew\\|Seccomp/p' /proc/self/status";

pub(crate) fn the_next_job_finds_nothing_of_the_last() {
    let bench = Bench::new(Mode::Namespaces);
    let processes = "readlink /proc/self/ns/pid";
    let (_, first) = bench.script(processes);
    let (ended, before) = bench.script(SELF);
    assert!(matches!(ended, Ended::Normally { .. }), "{ended:?}");
    assert!(before.contains("nofiles"), "{before}");
    for attack in [
        "touch /tmp/left /tmp/.distccd/left; mkdir /tmp/folder; umask 0",
        "setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & exit 1",
        // Its first process has the same user.
        "for signal in KILL STOP TERM SEGV USR1 ALRM XCPU; do kill -$signal 1; done",
        "prlimit --pid 1 --nofile=3:3; prlimit --pid 1 --fsize=1:1; prlimit --pid 1 --cpu=1:1",
        "renice -n 10 -p 1; taskset -p 1 1; ionice -c 3 -p 1; chrt -b -p 0 1",
        "ulimit -n 5; ulimit -f 1; exec nice -n 5 true",
        "for file in environ mem root/x cwd/x fd/0 fd/3; do echo x >/proc/1/$file; cat /proc/1/$file; done",
        "echo 1000 >/proc/1/oom_score_adj; echo 1 >/proc/1/clear_refs; echo x >/proc/1/comm",
        "exec 3<>/dev/zero; no-such-program",
        "kill -TERM 1; kill -HUP 1; kill -INT 1; kill -QUIT 1",
        "kill -9 $$",
    ] {
        let (ended, output) = bench.script(attack);
        assert!(
            matches!(ended, Ended::Normally { .. }),
            "{attack}: {ended:?}: {output}"
        );
        let (_, after) = bench.script(SELF);
        assert_eq!(after, before, "{attack}: {output}");
    }
    // It was one first process all the time.
    check(&bench, processes, &first);
}

pub(crate) fn the_next_job_is_after_whatever_became_of_the_last() {
    let bench = Bench::new(Mode::Namespaces);
    for (script, cwd, what) in [
        ("echo", "/no/such/folder", "Misplaced"),
        (
            "head -c 100M /dev/zero | tr '\\0' x | sort -S 500M; sleep 100",
            "/tmp",
            "Exceeded",
        ),
        ("exit 3", "/tmp", "Normally"),
    ] {
        let (ended, output) = bench.run(script, cwd, "/");
        assert!(
            format!("{ended:?}").starts_with(what) || what == "Exceeded",
            "{ended:?}: {output}"
        );
        check(&bench, "echo next", "next\n");
    }
    drop(bench.start("sleep 1000", "/tmp", "/"));
    check(&bench, "echo next", "next\n");
}
