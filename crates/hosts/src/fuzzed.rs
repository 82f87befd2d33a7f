//! Any text as a host list. What is understood of it means the same by itself.

use fuzz::Target;

use crate::{Transport, parse};

#[test]
fn host_lists() {
    Target::new("host list")
        .seeds([
            "localhost/2 red blue:3632/8,lzo,cpp @green:/opt/bin/distccd/3 me@box [::1]:80/4",
            "--randomize --localslots=3 --localslots_cpp=9 a,down # b\nc,auth=name,lzo\t+zeroconf",
            "-4 a/4294967295 b:65535 c:70000 d/-1 e,lzo/8",
        ])
        .words([
            "--localslots=",
            "--localslots_cpp=",
            "--randomize",
            ",lzo",
            ",cpp",
            ",down",
            ",auth",
            ",auth=",
            "/",
            ":",
            "@",
            "[",
            "]",
            "#",
            "\n",
            "localhost",
            "127.0.0.1",
            "+zeroconf",
        ])
        .run(|text| {
            let Ok(list) = parse(text) else { return };
            for host in &list.hosts {
                if let Transport::Tcp { host, .. } = &host.transport {
                    assert!(!host.as_encoded_bytes().contains(&b'\n'));
                }
                // An entry in the middle of a list is what it is alone, unless it takes its number
                // from behind its end, as 3.4 does (`a: 80`).
                let spec = host.spec.as_encoded_bytes();
                let last = spec.iter().rfind(|&&byte| byte != 0x0b);
                if matches!(last, Some(b'/' | b':' | b'=')) {
                    continue;
                }
                let alone = parse(spec).unwrap();
                assert_eq!(alone.hosts, std::slice::from_ref(host));
            }
        });
}
