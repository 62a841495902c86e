//! Registering and signing in, under the rule `auth`.

use crate::accounts::{Registration, check_registration};
use crate::faults::{OrRefuse, hint};
use crate::mail::Occasion;
use crate::{Platform, gate};
use aim_backbone::limits::{Ask, Standing, Verdict};
use aim_domain::error::Checks;
use aim_domain::limits::Quota;
use aim_domain::{MailKind, Refusal, Role, Rule, Session, Tier, Timestamp, TokenHash, User};
use aim_store::CountAttempt;

/// Where somebody signs in from.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// The `User-Agent`.
    pub name: String,
    /// As the limits count it: the peer's, or the client's behind a trusted proxy; IPv6 by /64.
    pub address: String,
}

#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user: User,
    /// 43 characters of base64url; stored nowhere.
    pub token: String,
    pub expires_at: Timestamp,
}

/// What came of an attempt, with where it stands with `auth`, for the headers.
#[derive(Debug)]
pub struct AttemptReport<T> {
    /// Of address and login name the one with less left; none for an attempt that was not counted.
    pub standing: Option<Standing>,
    pub outcome: Result<T, Refusal>,
}

pub type SignInReport = AttemptReport<SignedIn>;

impl<T> From<Refusal> for AttemptReport<T> {
    fn from(refusal: Refusal) -> Self {
        Self { standing: None, outcome: Err(refusal) }
    }
}

impl Platform {
    /// Counts for the address.
    pub async fn register(&self, form: Registration, device: &Device) -> SignInReport {
        if !self.settings.registration_open {
            return Refusal::forbidden("This server does not take new accounts. Ask its operator for one.").into();
        }
        let username = match check_registration(&form) {
            Ok(username) => username,
            Err(refusal) => return refusal.into(),
        };
        self.attempt(&[self.auth_address_ask(&device.address)], async {
            let user = self.create_account(form, username, Tier::Free, Role::User).await?;
            self.try_mail(Occasion::of(MailKind::Welcome, &user, format!("welcome:{}", user.id))).await;
            self.begin_session(user, device).await
        })
        .await
    }

    /// `login` is the email or the username. Counts by address and by login name, each on its own; a success clears the
    /// login name. An account that is to be erased is opened again where `restore` says so; otherwise it is refused, with the day.
    pub async fn login(&self, login: &str, password: &str, restore: bool, device: &Device) -> SignInReport {
        let mut checks = Checks::default();
        checks.length("login", login, 1, 254);
        checks.length("password", password, 1, 256);
        if let Err(refusal) = checks.finish() {
            return refusal.into();
        }
        let asks = [self.auth_address_ask(&device.address), self.auth_login_ask(login)];
        self.attempt(&asks, async {
            let found = self.store.credentials(login.trim()).await.or_refuse()?;
            let hash = found.as_ref().and_then(|found| found.password_hash.clone());
            let fits = self.passwords.verify(password.to_owned(), hash).await?;
            match found {
                Some(found) if fits => {
                    self.forget_attempts(login).await;
                    if let Some(suspension) = self.store.suspension(&found.user.id).await.or_refuse()? {
                        return Err(Refusal::forbidden(suspension.told()));
                    }
                    let user = self.opened(found.user, restore).await?;
                    self.begin_session(user, device).await
                }
                _ => Err(Refusal::unauthenticated("This login and password do not fit together.")),
            }
        })
        .await
    }

    /// Does `work` if every question is admitted. Address and login name are counted apart: the one that has room counts
    /// though the other refuses.
    pub(crate) async fn attempt<T>(
        &self,
        asks: &[Ask],
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> AttemptReport<T> {
        let (mut refused, mut standing) = (None, None::<Standing>);
        for ask in asks {
            let verdict = match self.count_attempt(ask).await {
                Ok(verdict) => verdict,
                Err(refusal) => return refusal.into(),
            };
            let tightest = verdict.tightest().copied();
            if standing.is_none_or(|known| tightest.is_some_and(|one| one.remaining < known.remaining)) {
                standing = tightest;
            }
            if let Some(refusal) = gate::refusal(&verdict)
                && refused.is_none()
            {
                (refused, standing) = (Some(refusal), tightest);
            }
        }
        let outcome = match refused {
            Some(refusal) => Err(refusal),
            None => work.await,
        };
        AttemptReport { standing, outcome }
    }

    /// The limiter refuses what it knows to be too much, without a commit. What it admits the store counts: a limiter that
    /// lost its memory, or is one of many that cannot hear each other, never opens this rule.
    async fn count_attempt(&self, ask: &Ask) -> Result<Verdict, Refusal> {
        let hint = self.admit(std::slice::from_ref(ask)).await?;
        if !hint.is_admitted() {
            return Ok(hint);
        }
        let Ask { rule, subject, quota, .. } = ask;
        let Quota { limit, window, block } = *quota;
        let attempt = CountAttempt { subject: subject.clone(), limit, window, block };
        let counted = self.store.count_attempt(attempt).await.or_refuse()?;
        if !counted.admitted {
            metrics::counter!("aim_rate_limited_total", "rule" => rule.as_str()).increment(1);
        }
        Ok(Verdict {
            standings: vec![Standing { rule: *rule, limit, window, remaining: counted.remaining, reset: counted.wait }],
            refused: (!counted.admitted).then_some((0, counted.wait)),
        })
    }

    pub(crate) async fn forget_attempts(&self, login: &str) {
        let subject = gate::login_subject(login);
        hint("clear a login name's limit", self.backbone.limits.clear(Rule::Auth, &subject).await);
        if let Err(error) = self.store.clear_attempts(&subject).await {
            tracing::warn!(%error, "a login name's attempts were not cleared");
        }
    }

    async fn begin_session(&self, user: User, device: &Device) -> Result<SignedIn, Refusal> {
        let (token, now) = (self.ambient.token(), self.ambient.now());
        let session = Session {
            id: self.ambient.id(),
            user_id: user.id.clone(),
            token_hash: TokenHash::of(&token),
            device: device.name.chars().take(200).collect(),
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(self.settings.session_ttl),
        };
        let expires_at = session.expires_at;
        self.store.create_session(session).await.or_refuse()?;
        Ok(SignedIn { user, token, expires_at })
    }
}
