//! The network that breaks, before an echo server and before Redis.

use aim_testkit::resp::{Connection, Reply};
use aim_testkit::{ChaosProxy, RedisServer};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// So long nothing comes when nothing comes.
const SILENCE: Duration = Duration::from_millis(100);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn connect(proxy: &ChaosProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn hear(stream: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    timeout(Duration::from_secs(5), stream.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, expected);
}

async fn says(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.unwrap();
    hear(stream, text).await;
}

async fn silent(stream: &mut TcpStream) {
    assert!(timeout(SILENCE, stream.read_u8()).await.is_err());
}

async fn reset(stream: &mut TcpStream) {
    let end = timeout(Duration::from_secs(5), stream.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_forwards_faithfully_in_both_directions_and_passes_ends_on() {
    let proxy = ChaosProxy::before(echo().await).await.unwrap();
    let mut stream = connect(&proxy).await;
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut read, mut write) = stream.split();
    let mut heard = Vec::new();
    let (written, _) = tokio::join!(
        async {
            write.write_all(&sent).await?;
            write.shutdown().await
        },
        read.read_to_end(&mut heard),
    );
    written.unwrap();
    assert!(heard == sent);
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.sent, counts.received), (1, 5_000_000, 5_000_000));
    let start = Instant::now();
    while proxy.open() > 0 {
        assert!(start.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn cut_resets_and_refuses_and_heal_accepts_again() {
    let proxy = ChaosProxy::before(echo().await).await.unwrap();
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"a").await;
    for _ in 0..50 {
        proxy.cut().await;
        assert_eq!(proxy.open(), 0);
        reset(&mut stream).await;
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.heal().await;
        stream = connect(&proxy).await;
        says(&mut stream, b"b").await;
    }
    assert_eq!(proxy.connections(), 51);
}

#[tokio::test]
async fn cutting_connections_lets_new_ones_in() {
    let proxy = ChaosProxy::before(echo().await).await.unwrap();
    let (mut one, mut two) = (connect(&proxy).await, connect(&proxy).await);
    says(&mut one, b"a").await;
    says(&mut two, b"b").await;
    proxy.cut_connections().await;
    reset(&mut one).await;
    reset(&mut two).await;
    let mut three = connect(&proxy).await;
    says(&mut three, b"c").await;
}

#[tokio::test]
async fn a_black_hole_swallows_and_resets_what_lost_something_when_it_ends() {
    let server = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(server.address()).await.unwrap();
    let mut idle = Connection::tcp(proxy.address()).await.unwrap();
    let mut busy = Connection::tcp(proxy.address()).await.unwrap();
    idle.call(&["PING"]).await.unwrap();
    busy.call(&["PING"]).await.unwrap();
    proxy.black_hole();
    let mut late = Connection::tcp(proxy.address()).await.unwrap();
    for client in [&mut busy, &mut late] {
        client.send(&["INCR", "n"]).await.unwrap();
        assert!(timeout(SILENCE, client.reply()).await.is_err());
    }
    let mut waiting = Connection::tcp(proxy.address()).await.unwrap();
    proxy.heal().await;
    assert!(busy.reply().await.is_err());
    assert!(late.reply().await.is_err());
    // What was swallowed never happened; what lost nothing lives on.
    assert_eq!(idle.call(&["INCR", "n"]).await.unwrap(), Reply::Number(1));
    assert_eq!(waiting.call(&["INCR", "n"]).await.unwrap(), Reply::Number(2));
}

#[tokio::test]
async fn a_black_hole_hides_the_end_of_the_server() {
    let server = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(server.address()).await.unwrap();
    let mut stream = connect(&proxy).await;
    stream.write_all(b"PING\r\n").await.unwrap();
    hear(&mut stream, b"+PONG\r\n").await;
    proxy.black_hole();
    server.kill();
    silent(&mut stream).await;
    proxy.heal().await;
    reset(&mut stream).await;
}

#[tokio::test]
async fn what_is_said_to_a_stalled_network_arrives_when_it_goes_on() {
    let server = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(server.address()).await.unwrap();
    let mut before = Connection::tcp(proxy.address()).await.unwrap();
    before.call(&["PING"]).await.unwrap();
    proxy.stall();
    let mut during = Connection::tcp(proxy.address()).await.unwrap();
    for client in [&mut before, &mut during] {
        client.send(&["INCR", "n"]).await.unwrap();
        assert!(timeout(SILENCE, client.reply()).await.is_err());
    }
    assert!(server.command(&["GET", "n"]).await.unwrap().is_nil());
    proxy.heal().await;
    let mut replies = [before.reply().await.unwrap().number(), during.reply().await.unwrap().number()];
    replies.sort_unstable();
    assert_eq!(replies, [Some(1), Some(2)]);
}

#[tokio::test]
async fn held_replies_are_delivered_later_in_order_while_commands_arrive_at_once() {
    let server = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(server.address()).await.unwrap();
    let mut client = Connection::tcp(proxy.address()).await.unwrap();
    client.call(&["PING"]).await.unwrap();
    proxy.hold_replies();
    for _ in 0..3 {
        client.send(&["INCR", "n"]).await.unwrap();
    }
    assert!(timeout(SILENCE, client.reply()).await.is_err());
    assert_eq!(server.command(&["GET", "n"]).await.unwrap().text(), "3");
    proxy.release_replies();
    for expected in 1..=3 {
        assert_eq!(client.reply().await.unwrap(), Reply::Number(expected));
    }
}

#[tokio::test]
async fn a_delay_is_paid_once_however_much_is_under_way() {
    let proxy = ChaosProxy::before(echo().await).await.unwrap();
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"a").await;
    let delay = Duration::from_millis(100);
    proxy.delay(delay);
    let start = Instant::now();
    for n in 0..10_u8 {
        stream.write_all(&[n]).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
    hear(&mut stream, &(0..10).collect::<Vec<_>>()).await;
    let took = start.elapsed();
    assert!(took >= 2 * delay && took < 5 * delay, "{took:?}");
}

#[tokio::test]
async fn chunks_under_way_are_not_limited_to_so_many_a_delay() {
    let proxy = ChaosProxy::before(echo().await).await.unwrap();
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"a").await;
    let delay = Duration::from_millis(200);
    proxy.delay(delay);
    let many: Vec<u8> = (0..200).collect();
    for n in &many {
        stream.write_all(&[*n]).await.unwrap();
        sleep(Duration::from_micros(300)).await;
    }
    let said = Instant::now();
    hear(&mut stream, &many).await;
    let took = said.elapsed();
    assert!(took > delay && took < 3 * delay, "{took:?}");
}

#[tokio::test]
async fn a_sender_has_to_wait_when_much_is_under_way() {
    let proxy = ChaosProxy::before(echo().await).await.unwrap();
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"a").await;
    proxy.stall();
    let mut much = 0;
    while let Ok(written) = timeout(SILENCE, stream.write(&[0; 65536])).await {
        much += written.unwrap();
        assert!(much < 64 << 20);
    }
    assert!(proxy.counts().sent <= (1 << 20) + 2 * 65536);
}

