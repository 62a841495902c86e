//! One connection through the proxy: two directions, each a reader and a writer with a bounded queue of chunks between
//! them, and whatever the weather does to them.

use super::{Counters, Gone, Link, Weather};
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Larger than what one write of a client brings over the loopback in one piece.
const CHUNK: usize = 64 * 1024;
/// What may be under way in one direction, in bytes and in chunks; beyond this the sender has to wait.
const BYTES_UNDER_WAY: usize = 1024 * 1024;
const CHUNKS_UNDER_WAY: usize = 4096;

struct Chunk {
    bytes: Vec<u8>,
    due: Instant,
    _room: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Asking,
    Replying,
}

struct Line {
    weather: watch::Receiver<Weather>,
    counters: Arc<Counters>,
    /// Whether the client was sent something since it last spoke, or never spoke.
    turned: AtomicBool,
    /// Whether a black hole swallowed any of it.
    lost: AtomicBool,
}

/// Carries a connection to its end, whoever ends it.
pub(super) async fn carry(
    mut client: TcpStream,
    number: u64,
    weather: watch::Receiver<Weather>,
    counters: Arc<Counters>,
    gone: Gone,
) {
    let mut reset = weather.clone();
    let line = Line { weather, counters, turned: AtomicBool::new(true), lost: AtomicBool::new(false) };
    let mut server = None;
    let well = tokio::select! {
        biased;
        _ = reset.wait_for(|now| {
            now.link == Link::Cut
                || number <= now.reset_to
                || (now.link == Link::Open && line.lost.load(Ordering::SeqCst))
        }) => false,
        ended = line.run(&mut client, &mut server) => ended.is_ok(),
    };
    if !well {
        // Closed so, a socket says RST.
        for stream in [&client].into_iter().chain(&server) {
            let _ = stream.set_zero_linger();
        }
    }
    drop((client, server));
    drop(gone);
}

impl Line {
    async fn run(&self, client: &mut TcpStream, server: &mut Option<TcpStream>) -> io::Result<()> {
        client.set_nodelay(true)?;
        self.wait_at_the_door(client).await?;
        let target = self.weather.borrow().target;
        let server = server.insert(TcpStream::connect(target).await?);
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (asked, asks) = mpsc::channel(CHUNKS_UNDER_WAY);
        let (replied, replies) = mpsc::channel(CHUNKS_UNDER_WAY);
        tokio::try_join!(
            self.read(Way::Asking, from_client, asked),
            self.write(Way::Asking, asks, to_server),
            self.read(Way::Replying, from_server, replied),
            self.write(Way::Replying, replies, to_client),
        )?;
        Ok(())
    }

    /// A connection that is made while nothing gets through knows no server yet.
    async fn wait_at_the_door(&self, client: &mut TcpStream) -> io::Result<()> {
        let mut weather = self.weather.clone();
        let mut buffer = vec![0; CHUNK];
        loop {
            let link = weather.borrow_and_update().link;
            tokio::select! {
                read = client.read(&mut buffer), if link == Link::BlackHole => match read? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    length => {
                        self.client_spoke(length);
                        self.lost.store(true, Ordering::SeqCst);
                    }
                },
                changed = weather.changed(), if link != Link::Open => changed.map_err(io::Error::other)?,
                () = async {}, if link == Link::Open => return Ok(()),
            }
        }
    }

    async fn read(&self, way: Way, mut from: ReadHalf<'_>, queue: mpsc::Sender<Chunk>) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let room = Arc::new(Semaphore::new(BYTES_UNDER_WAY));
        loop {
            let read = from.read(&mut buffer).await;
            if let (Ok(length @ 1..), Way::Asking) = (&read, way) {
                self.client_spoke(*length);
            }
            let (link, delay) = self.link_and_delay();
            match read {
                Ok(1..) if link == Link::BlackHole => self.lost.store(true, Ordering::SeqCst),
                // Nobody hears of an end either.
                Ok(0) | Err(_) if link == Link::BlackHole => return self.lose().await,
                Ok(0) => return Ok(()),
                Ok(length) => {
                    let due = Instant::now() + delay;
                    let room = room.clone().acquire_many_owned(length as u32).await.map_err(io::Error::other)?;
                    let chunk = Chunk { bytes: buffer[..length].to_vec(), due, _room: room };
                    // Its writer ends only together with the whole connection.
                    queue.send(chunk).await.map_err(io::Error::other)?;
                }
                Err(error) => {
                    let _ = self.weather.clone().wait_for(|now| now.link != Link::Stalled).await;
                    return Err(error);
                }
            }
        }
    }

    async fn write(&self, way: Way, mut queue: mpsc::Receiver<Chunk>, mut to: WriteHalf<'_>) -> io::Result<()> {
        while let Some(chunk) = queue.recv().await {
            sleep_until(chunk.due).await;
            if self.passage(way).await == Link::BlackHole {
                self.lost.store(true, Ordering::SeqCst);
                continue;
            }
            if way == Way::Replying {
                // Said before it is written: the client may answer it at once.
                self.counters.received.fetch_add(chunk.bytes.len() as u64, Ordering::SeqCst);
                self.turned.store(true, Ordering::SeqCst);
            }
            to.write_all(&chunk.bytes).await?;
        }
        if self.passage(way).await == Link::BlackHole {
            return self.lose().await;
        }
        to.shutdown().await
    }

    /// Waits until something may pass, or is lost at once.
    async fn passage(&self, way: Way) -> Link {
        let mut weather = self.weather.clone();
        let passage = weather.wait_for(|now| match now.link {
            Link::BlackHole => true,
            Link::Stalled => false,
            Link::Open | Link::Cut => way == Way::Asking || !now.hold_replies,
        });
        passage.await.map_or(Link::Cut, |now| now.link)
    }

    async fn lose(&self) -> io::Result<()> {
        self.lost.store(true, Ordering::SeqCst);
        pending().await
    }

    fn link_and_delay(&self) -> (Link, Duration) {
        let now = self.weather.borrow();
        (now.link, now.delay)
    }

    fn client_spoke(&self, length: usize) {
        self.counters.sent.fetch_add(length as u64, Ordering::SeqCst);
        if self.turned.swap(false, Ordering::SeqCst) {
            self.counters.exchanges.fetch_add(1, Ordering::SeqCst);
        }
    }
}
