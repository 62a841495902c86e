//! SMTP: a connection for each letter, closed after it. Letters are few, and a connection that nobody keeps breaks for
//! nobody.
//!
//! What goes wrong before the server has taken sender and receiver is a matter of the connection and tried again, a
//! refused password too: that is the operator's to mend, and no letter's fault. A 5xx to sender, receiver or content is
//! final. A letter whose content was begun and not answered is in doubt.

use crate::{Carrier, Fault, Mail, Passage};
use async_trait::async_trait;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use percent_encoding::percent_decode_str;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// After a letter was taken, the goodbye may take so long.
const GOODBYE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// `smtp://USER:PASSWORD@HOST:PORT?tls=required`, or `smtps://` for TLS from the first byte.
    pub url: String,
    /// PEM of an authority whose certificates are believed besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How this server introduces itself: the domain that letters come from.
    pub hello: String,
    /// Longest wait until the server has taken sender and receiver, and then for its answer to the letter; each.
    pub timeout: Duration,
}

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// From the first byte.
    Wrapped,
    /// By STARTTLS, or not at all.
    Required,
    /// By STARTTLS where the server offers it.
    Offered,
    Never,
}

struct Address {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
}

pub struct Smtp {
    address: Address,
    hello: ClientId,
    tls: Option<TlsParameters>,
    timeout: Duration,
}

/// What is wrong with an address. It is not repeated: it may hold a password.
pub fn check_url(url: &str) -> Result<(), String> {
    read(url).map(drop)
}

fn read(url: &str) -> Result<Address, String> {
    let url = Url::parse(url).map_err(|error| format!("it is no address ({error})"))?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no host")?.to_owned();
    let said = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    let (tls, port) = match (url.scheme(), said.as_deref()) {
        ("smtps", None | Some("wrapped")) => (Tls::Wrapped, 465),
        ("smtp", Some("required")) => (Tls::Required, 587),
        ("smtp", None | Some("opportunistic")) => (Tls::Offered, 587),
        ("smtp", Some("none")) => (Tls::Never, 25),
        ("smtp", Some(_)) => return Err("tls is none of required, opportunistic and none".to_owned()),
        ("smtps", Some(_)) => return Err("smtps:// takes no other tls".to_owned()),
        _ => return Err("it must start with smtp:// or smtps://".to_owned()),
    };
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().map_err(|_| "user or password is not UTF-8")?;
        Ok::<_, String>(text.into_owned())
    };
    let credentials = match (url.username(), url.password()) {
        ("", _) => None,
        (user, password) => Some(Credentials::new(decoded(user)?, decoded(password.unwrap_or_default())?)),
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    Ok(Address { host, port: url.port().unwrap_or(port), tls, credentials })
}

impl Smtp {
    pub fn new(settings: &SmtpSettings) -> Result<Self, String> {
        let address = read(&settings.url)?;
        let tls = match address.tls {
            Tls::Never => None,
            _ => {
                let mut parameters = TlsParameters::builder(address.host.clone());
                if let Some(file) = &settings.ca_file {
                    let wrong = |why: String| format!("{} cannot be used: {why}", file.display());
                    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
                    let authority = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
                    parameters = parameters.add_root_certificate(authority);
                }
                Some(parameters.build_rustls().map_err(|error| format!("TLS cannot be set up: {error}"))?)
            }
        };
        let hello = ClientId::Domain(settings.hello.clone());
        Ok(Self { address, hello, tls, timeout: settings.timeout })
    }