#[tokio::test]
async fn flapping_goes_on_until_healed() {
    let proxy = ChaosProxy::before(echo().await).await.unwrap();
    proxy.flapping(Duration::from_millis(20), Duration::from_millis(20));
    let (mut refused, mut accepted) = (0, 0);
    let start = Instant::now();
    while refused < 20 || accepted < 20 {
        assert!(start.elapsed() < Duration::from_secs(5));
        match TcpStream::connect(proxy.address()).await {
            Ok(_) => accepted += 1,
            Err(_) => refused += 1,
        }
        sleep(Duration::from_millis(1)).await;
    }
    proxy.heal().await;
    let mut stream = connect(&proxy).await;
    sleep(SILENCE).await;
    says(&mut stream, b"a").await;
}

#[tokio::test]
async fn exchanges_are_counted_as_the_client_sees_them() {
    let server = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(server.address()).await.unwrap();
    let mut client = Connection::tcp(proxy.address()).await.unwrap();
    assert_eq!(proxy.exchanges(), 0);
    for n in 1..=20 {
        client.call(&["PING"]).await.unwrap();
        assert_eq!(proxy.exchanges(), n);
    }
    let mut other = Connection::tcp(proxy.address()).await.unwrap();
    other.call(&["PING"]).await.unwrap();
    assert_eq!(proxy.counts().connections, 2);
    assert_eq!(proxy.exchanges(), 21);

    let before = proxy.counts();
    proxy.hold_replies();
    for _ in 0..3 {
        client.send(&["PING"]).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
    proxy.release_replies();
    for _ in 0..3 {
        client.reply().await.unwrap();
    }
    let counts = proxy.counts() - before;
    assert_eq!((counts.exchanges, counts.sent, counts.received), (1, 3 * 14, 3 * 7));

    let big = "x".repeat(300_000);
    let before = proxy.counts();
    client.call(&["SET", "a", "1"]).await.unwrap();
    client.call(&["ECHO", &big]).await.unwrap();
    client.call(&["GET", "a"]).await.unwrap();
    assert_eq!((proxy.counts() - before).exchanges, 3, "a reply in many pieces ends one exchange");
}

#[tokio::test]
async fn nothing_is_there_until_it_is_pointed_at_something() {
    let server = RedisServer::start().await.unwrap();
    let nowhere = aim_testkit::Port::lease().unwrap();
    let proxy = ChaosProxy::before(nowhere.address()).await.unwrap();
    reset(&mut connect(&proxy).await).await;
    proxy.point_at(server.address());
    let mut client = Connection::tcp(proxy.address()).await.unwrap();
    client.call(&["PING"]).await.unwrap();
    assert_eq!(proxy.url(), server.url_at(proxy.address()));
    server.kill();
    assert!(client.call(&["PING"]).await.is_err());
}

#[tokio::test]
async fn dropping_it_resets_everything() {
    let proxy = ChaosProxy::before(echo().await).await.unwrap();
    let address = proxy.address();
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"a").await;
    drop(proxy);
    reset(&mut stream).await;
    assert!(TcpStream::connect(address).await.is_err());
}
