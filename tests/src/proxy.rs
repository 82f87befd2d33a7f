//! A proxy between a client and a server that spoils one packet of the conversation.
//!
//! It reads packets as the protocols have them, so that a test can name the one to spoil. What is
//! said goes one way at a time: a request, then its answer.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset in its middle.
    Reset,
    /// The connection ends in its middle.
    Close,
    /// Nothing more comes after its middle, and the connection stays.
    Stall,
    /// Its name is another one.
    Name,
    /// Its number is none.
    Number,
    /// Its number is the largest there is.
    Huge,
    /// Its body is noise.
    Body,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Reset,
        Self::Close,
        Self::Stall,
        Self::Name,
        Self::Number,
        Self::Huge,
        Self::Body,
    ];
}

/// A running proxy. It serves as long as the test program runs.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    spoiled: Arc<AtomicBool>,
}

impl Proxy {
    /// Passes on all that is said to `server`, but spoils the first packet called `token`, in
    /// each connection.
    pub fn start(server: SocketAddr, spoil: Option<(&'static str, Fault)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let proxy = Self {
            port,
            seen: Arc::default(),
            spoiled: Arc::default(),
        };
        let (seen, spoiled) = (Arc::clone(&proxy.seen), Arc::clone(&proxy.spoiled));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else {
                    continue;
                };
                let mut relay = Relay {
                    client,
                    server,
                    spoil,
                    is_spoiled: false,
                    seen: Vec::new(),
                };
                // Either end may be gone before all is said: that is what this is for.
                let _ = relay.run();
                spoiled.fetch_or(relay.is_spoiled, Ordering::SeqCst);
                seen.lock()
                    .expect("no test panics here")
                    .append(&mut relay.seen);
            }
        });
        proxy
    }

    /// Its port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The names of the packets of all conversations that have ended.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no test panics here").clone()
    }

    /// Whether there was a packet to spoil.
    pub fn has_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::SeqCst)
    }
}

/// One connection.
struct Relay {
    client: TcpStream,
    server: TcpStream,
    spoil: Option<(&'static str, Fault)>,
    is_spoiled: bool,
    seen: Vec<String>,
}

/// Whether there is more to pass on.
enum Next {
    Packet { name: String, number: u32 },
    End,
}

impl Relay {
    fn run(&mut self) -> io::Result<()> {
        // A server that waits for more than there is ends the test, and not the other way round.
        self.server
            .set_read_timeout(Some(Duration::from_secs(60)))?;
        let passed = self.pass_request();
        let is_broken =
            matches!(&passed, Err(error) if error.kind() == io::ErrorKind::ConnectionAborted);
        if is_broken || passed.is_err() && !self.is_spoiled {
            return passed;
        }
        // The server may have hung up because it did not like what was spoiled.
        if self.is_spoiled {
            // It must not wait for what a spoiled number promises.
            let _ = self.server.shutdown(Shutdown::Write);
        }
        while let Next::Packet { .. } = self.pass(false)? {}
        Ok(())
    }

    fn pass_request(&mut self) -> io::Result<()> {
        let mut files = None;
        loop {
            let Next::Packet { name, number } = self.pass(true)? else {
                return Ok(());
            };
            match name.as_str() {
                "DOTI" => return Ok(()),
                // No request, but the question why one was refused. Nothing follows, which 3.4 waits for.
                "WHYN" => return self.server.shutdown(Shutdown::Write),
                "NFIL" => files = Some(number),
                "FILE" | "LINK" => files = files.map(|left| left - 1),
                _ => {}
            }
            if files == Some(0) {
                return Ok(());
            }
        }
    }

    /// Passes one packet on.
    fn pass(&mut self, from_client: bool) -> io::Result<Next> {
        let (mut from, mut to) = match from_client {
            true => (&self.client, &self.server),
            false => (&self.server, &self.client),
        };
        let mut header = [0; 12];
        match from.read(&mut header[..1])? {
            0 => return Ok(Next::End),
            _ => from.read_exact(&mut header[1..])?,
        }
        let text = String::from_utf8_lossy(&header).into_owned();
        let name = text[..4].to_owned();
        let number = u32::from_str_radix(&text[4..], 16).map_err(io::Error::other)?;
        let length = if has_body(&name) { number } else { 0 };
        let mut body = vec![0; usize::try_from(length).expect("memory is large")];
        from.read_exact(&mut body)?;
        if !["WHYN", "NOPE"].contains(&name.as_str()) {
            self.seen.push(name.clone());
        }
        let fault = self
            .spoil
            .filter(|&(token, _)| token == name && !self.is_spoiled);
        let Some((_, fault)) = fault else {
            to.write_all(&[&header[..], &body].concat())?;
            return Ok(Next::Packet { name, number });
        };
        self.is_spoiled = true;
        match fault {
            Fault::Name => header[..4].copy_from_slice(b"ABCD"),
            Fault::Number => header[4..].copy_from_slice(b"nonumber"),
            Fault::Huge => header[4..].copy_from_slice(b"ffffffff"),
            Fault::Body => body.fill(0xff),
            Fault::Reset | Fault::Close | Fault::Stall => {
                let whole = [&header[..], &body].concat();
                to.write_all(&whole[..whole.len() / 2])?;
                return self.break_off(fault);
            }
        }
        to.write_all(&[&header[..], &body].concat())?;
        Ok(Next::Packet { name, number })
    }

    fn break_off(&mut self, fault: Fault) -> io::Result<Next> {
        match fault {
            Fault::Reset => {
                // Closing is a reset then.
                set_socket_linger(&self.client, Some(Duration::ZERO))?;
                set_socket_linger(&self.server, Some(Duration::ZERO))?;
            }
            Fault::Stall => {
                // Until the client has had enough.
                io::copy(&mut self.client, &mut io::sink())?;
            }
            _ => {}
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

fn has_body(name: &str) -> bool {
    [
        "CDIR", "ARGV", "DOTI", "NAME", "FILE", "LINK", "SERR", "SOUT", "DOTO", "DOTD", "NOPE",
    ]
    .contains(&name)
}
