//! Where a Redis is and how to reach it, from one URL.

use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::PathBuf;

/// What a server is told of one Redis.
#[derive(Clone, Default)]
pub struct Settings {
    /// `redis://`, `rediss://`, `unix://`, `redis+cluster://`, `rediss+cluster://`, `redis+sentinel://`, `rediss+sentinel://`;
    /// `valkey` may stand for `redis`.
    pub url: String,
    /// Before every key, `aim:`.
    pub prefix: String,
    pub tls: TlsFiles,
    /// As whom the sentinels of an address let this client in; what the address says is for the servers they watch.
    pub sentinel: Login,
    /// Whether reads that may lag go to replicas of what Sentinel watches. Those of a Cluster are not read: see
    /// `cache/redis.rs`.
    pub read_from_replicas: bool,
}

/// Both are none where no login is asked for; a password alone is the default user's.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    pub username: Option<String>,
    pub password: Option<String>,
}

impl Settings {
    /// Whether both name the same Redis and reach it in the same way, however their addresses are written.
    pub(super) fn leads_to_the_same_as(&self, other: &Self) -> bool {
        let place = |settings: &Self| settings.url.parse::<Address>();
        let how = |settings: &Self| (settings.prefix.clone(), settings.tls.clone(), settings.sentinel.clone());
        place(self).is_ok()
            && place(self) == place(other)
            && how(self) == how(other)
            && self.read_from_replicas == other.read_from_replicas
    }
}

