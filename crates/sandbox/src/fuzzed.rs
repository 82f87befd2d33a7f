//! Any bytes between server, helper and jobs: the other side may be broken, or worse.

use fuzz::Target;

use crate::job::{Config, Ended, Job, Limits, Mode, Tree, Used};
use crate::message::{framed, read_framed};
use crate::view::View;

fn job() -> Job {
    Job {
        programs: vec!["gcc".into()],
        argv: vec!["gcc".into(), "-c".into(), "".into()],
        environment: vec![("PATH".into(), "/bin".into())],
        cwd: "/c".into(),
        trees: vec![Tree {
            scratch: 0,
            folder: "a/b".into(),
            at: "/".into(),
        }],
        writable: vec!["/a".into()],
    }
}

const NUMBERS: [[u8; 8]; 4] = [
    [0; 8],
    [1, 0, 0, 0, 0, 0, 0, 0],
    [0xff; 8],
    [0, 0, 0, 1, 0, 0, 0, 0],
];

#[test]
fn jobs() {
    Target::new("job for the sandbox")
        .seeds([job().encode()])
        .words(NUMBERS)
        .run(|bytes| {
            if let Ok(job) = Job::decode(bytes) {
                assert_eq!(job.encode(), bytes);
            }
        });
}

#[test]
fn settings() {
    let config = Config {
        mode: Mode::Namespaces,
        view: View::of_this_machine(&[]),
        scratch: vec!["/tmp".into()],
        programs: true,
        limits: Limits {
            memory_bytes: 1,
            written_bytes: 2,
            file_bytes: 3,
            processes: 4,
            oom_score: -5,
        },
    };
    Target::new("settings of the sandbox")
        .seeds([config.encode()])
        .words(NUMBERS)
        .run(|bytes| {
            if let Ok(config) = Config::decode(bytes) {
                assert_eq!(Config::decode(&config.encode()), Ok(config));
            }
        });
}

#[test]
fn answers() {
    let answers = [
        Ended::Normally {
            status: 256,
            out: None,
            folders: Vec::new(),
            used: Used::default(),
        },
        Ended::Exceeded("more".into()),
        Ended::NotStarted(2),
    ];
    Target::new("answer of the sandbox")
        .seeds(answers.map(|answer| answer.encode()))
        .words(NUMBERS)
        .run(|bytes| {
            if let Ok(ended) = Ended::decode(bytes, Vec::new()) {
                let again = Ended::decode(&ended.encode(), Vec::new()).unwrap();
                assert_eq!(format!("{again:?}"), format!("{ended:?}"));
            }
        });
}

#[test]
fn frames() {
    Target::new("frame")
        .seeds([framed(b"message")])
        .words(NUMBERS)
        .run(|mut bytes| {
            if let Ok(message) = read_framed(&mut bytes) {
                assert_eq!(read_framed(&mut &framed(&message)[..]).unwrap(), message);
            }
        });
}
