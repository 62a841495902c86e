//! The server of a test's own: it starts fast, forgets and keeps what it should, and ends with its value.

use aim_testkit::RedisServer;
use aim_testkit::resp::{Connection, Reply};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::timeout;

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn it_starts_within_a_tenth_of_a_second() {
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let server = RedisServer::start().await.unwrap();
        fastest = fastest.min(start.elapsed());
        assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    }
    // Five times what is promised: the machine may be busy.
    assert!(fastest < Duration::from_millis(500), "{fastest:?}");
}

#[tokio::test]
async fn it_keeps_nothing_unless_asked() {
    let server = RedisServer::start().await.unwrap();
    let mut client = Connection::tcp(server.address()).await.unwrap();
    assert_eq!(client.call(&["SET", "a", "1"]).await.unwrap(), Reply::Status("OK".into()));
    let (port, pid) = (server.port(), server.pid());
    server.kill();
    assert!(!alive(pid));
    assert_eq!(server.pid(), 0);
    assert!(client.call(&["PING"]).await.is_err());
    assert!(Connection::tcp(server.address()).await.is_err());
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert!(server.command(&["GET", "a"]).await.unwrap().is_nil());
}

#[tokio::test]
async fn a_persistent_one_keeps_what_was_written_until_it_is_restarted_empty() {
    let server = RedisServer::builder().persistent().start().await.unwrap();
    server.command(&["SET", "a", "1"]).await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.command(&["GET", "a"]).await.unwrap().text(), "1");
    server.restart_empty().await.unwrap();
    assert!(server.command(&["GET", "a"]).await.unwrap().is_nil());
    server.command(&["SET", "a", "2"]).await.unwrap();
    server.flush().await.unwrap();
    assert_eq!(server.command(&["DBSIZE"]).await.unwrap(), Reply::Number(0));
}

#[tokio::test]
async fn a_stopped_one_is_silent_and_then_does_what_it_was_told() {
    let server = RedisServer::start().await.unwrap();
    let mut client = Connection::tcp(server.address()).await.unwrap();
    client.call(&["PING"]).await.unwrap();
    assert!(server.is_running());
    server.stop().unwrap();
    assert!(!server.is_running());
    client.send(&["INCR", "n"]).await.unwrap();
    assert!(timeout(Duration::from_millis(100), client.reply()).await.is_err());
    server.cont().unwrap();
    assert!(server.is_running());
    assert_eq!(client.reply().await.unwrap(), Reply::Number(1));
    server.stop().unwrap();
    let pid = server.pid();
    drop(server);
    assert!(!alive(pid));
}

#[tokio::test]
async fn it_goes_with_its_folder() {
    let server = RedisServer::builder().persistent().start().await.unwrap();
    let (pid, folder) = (server.pid(), server.folder().to_owned());
    assert!(folder.exists());
    drop(server);
    assert!(!alive(pid) && !folder.exists());
}

#[tokio::test]
async fn configuration_is_as_asked_and_the_machines_is_not_read() {
    let server = RedisServer::builder().maxmemory("10mb").config("notify-keyspace-events", "Ex").start().await.unwrap();
    let of = async |name| server.command(&["CONFIG", "GET", name]).await.unwrap().texts()[1].clone();
    assert_eq!(of("maxmemory").await, "10485760");
    assert_eq!(of("maxmemory-policy").await, "noeviction");
    assert_eq!(of("notify-keyspace-events").await, "xE");
    assert_eq!(of("save").await, "");
    assert_eq!(of("appendonly").await, "no");
}

#[tokio::test]
async fn a_bad_configuration_is_told_with_the_servers_own_words() {
    let error = RedisServer::builder().config("no-such-thing", "1").start().await.unwrap_err();
    assert!(error.to_string().contains("no-such-thing"), "{error}");
}

#[tokio::test]
async fn out_of_memory_read_only_and_loading_are_a_command_away() {
    let server = RedisServer::builder().persistent().config("key-load-delay", "2000").start().await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let refused = server.command(&["SET", "a", "1"]).await.unwrap_err();
    assert!(refused.to_string().starts_with("OOM"), "{refused}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let refused = server.command(&["SET", "a", "1"]).await.unwrap_err();
    assert!(refused.to_string().starts_with("READONLY"), "{refused}");
    server.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    let script = "for i = 1, 3000 do redis.call('SET', 'key:' .. i, string.rep('x', 4000)) end";
    server.command(&["EVAL", script, "0"]).await.unwrap();
    server.begin_restart().unwrap();
    let loading = loop {
        match server.command(&["GET", "key:1"]).await {
            Err(error) if error.to_string().starts_with("LOADING") => break true,
            Ok(_) => break false,
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    assert!(loading);
}

#[tokio::test]
async fn strangers_stay_outside_of_one_with_a_password_or_users() {
    let open = RedisServer::builder().password("secret").start().await.unwrap();
    assert_eq!(open.url(), format!("redis://:secret@{}", open.address()));
    let mut client = Connection::tcp(open.address()).await.unwrap();
    assert!(client.call(&["GET", "a"]).await.unwrap_err().to_string().starts_with("NOAUTH"));
    client.call(&["AUTH", "secret"]).await.unwrap();
    assert!(client.call(&["GET", "a"]).await.unwrap().is_nil());

    let users = RedisServer::builder().user("aim", "secret", "~aim:* &aim:* +@all -@dangerous").start().await.unwrap();
    assert_eq!(users.url(), format!("redis://aim:secret@{}", users.address()));
    users.command(&["CONFIG", "GET", "port"]).await.unwrap();
    let mut client = Connection::tcp(users.address()).await.unwrap();
    assert!(client.call(&["GET", "aim:a"]).await.unwrap_err().to_string().starts_with("NOAUTH"));
    client.call(&["AUTH", "aim", "secret"]).await.unwrap();
    assert!(client.call(&["GET", "aim:a"]).await.unwrap().is_nil());
    assert!(client.call(&["GET", "b"]).await.unwrap_err().to_string().starts_with("NOPERM"));
    assert!(client.call(&["FLUSHALL"]).await.unwrap_err().to_string().starts_with("NOPERM"));
}

#[tokio::test]
async fn one_on_a_socket_listens_on_no_port() {
    let server = RedisServer::builder().unix_socket().start().await.unwrap();
    let path = server.url().strip_prefix("unix://").map(str::to_owned).unwrap();
    let mut client = Connection::unix(Path::new(&path)).await.unwrap();
    assert_eq!(client.call(&["PING"]).await.unwrap().text(), "PONG");
    assert!(Connection::tcp(server.address()).await.is_err());
    let server = RedisServer::builder().unix_socket().password("secret").start().await.unwrap();
    assert!(server.url().ends_with("?pass=secret"));
}

#[tokio::test]
async fn many_at_once_have_ports_of_their_own() {
    let servers = futures::future::join_all((0..20).map(|_| RedisServer::start())).await;
    let servers: Vec<_> = servers.into_iter().map(Result::unwrap).collect();
    let ports: std::collections::HashSet<_> = servers.iter().map(RedisServer::port).collect();
    assert_eq!(ports.len(), 20);
    for server in &servers {
        assert_eq!(server.info("process_id").await.unwrap(), server.pid().to_string());
    }
}
