//! People who do what a front end does, at a given rate, whether or not what they asked before was answered.
//!
//! Who acts, whose profile and which character they look at are Zipf-distributed. Calls come at random times (Poisson)
//! that are drawn beforehand, so every server gets the same ones; latency counts from the time a call was due.

use crate::Common;
use crate::http::Connection;
use crate::metrics::{Errors, Latency, Meter, Span, Usage, report, round};
use crate::mix::{Arrivals, Call, Due, Mix};
use crate::setup::{self, Account, Conversation};
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

#[derive(Args, Clone)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Accounts
    #[arg(long, default_value_t = 400)]
    users: usize,
    /// Public characters
    #[arg(long, default_value_t = 100)]
    characters: usize,
    /// Conversations of each account
    #[arg(long, default_value_t = 2)]
    conversations: usize,
    /// Messages in each conversation, each with its reply, before the load begins
    #[arg(long, default_value_t = 3)]
    history: usize,
    /// Calls a second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Calls under way at once at the most
    #[arg(long, default_value_t = 128)]
    connections: usize,
    /// Exponent of the Zipf distributions
    #[arg(long, default_value_t = 1.0)]
    zipf: f64,
    /// How often each kind of call comes in one visit; kinds that are not named stay as they are
    #[arg(long, default_value = "")]
    mix: Mix,
    /// Look for the greatest rate whose p99 stays under so many milliseconds, from --rate on
    #[arg(long)]
    p99_bound: Option<f64>,
    /// A shell command, run when the measured span begins and when it ends; the JSON that it prints goes into the report
    #[arg(long)]
    probe: Option<String>,
}

struct World {
    options: Options,
    people: Vec<Person>,
    characters: Vec<String>,
    run: String,
    sent: Cell<u64>,
    /// Where something was said since the last look: person and conversation.
    spoken: RefCell<BTreeSet<(usize, usize)>>,
}

struct Person {
    account: Account,
    /// With the character of each.
    conversations: Vec<(Conversation, String)>,
}

#[derive(Default)]
struct Kind {
    latency: Latency,
    /// From the moment that the call was sent.
    service: Latency,
    count: u64,
}

#[derive(Default)]
struct Results {
    latency: Latency,
    errors: Errors,
    kinds: [Kind; Call::ALL.len()],
    answered: u64,
}

/// What came of one rate.
struct Outcome {
    rate: f64,
    results: Results,
    usage: Usage,
    /// Calls that were due in the span.
    offered: u64,
    /// From the end of the span until no reply was missing.
    settled: Duration,
    probes: Value,
}

#[derive(Deserialize)]
struct State {
    state: String,
    pending: u64,
}

/// A server that is this far behind with its replies when the load ends does not keep up with it.
const BEHIND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);
/// The search ends when the rate that is kept and the one that is not are this close.
const CLOSE: f64 = 1.08;

pub async fn run(options: Options) -> Result<bool> {
    let world = Rc::new(World::build(options).await?);
    tell_history(&world).await?;
    let outcome = match world.options.p99_bound {
        Some(bound) => search(&world, bound).await?,
        None => phase(&world, world.options.rate).await?,
    };
    let options = &world.options;
    let kinds: Map<String, Value> = Call::ALL
        .iter()
        .zip(&outcome.results.kinds)
        .filter(|(_, kind)| kind.count > 0)
        .map(|(call, kind)| {
            let summary = json!({
                "count": kind.count, "latency_ms": kind.latency.summary(), "service_ms": kind.service.summary(),
            });
            (call.name().to_owned(), summary)
        })
        .collect();
    let extra = json!({
        "users": options.users, "characters": options.characters, "mix": options.mix.to_string(),
        "rate": round(outcome.rate, 1), "offered": outcome.offered,
        "settled_s": round(outcome.settled.as_secs_f64(), 2), "calls": kinds, "probes": outcome.probes,
    });
    let results = &outcome.results;
    report("replay", results.answered, &results.latency, &results.errors, &outcome.usage, extra);
    Ok(results.errors.is_empty())
}

