//! The rate limits as a client sees them: the headers `RateLimit-Policy` and `RateLimit` of the IETF's draft.

use aim_backbone::limits::{Standing, Verdict};
use aim_domain::{Code, Refusal};
use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write;
use std::time::Duration;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// What a handler's own question to the limiter gave, for the door to tell; it rides in the response's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Counted(pub Standing);

impl Counted {
    pub fn of(verdict: &Verdict) -> Option<Self> {
        verdict.tightest().copied().map(Self)
    }
}

/// What a verdict that refuses says to the caller.
pub(super) fn refusal(verdict: &Verdict) -> Option<Refusal> {
    let (index, wait) = verdict.refused?;
    let rule = verdict.standings.get(index).map_or("a limit", |standing| standing.rule.as_str());
    let detail = format!("Too many requests ({rule}). Try again in {} s.", seconds(wait).max(1));
    Some(Refusal::new(Code::RateLimited, detail).retry_after(wait))
}

/// Of two standings the one to tell: that with less left.
pub(super) fn tighter(one: Option<Standing>, other: Option<Standing>) -> Option<Standing> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining <= one.remaining { other } else { one }),
        (one, other) => one.or(other),
    }
}

pub(super) fn write(standing: &Standing, headers: &mut HeaderMap) {
    let rule = standing.rule.as_str();
    let mut text = BytesMut::with_capacity(96);
    let _ = write!(text, "\"{rule}\";q={};w={}", standing.limit, standing.window.as_secs());
    let policy = text.split().freeze();
    let _ = write!(text, "\"{rule}\";r={};t={}", standing.remaining, seconds(standing.reset));
    if let (Ok(policy), Ok(standing)) =
        (HeaderValue::from_maybe_shared(policy), HeaderValue::from_maybe_shared(text.freeze()))
    {
        headers.insert(POLICY, policy);
        headers.insert(STANDING, standing);
    }
}

/// Whole seconds, and never too few.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aim_domain::Rule;

    #[test]
    fn the_headers_have_the_drafts_form() {
        let standing = Standing {
            rule: Rule::Messaging,
            limit: 10,
            window: Duration::from_secs(60),
            remaining: 3,
            reset: Duration::from_millis(20_001),
        };
        let mut headers = HeaderMap::new();
        write(&standing, &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"messaging\";q=10;w=60");
        assert_eq!(headers["ratelimit"], "\"messaging\";r=3;t=21");
    }
}