    /// A connection that is encrypted and signed in as it is meant to be.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Fault> {
        let Address { host, port, tls, credentials } = &self.address;
        let wrapped = if *tls == Tls::Wrapped { self.tls.clone() } else { None };
        let mut connection =
            AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), Some(self.timeout), &self.hello, wrapped, None)
                .await
                .map_err(|error| later("no connection", &error))?;
        let starts = match tls {
            Tls::Required if !connection.can_starttls() => {
                return Err(Fault::Later("the server offers no STARTTLS, and TLS is required".to_owned()));
            }
            Tls::Required => true,
            Tls::Offered => connection.can_starttls(),
            Tls::Wrapped | Tls::Never => false,
        };
        if let Some(parameters) = self.tls.clone().filter(|_| starts) {
            connection.starttls(parameters, &self.hello).await.map_err(|error| later("STARTTLS", &error))?;
        }
        if let Some(credentials) = credentials {
            if *tls == Tls::Offered && !connection.is_encrypted() && !is_here(host) {
                let why = "the server offers no STARTTLS: a password is not sent in the clear unless the address says tls=none";
                return Err(Fault::Later(why.to_owned()));
            }
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, credentials).await.map_err(|error| later("signing in", &error))?;
        }
        Ok(connection)
    }

    async fn announce(&self, mail: &Mail) -> Result<AsyncSmtpConnection, Fault> {
        let mut connection = self.connect().await?;
        let mut parameters = Vec::new();
        let offers = |extension| connection.server_info().supports_feature(extension);
        let ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
        if !mail.envelope.to().iter().chain(mail.envelope.from()).all(ascii) {
            if !offers(Extension::SmtpUtfEight) {
                return Err(Fault::Never("the server takes no addresses beyond ASCII".to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if offers(Extension::EightBitMime) && !mail.bytes.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = MailFrom::new(mail.envelope.from().cloned(), parameters);
        connection.command(from).await.map_err(|error| refused("the sender", &error))?;
        for to in mail.envelope.to() {
            let to = Rcpt::new(to.clone(), Vec::new());
            connection.command(to).await.map_err(|error| refused("the receiver", &error))?;
        }
        Ok(connection)
    }

    fn late(&self) -> Fault {
        Fault::Later(format!("the mail server did not answer within {} s", self.timeout.as_secs()))
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn later(what: &str, error: &Error) -> Fault {
    Fault::Later(format!("{what}: {error}"))
}

/// Of an answer to what is not the letter itself.
fn refused(what: &str, error: &Error) -> Fault {
    let text = format!("{what}: {error}");
    if error.is_permanent() { Fault::Never(text) } else { Fault::Later(text) }
}

#[async_trait]
impl Carrier for Smtp {
    fn place(&self) -> String {
        let Address { host, port, .. } = &self.address;
        format!("the mail server {host} port {port}")
    }

    async fn open(&self, mail: Mail) -> Result<Box<dyn Passage>, Fault> {
        let connection = tokio::time::timeout(self.timeout, self.announce(&mail)).await.map_err(|_| self.late())??;
        Ok(Box::new(Announced { connection, bytes: mail.bytes, timeout: self.timeout }))
    }

    async fn check(&self) -> Result<(), Fault> {
        let mut connection = tokio::time::timeout(self.timeout, self.connect()).await.map_err(|_| self.late())??;
        let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
        Ok(())
    }
}

/// The server has taken sender and receiver.
struct Announced {
    connection: AsyncSmtpConnection,
    bytes: Vec<u8>,
    timeout: Duration,
}

#[async_trait]
impl Passage for Announced {
    async fn hand_over(mut self: Box<Self>) -> Result<String, Fault> {
        let silent = || format!("the mail server did not answer within {} s", self.timeout.as_secs());
        // Nothing of the letter is over there yet.
        match tokio::time::timeout(self.timeout, self.connection.command(Data)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(refused("the letter", &error)),
            Err(_) => return Err(Fault::Later(silent())),
        }
        let answer = match tokio::time::timeout(self.timeout, self.connection.message(&self.bytes)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_permanent() || error.is_transient() => {
                return Err(refused("the letter", &error));
            }
            Ok(Err(error)) => return Err(Fault::Doubt(format!("the letter was not answered: {error}"))),
            Err(_) => return Err(Fault::Doubt(format!("the letter was not answered: {}", silent()))),
        };
        let _ = tokio::time::timeout(GOODBYE, self.connection.quit()).await;
        Ok(answer.first_line().unwrap_or("taken").to_owned())
    }
}
