//! Rate limits at the door: which questions each way in puts to the limiter, and what a refusal says.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_backbone::bus::Origin;
use aim_backbone::limits::{Ask, Verdict};
use aim_domain::{Code, Member, Refusal, Rule, Tier};

/// How a message came in.
#[derive(Clone, Debug)]
pub enum Via {
    /// Every REST call counts `api`; the question is asked together with the others.
    Rest { api: Ask },
    Socket {
        /// It learns of the usage by its acknowledgement.
        origin: Origin,
    },
}

impl Platform {
    /// Asks the limiter; a refusal is in the verdict.
    pub async fn admit(&self, asks: &[Ask]) -> Result<Verdict, Refusal> {
        let verdict = self.backbone.limits.admit(asks).await.or_refuse()?;
        if let Some(standing) = verdict.refused.and_then(|(index, _)| verdict.standings.get(index)) {
            metrics::counter!("aim_rate_limited_total", "rule" => standing.rule.as_str()).increment(1);
        }
        Ok(verdict)
    }

    /// `api`: by user, or by address when signed out.
    pub fn api_ask(&self, who: Option<&Member>, address: &str) -> Ask {
        match who {
            Some(who) => self.user_ask(Rule::Api, who),
            None => self.ask(Rule::Api, Tier::Free, address.to_owned()),
        }
    }

    /// `ai`: what asks the model for more than the normal reply.
    pub fn ai_ask(&self, who: &Member) -> Ask {
        self.user_ask(Rule::Ai, who)
    }

    pub(crate) fn user_ask(&self, rule: Rule, who: &Member) -> Ask {
        self.ask(rule, who.tier, who.user_id().to_string())
    }

    /// `auth`, for an address.
    pub(crate) fn auth_address_ask(&self, address: &str) -> Ask {
        self.ask(Rule::Auth, Tier::Free, format!("address-{address}"))
    }

    /// `auth`, for a login name, without case.
    pub(crate) fn auth_login_ask(&self, login: &str) -> Ask {
        self.ask(Rule::Auth, Tier::Free, login_subject(login))
    }

    fn ask(&self, rule: Rule, tier: Tier, subject: String) -> Ask {
        Ask { rule, subject, quota: self.settings.rules.quota(rule, tier), once: None }
    }
}

/// A login name as the limiter knows it: hashed, since it may be anything, and is nobody's business in a key.
pub(crate) fn login_subject(login: &str) -> String {
    let hash = aim_domain::TokenHash::of(&login.trim().to_lowercase());
    format!("login-{}", hash.as_str())
}

/// The refusal of a verdict that refuses.
pub fn refusal(verdict: &Verdict) -> Option<Refusal> {
    let (index, wait) = verdict.refused?;
    let rule = verdict.standings.get(index).map_or("a limit", |standing| standing.rule.as_str());
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let detail = format!("Too many requests ({rule}). Try again in {seconds} s.");
    Some(Refusal::new(Code::RateLimited, detail).retry_after(wait))
}
