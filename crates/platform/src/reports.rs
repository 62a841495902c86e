//! Reports of hours and days: what people did, what models took and cost, how quick everything was.
//!
//! What people did is counted from the store's rows, what servers measured from their samples, minute by minute. A report
//! can be made anew while those are kept: [`Platform::roll_up`].

use crate::Platform;
use crate::faults::OrRefuse;
use aim_domain::{Figures, Refusal, Times, Timestamp};
use aim_store::{Activity, ModelTokens, Period, Report, StoreError, Stretch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Reports that are read at a time.
const READ_AT_ONCE: u32 = 500;
/// What was measured in the last minutes of a stretch is stored by then.
const SLACK: Duration = Duration::from_secs(600);

/// The names under which servers measure; what is about one thing of many has its name behind a colon.
pub mod names {
    pub const FIRST_TOKEN: &str = "first-token";
    pub const REPLY: &str = "reply";
    pub const REQUEST: &str = "request";
    pub const QUEUE_WAIT: &str = "queue-wait:";
    pub const CACHE_ASKED: &str = "cache-asked";
    pub const CACHE_HITS: &str = "cache-hits";
    pub const RATE_LIMITED: &str = "rate-limited:";
    pub const USAGE_REFUSED: &str = "usage-refused:";
    pub const PROMPT_TOKENS: &str = "prompt-tokens:";
    pub const COMPLETION_TOKENS: &str = "completion-tokens:";
    pub const MODEL_USES: &str = "model-uses:";
}

/// US dollars for a million tokens, of prompt and completion, by `PROVIDER/MODEL`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(pub BTreeMap<String, (f64, f64)>);

impl Prices {
    /// None for a model without a price.
    fn of(&self, tokens: &ModelTokens) -> Option<f64> {
        let (prompt, completion) = self.0.get(&tokens.model)?;
        let dollars = (tokens.prompt as f64 * prompt + tokens.completion as f64 * completion) / 1e6;
        Some((dollars * 1e6).round() / 1e6)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelReport {
    pub model: String,
    pub prompt: u64,
    pub completion: u64,
    pub requests: u64,
    /// In US dollars; null where no price is configured.
    pub cost: Option<f64>,
}

/// In milliseconds; null where nothing was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quantiles {
    pub count: u64,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
}

impl From<&Times> for Quantiles {
    fn from(times: &Times) -> Self {
        let at = |of| times.quantile(of).map(|time| (time.as_secs_f64() * 1e4).round() / 10.0);
        Self { count: times.count(), p50: at(0.5), p90: at(0.9), p99: at(0.99) }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheReport {
    pub asked: u64,
    pub hits: u64,
    /// 0 to 1; null where nothing was asked.
    pub ratio: Option<f64>,
}

/// One hour or day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeriodReport {
    pub start: Timestamp,
    /// When it was made; a stretch that is not over has a later report.
    pub made_at: Timestamp,
    #[serde(flatten)]
    pub activity: Activity,
    pub models: Vec<ModelReport>,
    /// From the call of the model to its first text.
    pub first_token: Quantiles,
    /// From the claim of a message to its stored reply.
    pub reply: Quantiles,
    /// Of REST calls.
    pub request: Quantiles,
    /// By queue.
    pub queue_waits: BTreeMap<String, Quantiles>,
    pub cache: CacheReport,
    /// Refused calls and messages, by rule.
    pub rate_limited: BTreeMap<String, u64>,
    /// Messages refused because the day's usage was full, by type.
    pub usage_refused: BTreeMap<String, u64>,
}

impl PeriodReport {
    fn of(
        start: Timestamp,
        made_at: Timestamp,
        activity: Activity,
        models: Vec<ModelReport>,
        measured: &Figures,
    ) -> Self {
        let times = |name: &str| measured.times.get(name).map(Quantiles::from).unwrap_or_default();
        let (asked, hits) = (measured.count(names::CACHE_ASKED), measured.count(names::CACHE_HITS));
        let ratio = (asked > 0).then(|| (hits as f64 / asked as f64 * 1e4).round() / 1e4);
        let waits = named(&measured.times, names::QUEUE_WAIT);
        Self {
            start,
            made_at,
            activity,
            models,
            first_token: times(names::FIRST_TOKEN),
            reply: times(names::REPLY),
            request: times(names::REQUEST),
            queue_waits: waits.map(|(queue, times)| (queue, times.into())).collect(),
            cache: CacheReport { asked, hits, ratio },
            rate_limited: named(&measured.counts, names::RATE_LIMITED).map(|(rule, count)| (rule, *count)).collect(),
            usage_refused: named(&measured.counts, names::USAGE_REFUSED).map(|(kind, count)| (kind, *count)).collect(),
        }
    }
}

/// Those whose name begins with `prefix`, by the rest of it.
fn named<'f, T>(figures: &'f BTreeMap<String, T>, prefix: &'f str) -> impl Iterator<Item = (String, &'f T)> {
    figures.iter().filter_map(move |(name, figure)| Some((name.strip_prefix(prefix)?.to_owned(), figure)))
}

fn tokens_of(measured: &Figures) -> Vec<ModelTokens> {
    let mut models: BTreeMap<String, ModelTokens> = BTreeMap::new();
    type Part = fn(&mut ModelTokens) -> &mut u64;
    let parts: [(&str, Part); 3] = [
        (names::PROMPT_TOKENS, |of| &mut of.prompt),
        (names::COMPLETION_TOKENS, |of| &mut of.completion),
        (names::MODEL_USES, |of| &mut of.requests),
    ];
    for (prefix, part) in parts {
        for (model, count) in named(&measured.counts, prefix) {
            let empty = || ModelTokens { model: model.clone(), prompt: 0, completion: 0, requests: 0 };
            *part(models.entry(model.clone()).or_insert_with(empty)) = *count;
        }
    }
    models.into_values().collect()
}

impl Platform {
    /// Makes the report of the hour or day that `at` lies in, from what the store holds now, and keeps it.
    pub async fn roll_up(&self, period: Period, at: Timestamp) -> Result<PeriodReport, StoreError> {
        let start = period.start_of(at);
        let stretch = Stretch { from: start, to: start.plus(period.length()) };
        let measured = self.store.measured(stretch).await?;
        let activity = self.store.activity(stretch).await?;
        // The database knows the tokens of days; those of hours are what servers measured.
        let tokens = match period {
            Period::Day => self.store.tokens_between(&start.day(), &start.day()).await?,
            Period::Hour => tokens_of(&measured),
        };
        let prices = &self.settings.prices;
        let models = tokens
            .into_iter()
            .map(|of| ModelReport {
                cost: prices.of(&of),
                model: of.model,
                prompt: of.prompt,
                completion: of.completion,
                requests: of.requests,
            })
            .collect();
        let report = PeriodReport::of(start, self.ambient.now(), activity, models, &measured);
        let body = serde_json::to_value(&report).map_err(|error| StoreError::Failed(error.to_string()))?;
        self.store.save_report(Report { period, start, body }).await?;
        Ok(report)
    }

    /// What was measured so long ago can still be rolled up.
    pub(crate) fn keeps_samples(&self, period: Period) -> Duration {
        match period {
            // A report that goes at once is none.
            Period::Hour => self.settings.keep_samples.min(self.settings.keep_hour_reports),
            Period::Day => self.settings.keep_samples,
        }
    }

    /// Makes those reports, `most` at the most and the oldest first, whose time is over and that were made before its end or
    /// never, while what was measured then is kept; answers how many. This hour or day and the one before are not its business.
    pub async fn roll_up_missing(&self, period: Period, most: usize) -> Result<usize, StoreError> {
        let now = self.ambient.now();
        let end = period.before(now);
        let kept =
            Timestamp(now.0.saturating_sub(i64::try_from(self.keeps_samples(period).as_millis()).unwrap_or(i64::MAX)));
        // Stretches that began before are not whole any more.
        let from = period.start_of(Timestamp(kept.0.saturating_sub(1))).plus(period.length());
        let mut made = BTreeMap::new();
        let mut next = from;
        while next < end {
            let page = self.store.reports(period, Stretch { from: next, to: end }, READ_AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            next = last.start.plus(period.length());
            made.extend(page.into_iter().map(|report| (report.start, report.body)));
        }
        // Before the first of anything nobody was there.
        let measured = self.store.first_sample(from).await?.map(|at| period.start_of(at));
        let Some(mut at) = measured.into_iter().chain(made.keys().next().copied()).min() else { return Ok(0) };
        let mut count = 0;
        while at < end && count < most {
            let over = at.plus(period.length()).plus(SLACK);
            let made_at =
                made.get(&at).and_then(|body| PeriodReport::deserialize(body).ok()).map(|report| report.made_at);
            if made_at.is_none_or(|made_at| made_at < over) {
                self.roll_up(period, at).await?;
                count += 1;
            }
            at = at.plus(period.length());
        }
        Ok(count)
    }

    /// The reports of a stretch, in order of time, `limit` at most. One that an older release wrote in another form is left out.
    pub async fn reports(&self, period: Period, stretch: Stretch, limit: u32) -> Result<Vec<PeriodReport>, Refusal> {
        let kept = self.store.reports(period, stretch, limit).await.or_refuse()?;
        let read = |report: Report| {
            serde_json::from_value(report.body)
                .inspect_err(
                    |error| tracing::warn!(%error, start = %report.start, "a report cannot be read: make it anew"),
                )
                .ok()
        };
        Ok(kept.into_iter().filter_map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cost_what_their_model_costs() {
        let prices = Prices([("openai/big".to_owned(), (2.5, 10.0))].into());
        let tokens =
            |model: &str| ModelTokens { model: model.into(), prompt: 2_000_000, completion: 100_000, requests: 3 };
        assert_eq!(prices.of(&tokens("openai/big")), Some(6.0));
        assert_eq!(prices.of(&tokens("openai/other")), None);
    }

    #[test]
    fn an_hours_models_are_read_from_what_was_measured() {
        let counts =
            [("prompt-tokens:p/a", 10), ("completion-tokens:p/a", 4), ("model-uses:p/a", 2), ("model-uses:p/b", 1)];
        let measured =
            Figures { counts: counts.map(|(name, count)| (name.to_owned(), count)).into(), ..Default::default() };
        let of = |model: &str, prompt, completion, requests| ModelTokens {
            model: model.into(),
            prompt,
            completion,
            requests,
        };
        assert_eq!(tokens_of(&measured), [of("p/a", 10, 4, 2), of("p/b", 0, 0, 1)]);
    }

    #[test]
    fn a_report_says_null_of_what_nobody_measured() {
        let report = PeriodReport::of(Timestamp(0), Timestamp(1), Activity::default(), Vec::new(), &Figures::default());
        let json = serde_json::to_value(&report).unwrap_or_default();
        assert_eq!(json["cache"], serde_json::json!({ "asked": 0, "hits": 0, "ratio": null }));
        assert_eq!(json["reply"]["p99"], serde_json::Value::Null);
        assert_eq!(json["activeUsers"], 0);
        assert_eq!(serde_json::from_value::<PeriodReport>(json).ok(), Some(report));
    }
}
