//! A proxy that counts what clients send to a server.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A port in front of a server's; it lives as long as the program.
pub(crate) struct Counter {
    pub(crate) port: u16,
    sent: Arc<AtomicU64>,
}

impl Counter {
    /// Opens the port.
    pub(crate) fn open(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let sent = Arc::<AtomicU64>::default();
        let total = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let total = Arc::clone(&total);
                // A connection that breaks fails its compile, and with it the comparison.
                thread::spawn(move || pass(&client, server, &total));
            }
        });
        Ok(Self { port, sent })
    }

    /// Bytes so far, from all clients.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

fn pass(client: &TcpStream, server: SocketAddr, total: &Arc<AtomicU64>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let total = Arc::clone(total);
    thread::spawn(move || -> io::Result<()> {
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
    });
    io::copy(&mut &server, &mut &*client)?;
    client.shutdown(Shutdown::Both)
}