impl World {
    async fn build(options: Options) -> Result<Self> {
        let common = &options.common;
        let accounts = setup::accounts(common, options.users).await?;
        let characters = setup::public_characters(common, &accounts, options.characters).await?;
        let mut places = Arrivals::new(&options.mix, options.users, options.characters, options.zipf);
        let pairs: Vec<_> = accounts
            .iter()
            .flat_map(|account| {
                let mut chosen: Vec<String> = Vec::new();
                while chosen.len() < options.conversations.min(characters.len()) {
                    let id = &characters[places.character()];
                    if !chosen.contains(id) {
                        chosen.push(id.clone());
                    }
                }
                chosen.into_iter().map(|id| (account.clone(), id)).collect::<Vec<_>>()
            })
            .collect();
        let opened = setup::open(common, &pairs).await?;
        let mut people: Vec<_> =
            accounts.iter().map(|account| Person { account: account.clone(), conversations: Vec::new() }).collect();
        for (i, (conversation, (_, character))) in opened.into_iter().zip(pairs).enumerate() {
            people[i / options.conversations.min(characters.len())].conversations.push((conversation, character));
        }
        Ok(Self { options, people, characters, run: setup::run_id(), sent: Cell::new(0), spoken: RefCell::default() })
    }

    fn message(&self, person: usize, place: usize) -> String {
        self.spoken.borrow_mut().insert((person, place));
        let n = self.sent.replace(self.sent.get() + 1);
        format!(r#"{{"type":"text","text":"Tell me more of the sea, part {n}","clientId":"{}-{n}"}}"#, self.run)
    }

    /// Waits until every message has its reply; tells how long that took.
    async fn settle(&self) -> Result<Duration> {
        let began = Instant::now();
        let mut connection = Connection::open(&self.options.common.url).await?;
        for (person, place) in self.spoken.take() {
            let (conversation, _) = &self.people[person].conversations[place];
            let path = format!("/api/conversations/{}/state", conversation.id);
            loop {
                let token = &conversation.account.token;
                let now: State = connection.json(Method::GET, &path, token, String::new()).await?;
                if now.pending == 0 && now.state == "idle" {
                    break;
                }
                if began.elapsed() > PATIENCE {
                    bail!("{} still waits for replies {PATIENCE:?} after the load", conversation.id);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(began.elapsed())
    }

    /// Makes one call; tells what is wrong with the answer.
    async fn call(&self, due: &Due, connection: &mut Connection) -> std::result::Result<(), (String, String)> {
        let person = &self.people[due.person];
        let place = due.target % person.conversations.len();
        let (conversation, character) = &person.conversations[place];
        let (mut method, mut body, mut wanted) = (Method::GET, Bytes::new(), StatusCode::OK);
        let (path, named) = match due.call {
            Call::List => ("/api/characters?limit=24".to_owned(), "items"),
            Call::Profile => {
                let uid = &self.people[due.target].account.uid;
                (format!("/api/users/{uid}"), uid.as_str())
            }
            Call::Sheet => {
                let id = &self.characters[due.target];
                (format!("/api/characters/{id}"), id.as_str())
            }
            Call::Conversation => (format!("/api/conversations/{}", conversation.id), conversation.id.as_str()),
            Call::Messages => (messages(&conversation.id), conversation.id.as_str()),
            Call::Usage => (format!("/api/auth/usage/{character}"), "remaining"),
            Call::Send => {
                (method, body, wanted) = (Method::POST, self.message(due.person, place).into(), StatusCode::ACCEPTED);
                (messages(&conversation.id), conversation.id.as_str())
            }
        };
        match connection.call(method, &path, &person.account.token, body).await {
            Ok((status, answer)) if status == wanted => {
                if contains(&answer, named.as_bytes()) {
                    return Ok(());
                }
                Err((format!("wrong_{}", due.call.name()), String::from_utf8_lossy(&answer).into_owned()))
            }
            Ok((status, answer)) => {
                Err((status.as_str().to_owned(), format!("{path}: {}", String::from_utf8_lossy(&answer))))
            }
            Err(error) => Err(("transport".to_owned(), format!("{path}: {error:#}"))),
        }
    }

    async fn probe(&self) -> Result<Value> {
        let Some(command) = self.options.probe.clone() else { return Ok(Value::Null) };
        let output = tokio::task::spawn_blocking(move || Command::new("sh").arg("-c").arg(command).output()).await??;
        if !output.status.success() {
            bail!("the probe failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("the probe prints no JSON")
    }
}

/// Everybody says something, and is answered, before the load begins.
async fn tell_history(world: &Rc<World>) -> Result<()> {
    let conversations = world.people.len() * world.people[0].conversations.len();
    for _ in 0..world.options.history {
        let world_too = world.clone();
        setup::spread(&world.options.common.url, conversations, 8, async move |connection, i| {
            let (person, place) = (i % world_too.people.len(), i / world_too.people.len());
            let (conversation, _) = &world_too.people[person].conversations[place];
            let (path, body) = (messages(&conversation.id), world_too.message(person, place));
            connection.json::<Value>(Method::POST, &path, &conversation.account.token, body).await
        })
        .await?;
        world.settle().await?;
    }
    Ok(())
}

/// One rate, for the warm-up and the measured span.
async fn phase(world: &Rc<World>, rate: f64) -> Result<Outcome> {
    let options = &world.options;
    let results = Rc::new(RefCell::new(Results::default()));
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        connections.push(Connection::open(&options.common.url).await?);
    }
    let span = Span::after(options.common.warmup(), options.common.seconds());
    let arrivals = Arrivals::new(&options.mix, options.users, options.characters, options.zipf);
    let arrivals = Rc::new(Mutex::new(arrivals.at_rate(rate, span.until)));
    let offered = Rc::new(Cell::new(0));
    let mut workers = Vec::new();
    for mut connection in connections {
        let (world, results, arrivals, offered) = (world.clone(), results.clone(), arrivals.clone(), offered.clone());
        workers.push(tokio::task::spawn_local(async move {
            loop {
                let Some(due) = arrivals.lock().await.recv().await else { return };
                offered.set(offered.get() + u64::from(span.counts(due.at)));
                if !span.open() {
                    // What is left of the backlog is counted as unanswered.
                    continue;
                }
                let began = Instant::now();
                let answer = world.call(&due, &mut connection).await;
                let now = Instant::now();
                let mut results = results.borrow_mut();
                match answer {
                    Ok(()) if span.counts(now) => {
                        results.answered += 1;
                        results.latency.record(now - due.at);
                        let kind = &mut results.kinds[due.call as usize];
                        kind.count += 1;
                        kind.latency.record(now - due.at);
                        kind.service.record(now - began);
                    }
                    Ok(()) => {}
                    Err((kind, detail)) => results.errors.add(&kind, detail),
                }
            }
        }));
    }
    let probes = tokio::task::spawn_local({
        let world = world.clone();
        async move {
            tokio::time::sleep_until(span.from.into()).await;
            let before = world.probe().await?;
            tokio::time::sleep_until(span.until.into()).await;
            anyhow::Ok(json!([before, world.probe().await?]))
        }
    });
    let usage = Meter::new(&options.common).watch(span).await;
    for worker in workers {
        worker.await?;
    }
    let probes = probes.await.map_err(|e| anyhow!(e))??;
    let settled = world.settle().await?;
    let results = Rc::into_inner(results).context("all workers have ended")?.into_inner();
    Ok(Outcome { rate, results, usage, offered: offered.get(), settled, probes })
}

impl Outcome {
    fn keeps(&self, bound: f64) -> bool {
        self.results.latency.quantile_ms(0.99) <= bound
            && self.results.answered as f64 >= 0.97 * self.offered as f64
            && self.settled <= BEHIND
            && self.results.errors.is_empty()
    }
}

/// Doubles the rate until it is too much, then closes in. A rate is too much when it was so twice in a row.
async fn search(world: &Rc<World>, bound: f64) -> Result<Outcome> {
    let (mut rate, mut best, mut too_much) = (world.options.rate, None::<Outcome>, None::<f64>);
    loop {
        let mut outcome = phase(world, rate).await?;
        if !outcome.keeps(bound) {
            outcome = phase(world, rate).await?;
        }
        let kept = outcome.keeps(bound);
        eprintln!(
            "{rate:.0} calls/s: p99 {:.2} ms, {} of {} answered, settled in {:.2} s, {}",
            outcome.results.latency.quantile_ms(0.99),
            outcome.results.answered,
            outcome.offered,
            outcome.settled.as_secs_f64(),
            if kept { "kept" } else { "too much" },
        );
        if kept {
            best = Some(outcome);
        } else {
            too_much = Some(rate);
        }
        rate = match (&best, too_much) {
            (Some(best), None) => best.rate * 2.0,
            (Some(best), Some(over)) if over / best.rate > CLOSE => (over * best.rate).sqrt(),
            (Some(_), Some(_)) => break,
            (None, _) if rate > 2.0 => rate / 2.0,
            (None, _) => bail!("not even {rate} calls/s stay under {bound} ms"),
        };
    }
    best.context("no rate was kept")
}

fn messages(conversation: &str) -> String {
    format!("/api/conversations/{conversation}/messages")
}

fn contains(body: &[u8], needle: &[u8]) -> bool {
    body.windows(needle.len()).any(|window| window == needle)
}
