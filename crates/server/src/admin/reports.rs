//! `GET /api/admin/reports`: hours and days, as JSON and CSV.

mod csv;

use crate::http::problem::Result;
use crate::http::{Admin, Asked, Site};
use aim_domain::{Refusal, Timestamp};
use aim_platform::reports::PeriodReport;
use aim_store::{Period, Stretch};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
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

/// What a file of CSV holds: one line for each hour or day, or what each of these has of many things, one line for each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Table {
    #[default]
    Summary,
    /// `start,model,promptTokens,completionTokens,requests,costUsd`
    Models,
    /// `start,queue,count,p50Ms,p90Ms,p99Ms`
    Waits,
    /// `start,limit,name,refused`, where `limit` is `rate` or `usage`
    Limits,
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
    /// With `csv`: `summary`, a line for each hour or day, with sums over all models and limits, and waits for replies; or a
    /// line for each hour or day and model (`models`), queue (`waits`) or refused rule and type (`limits`)
    #[serde(default)]
    #[param(inline)]
    table: Table,
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
    if query.table != Table::Summary && !matches!(query.format, Format::Csv) {
        return Err(Refusal::invalid("table", "is for `format=csv`: JSON has all of it").into());
    }
    if from >= to {
        return Err(Refusal::invalid("from", "must be before `to`").into());
    }
    let items = site.platform.reports(period, Stretch { from, to }, MOST).await?;
    Ok(match query.format {
        Format::Json => Json(ReportsAnswer { period, from, to, items }).into_response(),
        Format::Csv => {
            let (of, text) = match query.table {
                Table::Summary => ("", csv::summary(&items)),
                Table::Models => ("-models", csv::models(&items)),
                Table::Waits => ("-waits", csv::waits(&items)),
                Table::Limits => ("-limits", csv::limits(&items)),
            };
            let name = format!("attachment; filename=\"aim-{}s{of}-{}.csv\"", period.as_str(), from.day());
            let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
            (headers, text).into_response()
        }
    })
}
