//! Connections that no honest client makes: silent, slow, broken off, full of errors.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use end_to_end::chance::Chance;
use rustix::net::sockopt;

use crate::findings::Findings;
use crate::server::Server;

/// Makes a nuisance of itself until `end`.
pub(crate) fn make(servers: &[Server], findings: &Findings, mut chance: Chance, end: Instant) {
    let mut held: Vec<TcpStream> = Vec::new();
    while Instant::now() < end {
        sleep(chance.pause(300));
        let server = chance.of(servers);
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)) else {
            continue; // It has no descriptors, or is just gone.
        };
        // Errors are what this is about: the server may close at any time.
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let mut request = request(&mut chance);
        match chance.below(7) {
            0 => {
                findings.count("silent connections");
                held.push(stream);
            }
            1 => {
                findings.count("connections broken off");
                let cut = usize::try_from(chance.below(request.len() as u64)).unwrap_or(0);
                let _ = stream.write_all(&request[..cut]);
                if chance.one_in(2) {
                    // Closing sends a reset then.
                    let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                }
            }
            2 | 3 => {
                findings.count("requests with errors");
                for _ in 0..=chance.below(4) {
                    let at = usize::try_from(chance.below(request.len() as u64)).unwrap_or(0);
                    request[at] = u8::try_from(chance.below(256)).unwrap_or(0);
                }
                let _ = stream.write_all(&request);
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read(&mut [0; 4096]);
            }
            4 => {
                findings.count("slow connections");
                for byte in request.chunks(7).take(20) {
                    let _ = stream.write_all(byte);
                    sleep(Duration::from_millis(20));
                }
            }
            5 => {
                findings.count("answers not fetched");
                let _ = stream.write_all(&request);
                held.push(stream);
            }
            _ => {
                findings.count("storms of connections");
                for _ in 0..40 {
                    held.extend(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).ok());
                }
            }
        }
        if held.len() > 100 {
            held.clear();
        }
    }
}

/// A request that is right, in protocol 1 or 3.
fn request(chance: &mut Chance) -> Vec<u8> {
    let packet = |token: &str, text: &str| format!("{token}{:08x}{text}", text.len());
    let words = ["gcc", "-c", "a.c", "-o", "a.o"].map(|word| packet("ARGV", word));
    let command = format!("ARGC00000005{}", words.concat());
    let source = "int x;\n";
    let request = match chance.one_in(2) {
        true => format!("DIST00000001{command}{}", packet("DOTI", source)),
        false => {
            // Packed as a single run of bytes.
            let block = format!("\u{18}{source}\u{11}\0\0");
            format!(
                "DIST00000003{}{command}NFIL00000001{}{}",
                packet("CDIR", "/home/u"),
                packet("NAME", "/home/u/a.c"),
                packet("FILE", &block)
            )
        }
    };
    request.into_bytes()
}
