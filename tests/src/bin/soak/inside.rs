//! The course of a soak: build and disturb, let it calm down, look at what is left.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use end_to_end::chance::Chance;
use end_to_end::include_server::IncludeServer;
use end_to_end::tree::Tree;
use rustix::process::Signal;

use crate::aftermath::{check_gone, check_idle, mounts};
use crate::builder::{self, Site};
use crate::findings::Findings;
use crate::server::Server;
use crate::{nuisance, sources, trouble};

const BUILDERS: u64 = 4;

/// Runs it in namespaces that were made for it.
pub(crate) fn run(time: Duration, seed: u64) -> ExitCode {
    println!("soak for {} s, --seed {seed}", time.as_secs());
    let findings = Findings::default();
    let mounts_before = mounts();
    let tree = sources::write();
    let compiles = sources::compiles(&tree);
    let folder = Tree::for_everybody();
    let servers = [
        Server::start(&folder.path(), "sandboxed", "--sandbox=required"),
        Server::start(&folder.path(), "unsandboxed", "--sandbox=off"),
    ];
    let include_server = IncludeServer::start(Path::new("/usr/bin"));
    let socket = include_server.socket();
    let end = Instant::now() + time;
    let site = Site {
        tree: &tree,
        compiles: &compiles,
        servers: &servers,
        socket: &socket,
        findings: &findings,
    };
    std::thread::scope(|scope| {
        for number in 0..BUILDERS {
            let site = &site;
            scope.spawn(move || builder::build(site, number, Chance::new(seed, number), end));
        }
        let (servers, findings) = (&servers, &findings);
        scope.spawn(move || trouble::make(servers, findings, Chance::new(seed, 100), end));
        scope.spawn(move || nuisance::make(servers, findings, Chance::new(seed, 101), end));
    });
    // What killed servers have left is the next ones' to remove.
    for server in &servers {
        server.restart(Signal::TERM);
    }
    // They work again, whatever has been. Some clients are killed now, too, and some sources wrong.
    let right = || findings.counted("compiles with the right object");
    let before = right();
    for number in BUILDERS..BUILDERS + 20 {
        let end = Instant::now() + Duration::from_secs(5);
        builder::build(&site, number, Chance::new(seed, number), end);
        if right() > before {
            break;
        }
    }
    if right() == before {
        findings.wrong("nothing is compiled any more".into());
    }
    check_idle(&servers, &findings);
    for server in &servers {
        if !server.stop() {
            findings.wrong(format!("the {} server does not end", server.name));
        }
        let ok = server.log().matches(" COMPILE_OK ").count();
        println!("{ok:8} compiles on the {} server", server.name);
        if ok == 0 {
            findings.wrong(format!("the {} server has compiled nothing", server.name));
        }
    }
    drop(include_server.stop());
    check_gone(&servers, mounts_before, &findings);
    match findings.report() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
