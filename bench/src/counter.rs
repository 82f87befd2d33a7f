//! A proxy that counts what clients and a server say to each other.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A port in front of a server's; it lives as long as the program.
#[derive(Debug)]
pub struct Counter {
    port: u16,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

impl Counter {
    /// Opens the port.
    pub fn open(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let totals: [Arc<AtomicU64>; 2] = Default::default();
        let [sent, received] = totals.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let [sent, received] = totals.clone();
                // A connection that breaks fails its compile, and with it the comparison.
                thread::spawn(move || pass(&client, server, sent, &received));
            }
        });
        Ok(Self {
            port,
            sent,
            received,
        })
    }

    /// The port, on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Bytes from all clients so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes to all clients so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

fn pass(
    client: &TcpStream,
    server: SocketAddr,
    sent: Arc<AtomicU64>,
    received: &AtomicU64,
) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    for stream in [client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || copy(&from, &to, &sent));
    copy(&server, client, received)
}

/// Passes all on until one side ends.
fn copy(mut from: &TcpStream, mut to: &TcpStream, total: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return to.shutdown(Shutdown::Write),
            count => {
                total.fetch_add(count as u64, Ordering::Relaxed);
                to.write_all(&buffer[..count])?;
            }
        }
    }
}
