//! Servers that speak TLS, as `redis-cli` sees them.

use aim_testkit::{Certificates, RedisServer};
use std::path::Path;
use std::process::Command;

fn ping(server: &RedisServer, ca: &Path, client: Option<&Certificates>) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &server.port().to_string(), "--tls", "--cacert"]).arg(ca);
    if let Some(Certificates { client_cert, client_key, .. }) = client {
        command.arg("--cert").arg(client_cert).arg("--key").arg(client_key);
    }
    let output = command.arg("PING").output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn only_who_trusts_its_authority_talks_to_it() {
    let server = RedisServer::builder().tls().start().await.unwrap();
    let own = server.certificates().unwrap();
    assert_eq!(server.url(), format!("rediss://{}", server.address()));
    assert_eq!(ping(&server, &own.ca_file, None), "PONG\n");
    let other = Certificates::make().unwrap();
    assert!(ping(&server, &other.ca_file, None).contains("certificate verify failed"));
    assert!(!ping(&server, &own.ca_file, Some(&other)).contains("PONG"));
    server.restart_empty().await.unwrap();
    assert_eq!(ping(&server, &own.ca_file, Some(own)), "PONG\n");
}

#[tokio::test]
async fn with_mutual_tls_clients_have_to_show_a_certificate() {
    let server = RedisServer::builder().mutual_tls().start().await.unwrap();
    let own = server.certificates().unwrap();
    assert!(!ping(&server, &own.ca_file, None).contains("PONG"));
    assert_eq!(ping(&server, &own.ca_file, Some(own)), "PONG\n");
    assert_eq!(server.command(&["PING"]).await.unwrap().text(), "PONG");
}
