//! A network that breaks: a TCP proxy before a server, that forwards faithfully until told otherwise, and counts what
//! was said as the client's end of the wire sees it. One connection's way through it is in `line.rs`.

mod line;

use crate::Port;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Open,
    Stalled,
    BlackHole,
    Cut,
}

/// What the network does to those who use it.
#[derive(Clone, Debug)]
struct Weather {
    link: Link,
    /// Counts what was decided about the link: flapping goes on until the next decision.
    decisions: u64,
    delay: Duration,
    hold_replies: bool,
    target: SocketAddr,
    /// The connection of this number and those before it are to be reset.
    reset_to: u64,
}

/// What stands at the moment, so that `cut` and its like return when it is done.
#[derive(Debug, Default)]
struct Standing {
    listening: bool,
    open: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    exchanges: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// What was counted, from the start or between two moments (`after - before`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Round trips: how many times a client spoke first on its connection, or after it had been sent something. What
    /// it says in several pieces before it hears anything is one exchange. The sum over all connections.
    pub exchanges: u64,
    /// Bytes that clients said, whether they arrived or not.
    pub sent: u64,
    /// Bytes that clients were sent.
    pub received: u64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            connections: self.connections - before.connections,
            exchanges: self.exchanges - before.exchanges,
            sent: self.sent - before.sent,
            received: self.received - before.received,
        }
    }
}

/// A running proxy; it resets its connections and stops when dropped.
///
/// A command sent while the proxy is open reaches the server in the order in which it was sent, whatever happens later
/// to the reply; one that meets a black hole never does.
#[derive(Debug)]
pub struct ChaosProxy {
    port: Port,
    weather: Arc<watch::Sender<Weather>>,
    standing: Arc<watch::Sender<Standing>>,
    counters: Arc<Counters>,
    acceptor: JoinHandle<()>,
    flapping: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        if let Some(flapping) = self.flapping.get_mut() {
            flapping.abort();
        }
        self.acceptor.abort();
    }
}