impl fmt::Debug for Settings {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// PEM files; those that are none are not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that signed the server's certificate, where the system does not know it.
    pub ca: Option<PathBuf>,
    /// This client's certificate and key, where the server asks for them.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// What is wrong with an address, for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(pub String);

/// Whether a URL can be understood, without connecting.
pub fn check(url: &str) -> Result<(), BadAddress> {
    url.parse::<Address>().map(|_| ())
}

/// Whether two URLs name the same Redis, however they are written.
pub fn are_one(url: &str, other: &str) -> bool {
    matches!((url.parse::<Address>(), other.parse::<Address>()), (Ok(one), Ok(other)) if one == other)
}

/// Whether a URL names sentinels.
pub fn names_sentinels(url: &str) -> bool {
    url.parse().is_ok_and(|address: Address| matches!(address.form, Form::Sentinel { .. }))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub form: Form,
    pub username: Option<String>,
    pub password: Option<String>,
    pub database: i64,
    pub tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Single { host: String, port: u16 },
    Unix { path: PathBuf },
    Cluster { nodes: Vec<(String, u16)> },
    Sentinel { nodes: Vec<(String, u16)>, service: String },
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl std::str::FromStr for Address {
    type Err = BadAddress;

    fn from_str(url: &str) -> Result<Self, BadAddress> {
        let bad = |what: &str| BadAddress(format!("{what}: write it as redis://USER:PASSWORD@HOST:PORT/DATABASE"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("a Redis address has no scheme"))?;
        let scheme = scheme.to_ascii_lowercase().replace("valkey", "redis");
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if scheme == "unix" || scheme == "redis+unix" {
            return unix(rest, query);
        }
        let (tls, form) = match scheme.as_str() {
            "redis" => (false, "single"),
            "rediss" => (true, "single"),
            "redis+cluster" => (false, "cluster"),
            "rediss+cluster" => (true, "cluster"),
            "redis+sentinel" => (false, "sentinel"),
            "rediss+sentinel" => (true, "sentinel"),
            other => {
                return Err(BadAddress(format!(
                    "a Redis address begins with {other:?}: it may be redis, rediss, unix, redis+cluster, redis+sentinel, and the latter two with rediss"
                )));
            }
        };
        if !query.is_empty() {
            return Err(bad("a Redis address has a query"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        let (username, password) = credentials(user)?;
        let port = if form == "sentinel" { SENTINEL_PORT } else { PORT };
        let nodes = hosts.split(',').map(|node| host_and_port(node, port)).collect::<Result<Vec<_>, _>>()?;
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let number = |text: &str| text.parse::<i64>().ok().filter(|n| *n >= 0);
        let (form, database) = match (form, parts.as_slice()) {
            ("sentinel", []) => {
                return Err(BadAddress(
                    "a Sentinel address names no service: write it as redis+sentinel://HOST:PORT,HOST:PORT/SERVICE"
                        .into(),
                ));
            }
            ("sentinel", [service]) => (Form::Sentinel { nodes, service: decoded(service)? }, Some(0)),
            ("sentinel", [service, database]) => {
                (Form::Sentinel { nodes, service: decoded(service)? }, number(database))
            }
            ("cluster", []) => (Form::Cluster { nodes }, Some(0)),
            ("cluster", _) => {
                return Err(BadAddress("a Redis Cluster has one database: the address ends with the hosts".into()));
            }
            (_, parts) => {
                let [(host, port)] = nodes.as_slice() else {
                    return Err(BadAddress(
                        "a Redis address names several hosts: that is redis+cluster:// or redis+sentinel://".into(),
                    ));
                };
                let database = match parts {
                    [] => Some(0),
                    [database] => number(database),
                    _ => None,
                };
                (Form::Single { host: host.clone(), port: *port }, database)
            }
        };
        let database = database.ok_or_else(|| bad("a Redis address ends with what is no number of a database"))?;
        Ok(Self { form, username, password, database, tls })
    }
}

/// `unix:///run/redis.sock?db=2&user=…&pass=…`
fn unix(path: &str, query: &str) -> Result<Address, BadAddress> {
    let mut address = Address {
        form: Form::Unix { path: PathBuf::from(decoded(path)?) },
        username: None,
        password: None,
        database: 0,
        tls: false,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value)?;
        match name {
            "db" => {
                address.database =
                    value.parse().map_err(|_| BadAddress(format!("the socket's address names database {value:?}")))?;
            }
            "user" => address.username = Some(value),
            "pass" => address.password = Some(value),
            other => {
                return Err(BadAddress(format!("the socket's address has {other:?}: db, user and pass are known")));
            }
        }
    }
    Ok(address)
}

fn credentials(user: Option<&str>) -> Result<(Option<String>, Option<String>), BadAddress> {
    let Some(user) = user else { return Ok((None, None)) };
    let (name, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
    let given = |text: &str| Ok(Some(decoded(text)?).filter(|text| !text.is_empty()));
    Ok((given(name)?, password.map_or(Ok(None), given)?))
}

fn host_and_port(node: &str, default: u16) -> Result<(String, u16), BadAddress> {
    let wrong = || BadAddress(format!("{node:?} is no HOST:PORT"));
    let (host, port) = match node.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
        None => node.rsplit_once(':').map_or((node, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(wrong());
    }
    let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| wrong()))?;
    Ok((host.to_owned(), port))
}

fn decoded(text: &str) -> Result<String, BadAddress> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| BadAddress("a Redis address has a percent-encoding that is no UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Address {
        url.parse().unwrap()
    }

    #[test]
    fn an_address_says_where_and_as_whom() {
        let address = parsed("rediss://ada:p%40ss@cache.example.org:6380/3");
        assert_eq!(address.form, Form::Single { host: "cache.example.org".into(), port: 6380 });
        assert_eq!((address.username.as_deref(), address.password.as_deref()), (Some("ada"), Some("p@ss")));
        assert_eq!((address.database, address.tls), (3, true));
        let address = parsed("redis://:secret@[::1]");
        assert_eq!(address.form, Form::Single { host: "::1".into(), port: 6379 });
        assert_eq!((address.username, address.password.as_deref()), (None, Some("secret")));
        assert_eq!(parsed("valkey://a").form, Form::Single { host: "a".into(), port: 6379 });
    }

    #[test]
    fn clusters_and_sentinels_have_several_hosts() {
        let nodes = vec![("a".to_owned(), 1), ("b".to_owned(), 6379)];
        assert_eq!(parsed("redis+cluster://a:1,b").form, Form::Cluster { nodes });
        let nodes = vec![("a".to_owned(), 26379), ("b".to_owned(), 2)];
        let sentinel = parsed("rediss+sentinel://u:p@a,b:2/main/1");
        assert_eq!(sentinel.form, Form::Sentinel { nodes, service: "main".into() });
        assert_eq!((sentinel.database, sentinel.tls), (1, true));
    }

    #[test]
    fn a_socket_is_a_path() {
        let address = parsed("unix:///run/redis.sock?db=2&pass=x");
        assert_eq!(address.form, Form::Unix { path: "/run/redis.sock".into() });
        assert_eq!((address.database, address.password.as_deref()), (2, Some("x")));
    }

    #[test]
    fn one_place_may_be_written_in_two_ways() {
        let at = |url: &str| Settings { url: url.into(), ..Settings::default() };
        assert!(at("redis://a").leads_to_the_same_as(&at("valkey://a:6379/0")));
        assert!(!at("redis://a").leads_to_the_same_as(&at("redis://a/1")));
        assert!(!at("redis://a").leads_to_the_same_as(&at("redis://u:p@a")));
        assert!(!at("redis://a").leads_to_the_same_as(&Settings { prefix: "b:".into(), ..at("redis://a") }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, word) in [
            ("127.0.0.1:6379", "scheme"),
            ("http://a", "http"),
            ("redis://a:port", "a:port"),
            ("redis://a,b", "several hosts"),
            ("redis://a/x", "number"),
            ("redis+cluster://a/1", "one database"),
            ("redis+sentinel://a", "SERVICE"),
            ("redis://", "HOST"),
        ] {
            let error = url.parse::<Address>().unwrap_err().0;
            assert!(error.contains(word), "{url}: {error}");
        }
    }
}
