//! What people ask for, how often, and when: the calls of `replay`, drawn from one seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// GET /api/characters
    List,
    /// GET /api/users/{uid}
    Profile,
    /// GET /api/characters/{id}
    Sheet,
    /// GET /api/conversations/{id}
    Conversation,
    /// GET /api/conversations/{id}/messages
    Messages,
    /// GET /api/auth/usage/{characterId}
    Usage,
    /// POST /api/conversations/{id}/messages; the model answers
    Send,
}

impl Call {
    pub const ALL: [Self; 7] =
        [Self::List, Self::Profile, Self::Sheet, Self::Conversation, Self::Messages, Self::Usage, Self::Send];

    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Profile => "profile",
            Self::Sheet => "sheet",
            Self::Conversation => "conversation",
            Self::Messages => "messages",
            Self::Usage => "usage",
            Self::Send => "send",
        }
    }
}

/// Calls of one visit: the list of characters; the sheets of eight, each with its author; then a conversation, its
/// messages, the usage before and after; every other visit sends a message.
#[derive(Clone, Debug)]
pub struct Mix([f64; Call::ALL.len()]);

impl Default for Mix {
    fn default() -> Self {
        Self([1.0, 8.0, 8.0, 1.0, 1.0, 2.0, 0.5])
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `list=0,send=1`
    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, often) = part.split_once('=').ok_or("kind=number is needed")?;
            let call = Call::ALL.into_iter().find(|call| call.name() == name).ok_or(format!("no kind {name}"))?;
            let often = often.parse().ok().filter(|often| *often >= 0.0).ok_or(format!("no number {often}"))?;
            mix.0[call as usize] = often;
        }
        if mix.0.iter().sum::<f64>() > 0.0 { Ok(mix) } else { Err("nothing is left".into()) }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parts: Vec<_> =
            Call::ALL.iter().zip(self.0).map(|(call, often)| format!("{}={often}", call.name())).collect();
        f.write_str(&parts.join(","))
    }
}

/// One call that is due.
pub struct Due {
    pub at: Instant,
    pub call: Call,
    pub person: usize,
    /// Whose profile, which character, which of the person's conversations.
    pub target: usize,
}

pub struct Arrivals {
    random: SmallRng,
    calls: Vec<f64>,
    people: Vec<f64>,
    characters: Vec<f64>,
}

impl Arrivals {
    pub fn new(mix: &Mix, people: usize, characters: usize, zipf: f64) -> Self {
        Self {
            random: SmallRng::seed_from_u64(1),
            calls: summed(mix.0.into_iter()),
            people: summed((1..=people).map(|rank| (rank as f64).powf(-zipf))),
            characters: summed((1..=characters).map(|rank| (rank as f64).powf(-zipf))),
        }
    }

    /// A character, the popular ones more often.
    pub fn character(&mut self) -> usize {
        drawn(&self.characters, &mut self.random)
    }

    fn next(&mut self, at: Instant) -> Due {
        let random = &mut self.random;
        let call = Call::ALL[drawn(&self.calls, random)];
        let person = drawn(&self.people, random);
        let target = match call {
            Call::Profile => drawn(&self.people, random),
            Call::Sheet => drawn(&self.characters, random),
            _ => random.random_range(0..1_000_000),
        };
        Due { at, call, person, target }
    }

    /// Calls from now until `until`. They are told by a thread of its own: the runtime's timers tick in milliseconds.
    pub fn at_rate(mut self, rate: f64, until: Instant) -> UnboundedReceiver<Due> {
        let (tell, told) = unbounded_channel();
        std::thread::spawn(move || {
            let mut at = Instant::now();
            loop {
                let until_next = -(1.0 - self.random.random::<f64>()).ln() / rate;
                at += Duration::from_secs_f64(until_next);
                if at >= until {
                    return;
                }
                let wait = at.saturating_duration_since(Instant::now());
                if wait > Duration::from_micros(20) {
                    std::thread::sleep(wait);
                }
                if tell.send(self.next(at)).is_err() {
                    return;
                }
            }
        });
        told
    }
}

fn summed(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut total = 0.0;
    weights
        .map(|weight| {
            total += weight;
            total
        })
        .collect()
}

fn drawn(sums: &[f64], random: &mut SmallRng) -> usize {
    let point = random.random::<f64>() * sums[sums.len() - 1];
    sums.partition_point(|&sum| sum <= point).min(sums.len() - 1)
}
