//! Asking a server why it closed a connection without a word, which is all that the protocol has for "no".
//!
//! A server of ours tells (`protocol::Token::WHYN`). Others close this connection, too, and then nothing more is known:
//! it costs a connection where a job has failed anyway.

use std::io::{Read, Write};
use std::time::Duration;

use hosts::Host;
use protocol::request::put_why;
use protocol::{Header, Token, stream};

use crate::settings::Settings;
use crate::transport::Connection;

/// For a server that says nothing at all.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a reason.
const LONGEST: u32 = 1000;

/// Why `host` closed the connection that we had from `port`, if it tells.
pub(crate) fn ask(host: &Host, port: u16, settings: &Settings) -> Option<String> {
    let mut question = Vec::new();
    put_why(&mut question, port);
    let mut connection = Connection::open(&host.transport, settings, PATIENCE).ok()?;
    connection.write_all(&question).ok()?;
    // 3.4 would read on, to see what follows what it does not understand.
    connection.say_no_more().ok()?;
    read(&mut connection)
}

/// A reason as it comes.
pub(crate) fn read(from: &mut impl Read) -> Option<String> {
    let header = Header::decode(&stream::read_header(from).ok()?).ok()?;
    let length = header.expect(Token::NOPE).ok()?.min(LONGEST);
    let text = stream::read_body(from, length).ok()?;
    // It goes to terminals.
    Some(String::from_utf8_lossy(&text).replace(char::is_control, "?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_fit_for_a_terminal_and_short() {
        let told = |mut bytes: &[u8]| read(&mut bytes);
        assert_eq!(
            told(b"NOPE00000008not \x1bcc\xff").as_deref(),
            Some("not ?cc\u{fffd}")
        );
        assert_eq!(told(b"NOPE00000008not"), None);
        assert_eq!(told(b"DONE00000001"), None);
        assert_eq!(told(b""), None);
        let long = [&b"NOPEffffffff"[..], &[b'x'; 2000]].concat();
        assert_eq!(told(&long).map(|text| text.len()), Some(LONGEST as usize));
    }
}
