//! Reports as tables for spreadsheets: comma-separated, CRLF, a line of names first.

use aim_platform::reports::{PeriodReport, Quantiles};
use std::fmt::Write;

const COLUMNS: &str = "start,activeUsers,newUsers,textMessages,audioMessages,imageMessages,replies,failedReplies,\
    cancelledReplies,upgrades,downgrades,promptTokens,completionTokens,modelRequests,costUsd,firstTokenP50Ms,\
    firstTokenP99Ms,replyP50Ms,replyP90Ms,replyP99Ms,requestP50Ms,requestP99Ms,replyWaitP50Ms,replyWaitP99Ms,\
    cacheHitRatio,rateLimited,usageRefused";

/// A line each, of numbers and times alone; an empty field where nothing was measured.
pub(super) fn summary(items: &[PeriodReport]) -> String {
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

/// A line for each report and model.
pub(super) fn models(items: &[PeriodReport]) -> String {
    let mut text = "start,model,promptTokens,completionTokens,requests,costUsd\r\n".to_owned();
    for (of, model) in items.iter().flat_map(|of| of.models.iter().map(move |model| (of, model))) {
        let cost = model.cost.map(|cost| cost.to_string()).unwrap_or_default();
        let (prompt, completion, requests) = (model.prompt, model.completion, model.requests);
        let _ = write!(text, "{},{},{prompt},{completion},{requests},{cost}\r\n", of.start, field(&model.model));
    }
    text
}

/// A line for each report and queue.
pub(super) fn waits(items: &[PeriodReport]) -> String {
    let mut text = "start,queue,count,p50Ms,p90Ms,p99Ms\r\n".to_owned();
    for (of, (queue, waits)) in items.iter().flat_map(|of| of.queue_waits.iter().map(move |waits| (of, waits))) {
        let [p50, p90, p99] =
            [waits.p50, waits.p90, waits.p99].map(|wait| wait.map(|wait| wait.to_string()).unwrap_or_default());
        let _ = write!(text, "{},{},{},{p50},{p90},{p99}\r\n", of.start, field(queue), waits.count);
    }
    text
}

/// A line for each report and each rule or type by which somebody was refused.
pub(super) fn limits(items: &[PeriodReport]) -> String {
    let mut text = "start,limit,name,refused\r\n".to_owned();
    for of in items {
        let rates = of.rate_limited.iter().map(|refused| ("rate", refused));
        for (limit, (name, count)) in rates.chain(of.usage_refused.iter().map(|refused| ("usage", refused))) {
            let _ = write!(text, "{},{limit},{},{count}\r\n", of.start, field(name));
        }
    }
    text
}

/// A name as a field; models are named by their providers, who may choose anything. What begins like a formula is text to
/// spreadsheets only behind an apostrophe.
fn field(name: &str) -> String {
    let escaped = if name.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{name}") } else { name.to_owned() };
    match escaped.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", escaped.replace('"', "\"\"")),
        false => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_as_many_fields_as_its_head_and_names_cannot_break_out() {
        let report: PeriodReport = serde_json::from_value(serde_json::json!({
            "start": "2026-11-23T04:00:00.000Z", "madeAt": "2026-11-23T05:00:00.000Z", "activeUsers": 2, "newUsers": 1,
            "textMessages": 9, "audioMessages": 0, "imageMessages": 0, "replies": 9, "failedReplies": 0, "cancelledReplies": 0,
            "upgrades": 0, "downgrades": 0,
            "models": [
                { "model": "p/a", "prompt": 10, "completion": 5, "requests": 9, "cost": 0.25 },
                { "model": "=p/\"b\",c", "prompt": 1, "completion": 2, "requests": 3, "cost": null },
            ],
            "firstToken": { "count": 0, "p50": null, "p90": null, "p99": null },
            "reply": { "count": 9, "p50": 800.0, "p90": 900.5, "p99": 990.0 },
            "request": { "count": 0, "p50": null, "p90": null, "p99": null },
            "queueWaits": { "email": { "count": 4, "p50": 2.5, "p90": 9.0, "p99": null } },
            "cache": { "asked": 0, "hits": 0, "ratio": null }, "rateLimited": { "api": 4 }, "usageRefused": { "text": 2 },
        }))
        .unwrap_or_else(|error| unreachable!("{error}"));
        let text = summary(std::slice::from_ref(&report));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
        assert_eq!(lines[1], "2026-11-23T04:00:00.000Z,2,1,9,0,0,9,0,0,0,0,11,7,12,0.25,,,800,900.5,990,,,,,,4,2");

        let rest = |text: String, head: &str| {
            let mut lines = text.split_terminator("\r\n").map(str::to_owned);
            assert_eq!(lines.next().as_deref(), Some(head));
            lines.collect::<Vec<_>>()
        };
        let (items, at) = ([report], "2026-11-23T04:00:00.000Z");
        let models = rest(models(&items), "start,model,promptTokens,completionTokens,requests,costUsd");
        assert_eq!(models, [format!("{at},p/a,10,5,9,0.25"), format!("{at},\"'=p/\"\"b\"\",c\",1,2,3,")]);
        assert_eq!(rest(waits(&items), "start,queue,count,p50Ms,p90Ms,p99Ms"), [format!("{at},email,4,2.5,9,")]);
        let limits = rest(limits(&items), "start,limit,name,refused");
        assert_eq!(limits, [format!("{at},rate,api,4"), format!("{at},usage,text,2")]);
    }
}
