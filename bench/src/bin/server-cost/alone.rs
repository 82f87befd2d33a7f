//! The stand-in compiler started as any program, and in the sandbox: what is between them is the sandbox's.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bench::{Failure, meter};
use end_to_end::tree::Tree;
use sandbox::{Config, Ended, Job, Limits, Mode, OUT, Sandbox, View};

/// Jobs in one measurement.
const JOBS: u32 = 60;
/// Measurements of either in each run. What counts is the least: everything else adds to it.
const TURNS: usize = 10;

pub(crate) fn compare(tree: &Tree, compiler: &Path, runs: usize) -> Result<(), Failure> {
    let scratch = tree.folder("sandbox").canonicalize()?;
    let config = Config {
        mode: Mode::Namespaces,
        view: View::of_this_machine(&[compiler.parent().unwrap_or(compiler).to_owned()]),
        scratch: vec![scratch.clone()],
        programs: false,
        limits: Limits {
            memory_bytes: 1 << 30,
            written_bytes: 64 << 20,
            file_bytes: 64 << 20,
            processes: 100,
            oom_score: 500,
        },
    };
    fs::create_dir_all(scratch.join("job/home/client"))?;
    let messages = File::create(scratch.join("messages"))?;
    let (mut bare, mut confined) = (Vec::new(), Vec::new());
    for _ in 0..runs * TURNS {
        let before = meter::so_far();
        for _ in 0..JOBS {
            let mut command = Command::new(compiler);
            command.arg("-o").arg(scratch.join("out.o")).env_clear();
            command.stdin(Stdio::null()).stdout(messages.try_clone()?);
            if !command.status()?.success() {
                return Err("the stand-in failed".into());
            }
        }
        bare.push((meter::so_far() - before) / JOBS);

        let idle = meter::so_far();
        drop(Sandbox::start(config.clone()).map_err(|error| error.to_string())?);
        let before = meter::so_far();
        let sandbox = Sandbox::start(config.clone()).map_err(|error| error.to_string())?;
        for _ in 0..JOBS {
            run(&sandbox, compiler, &messages)?;
        }
        drop(sandbox); // Waits for the helper, whose time counts from then on.
        let all = meter::so_far() - before;
        confined.push(all.saturating_sub(before - idle) / JOBS);
    }
    let least = |times: Vec<Duration>| times.into_iter().min().unwrap_or_default();
    let (bare, confined) = (least(bare), least(confined));
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "sandbox: a program {:.3} ms, in the sandbox {:.3} ms: {:.3} ms more",
        ms(bare),
        ms(confined),
        ms(confined) - ms(bare)
    );
    Ok(())
}

fn run(sandbox: &Sandbox, compiler: &Path, messages: &File) -> Result<(), Failure> {
    let job = Job {
        programs: vec![compiler.into()],
        argv: vec!["gcc".into(), "-o".into(), format!("{OUT}/out.o").into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/home/client".into(),
        trees: vec![sandbox::Tree {
            scratch: 0,
            folder: "job".into(),
            at: "/".into(),
        }],
        writable: Vec::new(),
    };
    let running = sandbox.run(&job, messages.as_fd(), messages.as_fd())?;
    match running.ended()? {
        Ended::Normally { status: 0, .. } => Ok(()),
        other => Err(format!("a job ended as {other:?}").into()),
    }
}
