//! `aim doctor`: tries what a server needs, one thing after the other, and says what to do where it fails.

use super::{offline, say};
use crate::admin::board;
use crate::config::{Config, Loaded};
use crate::{app, pages};
use aim_ai::Provider;
use aim_backbone::link::{Links, Passage};
use aim_backbone::queue::{AI_RESPONSE, EMAIL};
use aim_domain::Ambient;
use anyhow::{Context, ensure};
use std::path::Path;
use std::time::Duration;

/// A Redis that has not let us in by then is said to be away.
const REDIS_PATIENCE: Duration = Duration::from_secs(3);

/// How one thing is.
enum Finding {
    Fine(String),
    /// It works, and could be better.
    Mind(String),
    /// It does not work, and what to do.
    Wrong(String),
}
use Finding::{Fine, Mind, Wrong};

pub(super) async fn run(loaded: &Loaded) -> anyhow::Result<()> {
    let config = &loaded.config;
    let mut findings = vec![("configuration", Fine("is valid".to_owned()))];
    findings.extend(loaded.warnings.iter().map(|warning| ("configuration", Mind(warning.clone()))));
    findings.push(("data folder", folder(&config.data.dir)));
    findings.push(("database", database(config).await));
    findings.push(("redis", redis(config).await));
    findings.push(("address", address(config).await));
    findings.push(("model", model(config).await));
    findings.push(("mail", mail(config).await));
    findings.push(("page", page()));
    let mut wrong = 0;
    for (what, finding) in &findings {
        let (mark, text) = match finding {
            Fine(text) => ("ok   ", text),
            Mind(text) => ("mind ", text),
            Wrong(text) => {
                wrong += 1;
                ("WRONG", text)
            }
        };
        say(&format!("{mark}  {what:<13}  {text}"))?;
    }
    ensure!(wrong == 0, "{wrong} of {} things are wrong.", findings.len());
    say("All is well: `aim serve` can start.")
}

fn folder(dir: &Path) -> Finding {
    let shown = dir.display();
    let try_it = || {
        std::fs::create_dir_all(dir)?;
        let probe = dir.join(".aim-doctor");
        std::fs::write(&probe, b"a probe")?;
        std::fs::remove_file(&probe)
    };
    match try_it() {
        Ok(()) => Fine(format!("{shown} can be written")),
        Err(error) => {
            Wrong(format!("{shown} cannot be written ({error}): change its owner, or name another with AIM_DATA__DIR"))
        }
    }
}

async fn database(config: &Config) -> Finding {
    let try_it = async {
        let store = offline::store(config).await?;
        store.ping().await.context("it does not answer")
    };
    let remedy = match config.database.is_postgres() {
        true => "start the server, give the user its rights and the database its place, or name another",
        false => "free the disk, change the owner, or name another",
    };
    match try_it.await {
        Ok(()) => Fine(format!("{} opens and answers", config.database_name())),
        Err(error) => Wrong(format!("{error:#}: {remedy} with AIM_DATABASE__URL")),
    }
}

async fn redis(config: &Config) -> Finding {
    let Some(settings) = config.redis.settings(&config.queue) else {
        return Fine("is not used: one server does all by itself".to_owned());
    };
    let links = match Links::open(settings) {
        Ok(links) => links,
        Err(error) => return Wrong(format!("{error}; see AIM_REDIS__URL")),
    };
    let (mut away, mut refusing, mut evicting) = (Vec::new(), Vec::new(), Vec::new());
    for link in links.each() {
        if !link.ready(REDIS_PATIENCE).await {
            away.push(link.name());
        } else if link.passage() != Passage::Open {
            refusing.push(link.name());
        } else if link.name() != "cache"
            && link.health().await.memory.is_some_and(|memory| memory.limit > 0 && memory.policy != "noeviction")
        {
            evicting.push(link.name());
        }
    }
    match (away.is_empty(), refusing.is_empty(), evicting.is_empty()) {
        (true, true, true) => Fine("answers, reads and writes".to_owned()),
        (true, false, _) => {
            Wrong(format!("takes no writes ({}): it is a replica, or its memory or disk is full", refusing.join(", ")))
        }
        (true, true, false) => Mind(format!(
            "answers, and may throw away what queues and limits need ({}): set maxmemory-policy to noeviction, or give the cache a Redis of its own with AIM_REDIS__CACHE_URL",
            evicting.join(", ")
        )),
        (false, ..) => Wrong(format!(
            "does not answer or does not let this server in ({}): start it, or see AIM_REDIS__URL. Servers start without it, and each goes on by itself",
            away.join(", ")
        )),
    }
}

async fn address(config: &Config) -> Finding {
    let (host, port) = (config.http.host.trim_matches(['[', ']']), config.http.port);
    match tokio::net::TcpListener::bind((host, port)).await {
        Ok(_) => Fine(format!("{host} port {port} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Mind(format!("{host} port {port} is in use: by a server that runs already, or set AIM_HTTP__PORT"))
        }
        Err(error) => Wrong(format!("{host} port {port}: {error}; set AIM_HTTP__HOST and AIM_HTTP__PORT")),
    }
}

async fn model(config: &Config) -> Finding {
    if config.workers.has_foreign(AI_RESPONSE) && !app::has_own_model(config) {
        return Fine("workers of the queue ai-response generate; without Redis nobody does".to_owned());
    }
    let name = config.model_name();
    if config.ai.provider == Provider::Local {
        let file = &config.ai.local.model_path;
        return match () {
            () if !cfg!(feature = "local-model") => Wrong(
                "this build has no built-in model: build it with `--features local-model`, or set AIM_AI__PROVIDER"
                    .to_owned(),
            ),
            () if !file.is_file() => Wrong(format!(
                "{} is not there: `make model` fetches it, AIM_AI__LOCAL__MODEL_PATH names another, or set AIM_AI__PROVIDER",
                file.display()
            )),
            () => Mind(format!(
                "the built-in {name} answers: right to try things out; AIM_AI__PROVIDER connects a better one"
            )),
        };
    }
    let provider = config.ai.provider.as_str();
    let checked = match app::model(config, &Ambient::system()) {
        Ok(model) => model.check().await.map_err(|error| error.detail),
        Err(error) => Err(format!("{error:#}")),
    };
    match checked {
        Ok(()) => Fine(format!("{provider} answers; {name} is to reply")),
        Err(why) => Wrong(format!("{provider}: {why}; see AIM_AI__BASE_URL, AIM_AI__MODEL and AIM_AI__API_KEY")),
    }
}

async fn mail(config: &Config) -> Finding {
    let post = match app::post(config) {
        Ok(Some(post)) => post,
        Ok(None) => return Mind("none is sent: set AIM_MAIL__URL to a mail server".to_owned()),
        Err(error) => return Wrong(format!("{error:#}; see AIM_MAIL__URL and AIM_MAIL__CA_FILE")),
    };
    let place = post.carrier.place();
    match post.carrier.check().await {
        Ok(()) if config.workers.has_foreign(EMAIL) && config.mail.url.is_empty() => Fine(format!("goes to {place}")),
        Ok(()) if config.mail.url.is_empty() => Fine(format!("goes to {place}; /dev/mails shows it")),
        Ok(()) => Fine(format!("{place} answers; mails are from {}", config.mail_from())),
        Err(fault) => Wrong(format!("{place}: {fault}; see AIM_MAIL__URL")),
    }
}

fn page() -> Finding {
    if pages::is_built() && board::is_built() {
        Fine("is built in, and that of the queues".to_owned())
    } else {
        Mind("is not built in: `make page`, then build the server again; the API works without it".to_owned())
    }
}
