//! One line per host.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use protocol::{DEFAULT_PORT, Version};

use super::options::Options;

/// The line for a host that has been asked, newline included: an entry of a host list, and the
/// latency if asked for.
pub(super) fn line(
    options: &Options,
    name: &OsStr,
    address: Ipv4Addr,
    is_up: bool,
    latency: Duration,
) -> Vec<u8> {
    let mut line = if options.show_address {
        address.to_string().into_bytes()
    } else {
        name.as_bytes().to_vec()
    };
    if options.port != DEFAULT_PORT {
        line.extend(format!(":{}", options.port).into_bytes());
    }
    line.extend_from_slice(match options.version {
        Version::Plain => b"",
        Version::Lzo => b",lzo",
        Version::Pump => b",lzo,cpp",
    });
    if !is_up {
        line.extend_from_slice(b",down");
    }
    if options.show_latency {
        line.extend(format!(" {}", latency.as_millis()).into_bytes());
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn check(args: &[&str], is_up: bool, expected: &str) {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let options = Options::parse(&args).unwrap();
        let address = Ipv4Addr::new(10, 0, 0, 1);
        let latency = Duration::from_micros(12_900);
        let line = line(&options, OsStr::new("a.b"), address, is_up, latency);
        assert_eq!(String::from_utf8(line).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn lines_are_entries_of_a_host_list() {
        check(&[], true, "a.b");
        check(&["-r4000"], true, "a.b:4000");
        check(&["-n"], true, "10.0.0.1");
        check(&["-P2"], true, "a.b,lzo");
        check(&["-P3", "-r4000"], true, "a.b:4000,lzo,cpp");
        check(&["-P3"], false, "a.b,lzo,cpp,down");
        check(&["-l"], true, "a.b 12");
        check(&["-l", "-n", "-r1"], false, "10.0.0.1:1,down 12");
    }
}
