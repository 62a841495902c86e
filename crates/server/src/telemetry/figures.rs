//! What this process measured, minute by minute, for reports: read off its own metrics.

use aim_domain::{Figures, Times};
use aim_platform::Platform;
use aim_platform::reports::names;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);

/// Reads metrics, and remembers how far it has read.
#[derive(Default)]
struct Reader {
    before: BTreeMap<String, f64>,
}

/// `aim_x_total{a="b"} 3` as its name, its labels, and its value.
struct Line<'m> {
    name: &'m str,
    labels: &'m str,
    value: f64,
}

impl<'m> Line<'m> {
    fn parse(line: &'m str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        Some(Self { name, labels, value })
    }

    /// Values with a quote or a backslash in them are none of ours.
    fn label(&self, name: &str) -> Option<&'m str> {
        self.labels.split("\",").find_map(|pair| {
            let (of, value) = pair.split_once("=\"")?;
            (of == name).then(|| value.trim_end_matches('"'))
        })
    }
}

/// The counts that a metric adds to.
fn counts(line: &Line<'_>) -> Vec<String> {
    let with =
        |prefix: &str, label: &str| line.label(label).map(|value| format!("{prefix}{value}")).into_iter().collect();
    match line.name {
        "aim_cache_requests_total" if line.label("result") == Some("miss") => vec![names::CACHE_ASKED.into()],
        "aim_cache_requests_total" => vec![names::CACHE_ASKED.into(), names::CACHE_HITS.into()],
        "aim_rate_limited_total" => with(names::RATE_LIMITED, "rule"),
        "aim_usage_refused_total" => with(names::USAGE_REFUSED, "type"),
        "aim_tokens_total" if line.label("kind") == Some("prompt") => with(names::PROMPT_TOKENS, "model"),
        "aim_tokens_total" => with(names::COMPLETION_TOKENS, "model"),
        "aim_model_uses_total" => with(names::MODEL_USES, "model"),
        _ => Vec::new(),
    }
}

/// The times that a bucket belongs to.
fn times(line: &Line<'_>) -> Option<String> {
    Some(match line.name.strip_suffix("_bucket")? {
        "aim_model_first_token_seconds" => names::FIRST_TOKEN.into(),
        "aim_reply_seconds" => names::REPLY.into(),
        "aim_http_request_seconds" => names::REQUEST.into(),
        "aim_queue_wait_seconds" => format!("{}{}", names::QUEUE_WAIT, line.label("queue")?),
        _ => return None,
    })
}

impl Reader {
    /// What came since the last call; `rendered` is what `/metrics` answers.
    fn read(&mut self, rendered: &str) -> Figures {
        let mut figures = Figures::default();
        // Buckets come in order, each with all that was quicker.
        let mut quicker = 0;
        for line in rendered.lines().filter(|line| !line.starts_with('#')).filter_map(Line::parse) {
            let series = (counts(&line), times(&line));
            if let (names, None) = &series
                && names.is_empty()
            {
                continue;
            }
            let key = format!("{}{}", line.name, line.labels);
            let since = line.value - self.before.insert(key, line.value).unwrap_or(0.0);
            let since = if since > 0.0 { since as u64 } else { 0 };
            match series {
                (names, None) if since > 0 => {
                    for name in names {
                        *figures.counts.entry(name).or_default() += since;
                    }
                }
                (_, Some(name)) => {
                    let (bucket, is_first) = bucket(&line);
                    let here = if is_first { since } else { since.saturating_sub(quicker) };
                    quicker = since;
                    if here > 0 {
                        let buckets = std::iter::repeat_n(0, bucket).chain([here]);
                        figures.times.entry(name).or_default().add(&Times::of(buckets));
                    }
                }
                _ => {}
            }
        }
        figures
    }
}

/// Which bucket a line is of, and whether it is the first.
fn bucket(line: &Line<'_>) -> (usize, bool) {
    let bounds = &aim_domain::figures::BOUNDS;
    let bound = line.label("le").and_then(|le| le.parse::<f64>().ok()).filter(|bound| bound.is_finite());
    let at = bound.and_then(|bound| bounds.iter().position(|of| *of >= bound)).unwrap_or(bounds.len());
    (at, at == 0)
}

/// Hands in every minute's figures until `stop`, and then those of the minute that was not over.
pub async fn hand_in(platform: Platform, stop: CancellationToken) {
    let mut reader = Reader::default();
    let minute = i64::try_from(MINUTE.as_millis()).unwrap_or(i64::MAX);
    let mut at = platform.ambient.now();
    loop {
        let next = aim_domain::Timestamp(at.0 - at.0.rem_euclid(minute)).plus(MINUTE);
        let is_over = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(next.since(platform.ambient.now())) => false,
        };
        let began = aim_domain::Timestamp(at.0 - at.0.rem_euclid(minute));
        platform.hand_in_figures(began, reader.read(&super::rendered())).await;
        if is_over {
            return;
        }
        at = platform.ambient.now().max(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "# TYPE aim_rate_limited_total counter
aim_rate_limited_total{rule=\"api\"} 3
aim_cache_requests_total{family=\"character\",result=\"hit\",level=\"near\"} 10
aim_cache_requests_total{family=\"character\",result=\"miss\",level=\"store\"} 2
aim_tokens_total{kind=\"prompt\",model=\"openai/big\"} 100
aim_sockets 7
aim_http_request_seconds_bucket{method=\"GET\",route=\"/a\",le=\"0.0005\"} 5
aim_http_request_seconds_bucket{method=\"GET\",route=\"/a\",le=\"0.001\"} 8
aim_http_request_seconds_bucket{method=\"GET\",route=\"/a\",le=\"+Inf\"} 9
aim_http_request_seconds_sum{method=\"GET\",route=\"/a\"} 0.1
aim_http_request_seconds_bucket{method=\"GET\",route=\"/b\",le=\"0.0005\"} 1
aim_http_request_seconds_bucket{method=\"GET\",route=\"/b\",le=\"0.001\"} 1
aim_http_request_seconds_bucket{method=\"GET\",route=\"/b\",le=\"+Inf\"} 1
";

    #[test]
    fn what_came_since_the_last_look_is_read_off_the_metrics() {
        let mut reader = Reader::default();
        let figures = reader.read(FIRST);
        let count = |figures: &Figures, name: &str| figures.count(name);
        assert_eq!(count(&figures, "rate-limited:api"), 3);
        assert_eq!((count(&figures, "cache-asked"), count(&figures, "cache-hits")), (12, 10));
        assert_eq!(count(&figures, "prompt-tokens:openai/big"), 100);
        let slow = std::iter::repeat_n(0, aim_domain::figures::BOUNDS.len() - 2).chain([1]);
        assert_eq!(figures.times["request"], Times::of([6, 3].into_iter().chain(slow)));

        let later = FIRST.replace("rule=\"api\"} 3", "rule=\"api\"} 4").replace("le=\"+Inf\"} 9", "le=\"+Inf\"} 11");
        let figures = reader.read(&later);
        assert_eq!(figures.counts, [("rate-limited:api".to_owned(), 1)].into());
        assert_eq!(figures.times["request"].count(), 2);
        assert!(reader.read(&later).is_empty());
    }
}
