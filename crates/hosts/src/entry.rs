//! One entry that names a host.
//!
//! ```text
//! localhost [/N]
//! [USER] @ HOST [/N] [:COMMAND] {,OPTION}
//! HOST [/N] [:PORT] [/N] {,OPTION}            HOST may be an IPv6 address in brackets
//! grpc://HOST:PORT[/INSTANCE] [,slots=N]
//! ```

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::cursor::Cursor;
use crate::{Host, Transport};

const DEFAULT_PORT: u16 = 3632;
const DEFAULT_SLOTS: u32 = 4;
const DEFAULT_LOCAL_SLOTS: u32 = 2;
/// Engines queue by themselves.
const DEFAULT_ENGINE_SLOTS: u32 = 32;

/// Parses the entry that the list `rest` begins with. The error is 3.4's message.
pub(crate) fn parse(rest: &[u8], entry: &[u8]) -> Result<Host, String> {
    let mut cursor = Cursor::new(rest);
    let mut host = Host {
        spec: os(entry),
        transport: Transport::Local,
        slots: DEFAULT_LOCAL_SLOTS,
        lzo: false,
        cpp: false,
        down: false,
        auth: None,
    };
    // Only these exact words run the compile here: `localhost:80` and `localhost,lzo` name a
    // server on this machine.
    if entry == b"localhost" || entry.starts_with(b"localhost/") {
        cursor.eat(b"localhost");
        host.slots = cursor.multiplier()?.unwrap_or(host.slots);
        return Ok(host);
    }
    if entry.starts_with(b"grpc://") {
        host.slots = DEFAULT_ENGINE_SLOTS;
        host.transport = parse_engine(&mut cursor, &mut host.slots)?;
        return Ok(host);
    }
    host.slots = DEFAULT_SLOTS;
    host.transport = if entry.contains(&b'@') {
        parse_ssh(&mut cursor, &mut host.slots)?
    } else {
        parse_tcp(&mut cursor, &mut host.slots)?
    };
    parse_options(&mut cursor, &mut host)?;
    Ok(host)
}

fn parse_ssh(cursor: &mut Cursor<'_>, slots: &mut u32) -> Result<Transport, String> {
    let quote = *cursor;
    let user = cursor.take_until(b"@");
    cursor.eat(b"@");
    let host = cursor.name();
    if host.is_empty() {
        let quote = quote.quote();
        return Err(format!(
            "hostname is required in SSH host specification \"{quote}\""
        ));
    }
    *slots = cursor.multiplier()?.unwrap_or(*slots);
    let command = if cursor.eat(b":") {
        cursor.take_until(b",")
    } else {
        b""
    };
    Ok(Transport::Ssh {
        user: non_empty(user),
        host: os(host),
        command: non_empty(command),
    })
}

fn parse_engine(cursor: &mut Cursor<'_>, slots: &mut u32) -> Result<Transport, String> {
    let quote = *cursor;
    let name = cursor.take_until(b",");
    if !has_port(name) {
        let quote = quote.quote();
        return Err(format!("grpc:// wants HOST:PORT in \"{quote}\""));
    }
    let name = os(name);
    let quote = *cursor;
    while cursor.eat(b",") {
        let count = match cursor.eat(b"slots") {
            true => cursor.multiplier()?,
            false => None,
        };
        let unknown = || {
            let quote = quote.quote();
            format!("unrecognized option in host specification: {quote}")
        };
        *slots = count.ok_or_else(unknown)?;
    }
    Ok(Transport::Engine { name })
}

/// Whether `grpc://HOST:PORT` is what a name begins with.
fn has_port(name: &[u8]) -> bool {
    let authority = name.split(|&byte| byte == b'/').nth(2).unwrap_or_default();
    let colon = authority.iter().rposition(|&byte| byte == b':');
    let port = colon.and_then(|at| std::str::from_utf8(&authority[at + 1..]).ok());
    let port = port.and_then(|port| port.parse::<u16>().ok());
    colon != Some(0) && port.is_some_and(|port| port > 0)
}

fn parse_tcp(cursor: &mut Cursor<'_>, slots: &mut u32) -> Result<Transport, String> {
    let quote = *cursor;
    let host = if cursor.eat(b"[") {
        let host = cursor.take_until(b"/,]");
        if !cursor.eat(b"]") {
            return Err("IPv6 Hostname requires closing ']'".to_owned());
        }
        host
    } else {
        cursor.name()
    };
    if host.is_empty() {
        let quote = quote.quote();
        return Err(format!(
            "hostname is required in tcp host specification \"{quote}\""
        ));
    }
    *slots = cursor.multiplier()?.unwrap_or(*slots);
    let port = cursor.port()?.unwrap_or(DEFAULT_PORT);
    *slots = cursor.multiplier()?.unwrap_or(*slots);
    Ok(Transport::Tcp {
        host: os(host),
        port,
    })
}

fn parse_options(cursor: &mut Cursor<'_>, host: &mut Host) -> Result<(), String> {
    let quote = *cursor;
    while cursor.eat(b",") {
        if cursor.eat(b"lzo") {
            host.lzo = true;
        } else if cursor.eat(b"cpp") {
            host.cpp = true;
        } else if cursor.eat(b"down") {
            host.down = true;
        } else if cursor.eat(b"auth") {
            let name = if cursor.eat(b"=") { cursor.name() } else { b"" };
            host.auth = Some(non_empty(name));
        } else {
            let quote = quote.quote();
            return Err(format!(
                "unrecognized option in host specification: {quote}"
            ));
        }
    }
    if host.cpp && !host.lzo {
        // 3.4 prints this as two messages.
        let quote = quote.quote();
        return Err(format!(
            "pump mode (',cpp') requires compression (',lzo'): invalid host options: {quote}"
        ));
    }
    Ok(())
}

fn non_empty(bytes: &[u8]) -> Option<OsString> {
    (!bytes.is_empty()).then(|| os(bytes))
}

fn os(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}
