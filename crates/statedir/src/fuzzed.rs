//! Any content of a record that another program has left for monitors.

use fuzz::Target;

use crate::monitor::{Phase, Record};

#[test]
fn monitor_records() {
    let record = Record {
        pid: 4711,
        file: "source.c".into(),
        host: "build1".into(),
        slot: 3,
        phase: Phase::Compile,
    };
    Target::new("monitor's record")
        .seeds([record.encode()])
        .words([&b"DIST"[..], &[0; 16], &[0xff; 16], b"\n"])
        .run(|bytes| {
            if let Some(record) = Record::decode(bytes) {
                assert_eq!(bytes.len(), Record::LEN);
                assert_eq!(Record::decode(&record.encode()), Some(record));
            }
        });
}
