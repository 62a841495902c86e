//! How single settings are written: secrets, lengths of time, addresses and origins.

use aim_platform::reports::Prices;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A secret that shows itself nowhere.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for whoever has to show it to a third party.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "hidden" })
    }
}

/// Units of a length of time, with their milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?))
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(text.trim()).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "{text:?} is no length of time; write it as \"250ms\", \"30s\", \"15m\", \"24h\" or \"30d\""
        ))
    })
}

/// `MODEL=PROMPT/COMPLETION`, in US dollars for a million tokens.
pub(super) fn prices<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Prices, D::Error> {
    let price = |text: &String| {
        let (model, price) = text.rsplit_once('=')?;
        let (prompt, completion) = price.split_once('/')?;
        let dollars = |text: &str| text.trim().parse().ok().filter(|price: &f64| price.is_finite() && *price >= 0.0);
        Some((model.trim().to_owned(), (dollars(prompt)?, dollars(completion)?)))
    };
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text| {
        price(text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is no price; write it as \"openai/gpt-4o=2.5/10\", dollars for a million tokens of prompt and of reply"
            ))
        })
    };
    Ok(Prices(texts.iter().map(read).collect::<Result<_, _>>()?))
}

/// Networks, or single addresses.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let network = |text: &String| {
        let text = text.trim();
        text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    texts
        .iter()
        .map(|text| {
            let wrong = || format!("{text:?} is neither an address nor a network such as 10.0.0.0/8");
            network(text).ok_or_else(|| serde::de::Error::custom(wrong()))
        })
        .collect()
}

/// Origins as browsers send them: scheme, host and port, nothing after it.
pub(super) fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .into_iter()
        .map(|text| {
            let origin = text.trim().trim_end_matches('/').to_ascii_lowercase();
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
            if host.is_empty() || host.contains(['/', '*', '?', '#', '@', ' ']) {
                return Err(serde::de::Error::custom(format!(
                    "{text:?} is no origin; write it as \"https://chat.example.org\", each site by itself"
                )));
            }
            Ok(origin)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit() {
        assert_eq!(parse_duration("30d"), Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        for wrong in ["", "30", "s", "-1s", "1.5s", "3 weeks", "99999999999999999999d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?} {:?}", Secret::new("sk-1234"), Secret::default()), "hidden none");
    }
}
