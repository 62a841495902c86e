//! `GET /api/admin/reports`: hours and days, as JSON and CSV.

use crate::http::problem::Result;
use crate::http::{Admin, Asked, Site};
use aim_domain::{Refusal, Timestamp};
use aim_platform::reports::{PeriodReport, Quantiles};
use aim_store::{Period, Stretch};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Two months of hours.
const MOST: u32 = 1_500;

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Csv,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportsQuery {
    /// `hour` or `day`; `day` unless given
    #[param(inline)]
    period: Option<Period>,
    /// The first moment, a day (`2026-11-23`) or a time in RFC 3339; two days, or thirty, before `to` unless given
    from: Option<String>,
    /// The moment after the last: a time, or a day, which is included; now unless given
    to: Option<String>,
    /// `json` or `csv`
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

#[derive(Serialize, ToSchema)]
struct ReportsAnswer {
    period: Period,
    from: Timestamp,
    to: Timestamp,
    /// In order of time, 1,500 at most. An hour or day in which nothing was reported is missing.
    items: Vec<PeriodReport>,
}

fn moment(field: &'static str, text: &str) -> Result<Timestamp, Refusal> {
    let wrong = || Refusal::invalid(field, "must be a day such as 2026-11-23, or a time such as 2026-11-23T04:00:00Z");
    Timestamp::parse_day(text).or_else(|| Timestamp::parse(text)).ok_or_else(wrong)
}

/// What people did, what models took, and how quick everything was, by hour or day
#[utoipa::path(
    get, path = "/api/admin/reports", tag = "admin", params(ReportsQuery),
    responses((status = 200, description = "The reports; as text/csv with `format=csv`", body = ReportsAnswer)),
)]
pub(super) async fn reports(State(site): State<Site>, _: Admin, Asked(query): Asked<ReportsQuery>) -> Result<Response> {
    let period = query.period.unwrap_or(Period::Day);
    let to = match query.to.as_deref() {
        None => site.platform.ambient.now().plus(Duration::from_millis(1)),
        Some(text) => match Timestamp::parse_day(text) {
            Some(day) => day.plus(Period::Day.length()),
            None => moment("to", text)?,
        },
    };
    let from = match query.from.as_deref() {
        Some(text) => moment("from", text)?,
        None => {
            let length = match period {
                Period::Hour => Period::Day.length() * 2,
                Period::Day => Period::Day.length() * 30,
            };
            Timestamp(to.0.saturating_sub(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
        }
    };
    if from >= to {
        return Err(Refusal::invalid("from", "must be before `to`").into());
    }
    let items = site.platform.reports(period, Stretch { from, to }, MOST).await?;
    Ok(match query.format {
        Format::Json => Json(ReportsAnswer { period, from, to, items }).into_response(),
        Format::Csv => {
            let name = format!("attachment; filename=\"aim-{}s-{}.csv\"", period.as_str(), from.day());
            let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
            (headers, csv(&items)).into_response()
        }
    })
}

const COLUMNS: &str = "start,activeUsers,newUsers,textMessages,audioMessages,imageMessages,replies,failedReplies,\
    cancelledReplies,upgrades,downgrades,promptTokens,completionTokens,modelRequests,costUsd,firstTokenP50Ms,\
    firstTokenP99Ms,replyP50Ms,replyP90Ms,replyP99Ms,requestP50Ms,requestP99Ms,replyWaitP50Ms,replyWaitP99Ms,\
    cacheHitRatio,rateLimited,usageRefused";

/// A line each, of numbers and times alone; an empty field where nothing was measured.
fn csv(items: &[PeriodReport]) -> String {
    let mut text = format!("{COLUMNS}\r\n");
    for of in items {
        let waits = of.queue_waits.get(aim_backbone::queue::AI_RESPONSE).cloned().unwrap_or_default();
        let sum = |part: fn(&aim_platform::reports::ModelReport) -> u64| of.models.iter().map(part).sum::<u64>();
        let cost = of.models.iter().filter_map(|model| model.cost).reduce(|sum, cost| sum + cost);
        let activity = &of.activity;
        let counts = [
            activity.active_users,
            activity.new_users,
            activity.text_messages,
            activity.audio_messages,
            activity.image_messages,
            activity.replies,
            activity.failed_replies,
            activity.cancelled_replies,
            activity.upgrades,
            activity.downgrades,
            sum(|model| model.prompt),
            sum(|model| model.completion),
            sum(|model| model.requests),
        ];
        let p50 = |quantiles: &Quantiles| quantiles.p50;
        let measured = [
            cost,
            p50(&of.first_token),
            of.first_token.p99,
            p50(&of.reply),
            of.reply.p90,
            of.reply.p99,
            p50(&of.request),
            of.request.p99,
            p50(&waits),
            waits.p99,
            of.cache.ratio,
        ];
        let refused = [of.rate_limited.values().sum::<u64>(), of.usage_refused.values().sum()];
        let _ = write!(text, "{}", of.start);
        counts.iter().for_each(|count| {
            let _ = write!(text, ",{count}");
        });
        measured.iter().for_each(|figure| {
            let figure = figure.map(|figure| figure.to_string()).unwrap_or_default();
            let _ = write!(text, ",{figure}");
        });
        refused.iter().for_each(|count| {
            let _ = write!(text, ",{count}");
        });
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_csv_has_as_many_fields_as_its_head() {
        let report: PeriodReport = serde_json::from_value(serde_json::json!({
            "start": "2026-11-23T04:00:00.000Z", "madeAt": "2026-11-23T05:00:00.000Z", "activeUsers": 2, "newUsers": 1,
            "textMessages": 9, "audioMessages": 0, "imageMessages": 0, "replies": 9, "failedReplies": 0, "cancelledReplies": 0,
            "upgrades": 0, "downgrades": 0,
            "models": [{ "model": "p/a", "prompt": 10, "completion": 5, "requests": 9, "cost": 0.25 }],
            "firstToken": { "count": 0, "p50": null, "p90": null, "p99": null },
            "reply": { "count": 9, "p50": 800.0, "p90": 900.5, "p99": 990.0 },
            "request": { "count": 0, "p50": null, "p90": null, "p99": null },
            "queueWaits": {}, "cache": { "asked": 0, "hits": 0, "ratio": null }, "rateLimited": { "api": 4 }, "usageRefused": {},
        }))
        .unwrap_or_else(|error| unreachable!("{error}"));
        let text = csv(&[report]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
        assert_eq!(lines[1], "2026-11-23T04:00:00.000Z,2,1,9,0,0,9,0,0,0,0,10,5,9,0.25,,,800,900.5,990,,,,,,4,0");
    }
}