impl ChaosProxy {
    /// Listens on a free port of the loopback and forwards to `target`, which need not be there yet.
    pub async fn before(target: SocketAddr) -> io::Result<Self> {
        let (port, listener) = loop {
            let port = Port::lease()?;
            match TcpListener::bind(port.address()).await {
                Ok(listener) => break (port, listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        };
        let weather =
            Weather { link: Link::Open, decisions: 0, delay: Duration::ZERO, hold_replies: false, target, reset_to: 0 };
        let weather = Arc::new(watch::Sender::new(weather));
        let standing = Arc::new(watch::Sender::new(Standing { listening: true, ..Default::default() }));
        let counters = Arc::<Counters>::default();
        let acceptor = accept(listener, port.address(), weather.subscribe(), standing.clone(), counters.clone());
        let acceptor = tokio::spawn(acceptor);
        Ok(Self { port, weather, standing, counters, acceptor, flapping: Mutex::default() })
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// `redis://127.0.0.1:PORT`; for a server that asks for more see [`crate::RedisServer::url_at`].
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Forwards connections made from now on to another server.
    pub fn point_at(&self, target: SocketAddr) {
        self.weather.send_modify(|weather| weather.target = target);
    }

    /// Resets all connections and refuses new ones; done when this returns.
    pub async fn cut(&self) {
        self.decide(Link::Cut);
        let _ = self.standing.subscribe().wait_for(|now| !now.listening && now.open.is_empty()).await;
    }

    /// Resets the connections there are; new ones are accepted as before. Done when this returns.
    pub async fn cut_connections(&self) {
        let last = self.counters.connections.load(Ordering::SeqCst);
        self.weather.send_modify(|weather| weather.reset_to = last);
        let _ = self.standing.subscribe().wait_for(|now| now.open.range(..=last).next().is_none()).await;
    }

    /// Accepts, reads, and forgets: nothing arrives in either direction, nothing is answered, nothing is reset. When it
    /// ends, a connection that lost something is reset, the others live on.
    pub fn black_hole(&self) {
        self.decide(Link::BlackHole);
    }

    /// Accepts, and carries nothing: as the black hole, but what is said arrives when it ends, as from a network that
    /// sends again what it lost.
    pub fn stall(&self) {
        self.decide(Link::Stalled);
    }

    /// Lets everything that is said from now on take so long in each direction, in order and however much of it is
    /// under way at once.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Keeps back what servers say; what clients say arrives.
    pub fn hold_replies(&self) {
        self.weather.send_modify(|weather| weather.hold_replies = true);
    }

    /// Delivers what was kept back, in order, and what follows.
    pub fn release_replies(&self) {
        self.weather.send_modify(|weather| weather.hold_replies = false);
    }

    /// Open for `up`, cut for `down`, and so on until told otherwise.
    pub fn flapping(&self, up: Duration, down: Duration) {
        let decision = self.decide(Link::Open);
        let weather = self.weather.clone();
        let turn = move |link| {
            weather.send_if_modified(|now| {
                let stands = now.decisions == decision;
                if stands {
                    now.link = link;
                }
                stands
            })
        };
        let flapping = tokio::spawn(async move {
            while turn(Link::Open) {
                sleep(up).await;
                turn(Link::Cut);
                sleep(down).await;
            }
        });
        if let Some(before) = self.flapping.lock().replace(flapping) {
            before.abort();
        }
    }

    /// All is as it was at first: open, without delay, nothing held. Connections are accepted when this returns.
    pub async fn heal(&self) {
        self.decide(Link::Open);
        self.weather.send_modify(|weather| {
            weather.delay = Duration::ZERO;
            weather.hold_replies = false;
        });
        let _ = self.standing.subscribe().wait_for(|now| now.listening).await;
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.standing.borrow().open.len()
    }

    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let Counters { connections, exchanges, sent, received } = &*self.counters;
        Counts {
            connections: read(connections),
            exchanges: read(exchanges),
            sent: read(sent),
            received: read(received),
        }
    }

    /// See [`Counts::connections`].
    pub fn connections(&self) -> u64 {
        self.counts().connections
    }

    /// See [`Counts::exchanges`].
    pub fn exchanges(&self) -> u64 {
        self.counts().exchanges
    }

    fn decide(&self, link: Link) -> u64 {
        let mut decision = 0;
        self.weather.send_modify(|weather| {
            weather.link = link;
            weather.decisions += 1;
            decision = weather.decisions;
        });
        decision
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    weather: watch::Receiver<Weather>,
    standing: Arc<watch::Sender<Standing>>,
    counters: Arc<Counters>,
) {
    let mut listener = Some(listener);
    let mut change = weather.clone();
    loop {
        let Some(open) = &listener else {
            if change.wait_for(|now| now.link != Link::Cut).await.is_err() {
                return;
            }
            // The port is ours; what can hold it is the kernel, for a moment.
            match TcpListener::bind(address).await {
                Ok(again) => listener = Some(again),
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
            standing.send_modify(|now| now.listening = listener.is_some());
            continue;
        };
        tokio::select! {
            accepted = open.accept() => match accepted {
                Ok((client, _)) => enter(client, &weather, &standing, &counters),
                Err(_) => sleep(Duration::from_millis(1)).await,
            },
            cut = async { change.wait_for(|now| now.link == Link::Cut).await.is_ok() } => {
                if !cut {
                    return;
                }
                listener = None;
                standing.send_modify(|now| now.listening = false);
            }
        }
    }
}

fn enter(
    client: TcpStream,
    weather: &watch::Receiver<Weather>,
    standing: &Arc<watch::Sender<Standing>>,
    counters: &Arc<Counters>,
) {
    let number = counters.connections.fetch_add(1, Ordering::SeqCst) + 1;
    standing.send_modify(|now| {
        now.open.insert(number);
    });
    let gone = Gone { number, standing: standing.clone() };
    tokio::spawn(line::carry(client, number, weather.clone(), counters.clone(), gone));
}

/// Takes a connection off the list once its sockets are closed.
struct Gone {
    number: u64,
    standing: Arc<watch::Sender<Standing>>,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.standing.send_modify(|now| {
            now.open.remove(&self.number);
        });
    }
}
