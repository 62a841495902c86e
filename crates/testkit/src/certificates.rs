//! An authority of a test's own, with a certificate for a server on this machine and one for its clients, made by
//! `openssl` when they are needed. Another authority is another value.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const SECTIONS: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = DNS:client.test
";

/// PEM files; they go with the value. The server's certificate is for `localhost` and `127.0.0.1`, and serves between
/// servers as a client's too.
#[derive(Debug)]
pub struct Certificates {
    pub ca_file: PathBuf,
    pub server_cert: PathBuf,
    pub server_key: PathBuf,
    pub client_cert: PathBuf,
    pub client_key: PathBuf,
    _folder: TempDir,
}

impl Certificates {
    /// Takes some 50 ms.
    pub fn make() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("aim-tls-").tempdir()?;
        fs::write(folder.path().join("sections.cnf"), SECTIONS)?;
        for who in ["authority", "server", "client"] {
            make(folder.path(), who)?;
        }
        let file = |name: &str| folder.path().join(name);
        Ok(Self {
            ca_file: file("authority.crt"),
            server_cert: file("server.crt"),
            server_key: file("server.key"),
            client_cert: file("client.crt"),
            client_key: file("client.key"),
            _folder: folder,
        })
    }
}

fn make(folder: &Path, who: &str) -> io::Result<()> {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(["req", "-x509", "-config", "sections.cnf", "-days", "30", "-nodes"]);
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-extensions", who, "-subj", &format!("/CN={who}.test")]);
    command.args(["-keyout", &format!("{who}.key"), "-out", &format!("{who}.crt")]);
    if who != "authority" {
        command.args(["-CA", "authority.crt", "-CAkey", "authority.key"]);
    }
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::new(error.kind(), "openssl is not here; on Debian: apt-get install openssl"),
        _ => error,
    })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("openssl: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}
