//! Ports of the loopback that stay a test's own, also while nothing listens on them: a server that was killed must find
//! its port again. They lie below the range from which the kernel serves outgoing connections, one of which could take
//! a free port (or, when it calls that very port, end up talking to itself).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};

const FIRST: u16 = 18_000;
const END: u16 = 32_768;

/// A port of 127.0.0.1 that no other test gets while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// An abstract socket of the port's name: one process can hold it, and it goes when that process does.
    _lease: UnixListener,
}

impl Port {
    /// One on which nothing listens.
    pub fn lease() -> io::Result<Self> {
        let count = END - FIRST;
        let start = (RandomState::new().build_hasher().finish() % u64::from(count)) as u16;
        for step in 0..count {
            let number = FIRST + (start + step) % count;
            let Ok(lease) = hold(number) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lease: lease });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no port of the loopback is free"))
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

fn hold(number: u16) -> io::Result<UnixListener> {
    UnixListener::bind_addr(&UnixAddress::from_abstract_name(format!("aim-test-port-{number}"))?)
}
