//! Accounts and sessions: who a token belongs to, devices, profiles, what the command line does to accounts.

use crate::Platform;
use crate::faults::{OrRefuse, hint};
use aim_backbone::cache::Cached;
use aim_backbone::keys;
use aim_domain::error::Checks;
use aim_domain::{
    Code, Member, Profile, Refusal, Role, Session, SessionId, Tier, Timestamp, TokenHash, User, UserId, Username,
};
use aim_store::{AccountChange, Change, CreateUser, NewUser, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A use of a session is written down when the last one is older than this.
const TOUCH_AFTER: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
pub struct Registration {
    pub email: String,
    pub username: String,
    pub password: String,
    pub display_name: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct ProfilePatch {
    pub display_name: Option<String>,
    /// `Some(None)` takes the picture away.
    pub avatar_url: Option<Option<String>>,
}

/// A profile as the cache keeps it.
#[derive(Serialize, Deserialize)]
pub(crate) struct CachedProfile {
    pub profile: Arc<Profile>,
    pub version: i64,
    /// Its characters are out of lists until then.
    pub suspended_until: Option<Timestamp>,
}

impl Cached for CachedProfile {
    const SCHEMA: u16 = 2;
    fn version(&self) -> i64 {
        self.version
    }
}

/// Whose a username is, as the cache keeps it.
#[derive(Serialize, Deserialize)]
pub(crate) struct CachedOwner(pub UserId);

impl Cached for CachedOwner {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        0
    }
}

/// What a form's fields must be; the passwords' bounds are API.md's, part 3.
pub(crate) fn check_registration(form: &Registration) -> Result<Username, Refusal> {
    let mut checks = Checks::default();
    let username = Username::parse(&form.username);
    if let Err(message) = &username {
        checks.require(false, "username", message);
    }
    check_email(&mut checks, form.email.trim());
    checks.length("password", &form.password, 8, 256);
    if let Some(name) = &form.display_name {
        check_display_name(&mut checks, name);
    }
    checks.finish()?;
    username.map_err(|message| Refusal::invalid("username", message))
}

pub(crate) fn check_email(checks: &mut Checks, email: &str) {
    let (name, host) = email.split_once('@').unwrap_or_default();
    let plausible =
        !name.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains('@');
    checks.require(
        plausible && email.len() <= 254 && !email.chars().any(|c| c.is_whitespace() || c.is_control()),
        "email",
        "must be an email address",
    );
}

fn check_display_name(checks: &mut Checks, name: &str) {
    checks.length("displayName", name.trim(), 1, 60);
    checks.require(!name.chars().any(char::is_control), "displayName", "must not have control characters");
}

impl Platform {
    /// For the command line: the same account without limits and whether or not registration is open.
    pub async fn create_user(&self, form: Registration, tier: Tier, role: Role) -> Result<User, Refusal> {
        let username = check_registration(&form)?;
        self.create_account(form, username, tier, role).await
    }

    pub(crate) async fn create_account(
        &self,
        form: Registration,
        username: Username,
        tier: Tier,
        role: Role,
    ) -> Result<User, Refusal> {
        let password_hash = Some(self.passwords.hash(form.password, &self.ambient).await?);
        let display_name =
            form.display_name.map_or_else(|| form.username.trim().to_owned(), |name| name.trim().to_owned());
        let new = NewUser {
            id: self.ambient.id(),
            email: form.email.trim().to_owned(),
            username: username.clone(),
            display_name,
            password_hash,
            tier,
            role,
        };
        match self.store.create_user(new).await.or_refuse()? {
            CreateUser::Created(user) => {
                // The name may be kept as one that nobody has.
                self.take_in(Change::User { id: user.id.clone(), username: username.to_string() }).await;
                Ok(user)
            }
            CreateUser::EmailTaken => Err(taken("email", "is already registered")),
            CreateUser::UsernameTaken => Err(taken("username", "is taken")),
            CreateUser::IdTaken => Err(Refusal::internal()),
        }
    }

    pub async fn authenticate(&self, token: &str) -> Result<Arc<Member>, Refusal> {
        self.authenticate_hash(&TokenHash::of(token)).await
    }

    /// As `authenticate`, for a socket, which keeps the hash alone.
    pub async fn authenticate_hash(&self, token: &TokenHash) -> Result<Arc<Member>, Refusal> {
        let sessions = &self.backbone.sessions;
        let member = match hint("a session", sessions.get(token).await) {
            Some(member) => member,
            None => {
                let mark = sessions.begin_load(token).await;
                let loaded = self.store.member(token).await.or_refuse()?;
                let member = loaded
                    .ok_or_else(|| Refusal::unauthenticated("Sign in first: this session is over or unknown."))?;
                let member = Arc::new(member);
                if let Ok(mark) = mark {
                    hint("keep a session", sessions.keep(mark, member.clone()).await);
                }
                member
            }
        };
        self.note_use(&member).await;
        Ok(member)
    }

    async fn note_use(&self, member: &Arc<Member>) {
        let now = self.ambient.now();
        let ttl = self.settings.session_ttl;
        // A session that lives less than some hours must not end in the middle of its use.
        if now.since(member.session.last_used_at) < TOUCH_AFTER.min(ttl / 4) {
            return;
        }
        if let Err(error) = self.store.touch_session(&member.session.token_hash, ttl).await {
            tracing::warn!(%error, "a session's use was not noted");
            return;
        }
        // Read anew next time, with the new expiry.
        hint("drop a session", self.backbone.sessions.drop_session(&member.session.token_hash).await);
    }

    pub async fn logout(&self, who: &Member) -> Result<(), Refusal> {
        self.revoke_session(who, &who.session.id).await
    }

    pub async fn sessions(&self, who: &Member) -> Result<Vec<Session>, Refusal> {
        self.store.sessions(who.user_id()).await.or_refuse()
    }

    /// Ends one of one's own sessions; its open sockets are closed within a second, on every server.
    pub async fn revoke_session(&self, who: &Member, session: &SessionId) -> Result<(), Refusal> {
        let mine = self.store.sessions(who.user_id()).await.or_refuse()?;
        let Some(session) = mine.into_iter().find(|one| &one.id == session) else {
            return Err(Refusal::not_found("session"));
        };
        if !self.store.revoke_session(who.user_id(), &session.id).await.or_refuse()? {
            return Err(Refusal::not_found("session"));
        }
        self.take_in(Change::Session { token: session.token_hash, id: session.id, user: session.user_id }).await;
        Ok(())
    }

    pub async fn me(&self, who: &Member) -> Result<User, Refusal> {
        self.store.user(who.user_id()).await.or_refuse()?.ok_or_else(|| Refusal::not_found("user"))
    }

    pub async fn profile(&self, id: &UserId) -> Result<Arc<Profile>, Refusal> {
        let found = self.cached_profile(id).await?;
        found.map(|found| found.profile.clone()).ok_or_else(|| Refusal::not_found("user"))
    }

    async fn cached_profile(&self, id: &UserId) -> Result<Option<Arc<CachedProfile>>, Refusal> {
        let load = async {
            // One that is about to be erased is closed to others.
            let Some(user) = self.store.user(id).await?.filter(|user| user.erase_at.is_none()) else { return Ok(None) };
            let suspension = self.store.suspension(id).await?;
            let suspended_until = suspension.map(|held| held.until.unwrap_or(Timestamp(i64::MAX)));
            let (version, profile) = (user.version, Arc::new(user.profile()));
            Ok::<_, StoreError>(Some(CachedProfile { profile, version, suspended_until }))
        };
        self.backbone.cache.get_or_load(&keys::user_profile::<CachedProfile>(id), load).await.or_refuse()
    }

    /// Whether somebody takes no part right now: shut out, or closed and about to be erased.
    pub(crate) async fn is_away(&self, id: &UserId) -> Result<bool, Refusal> {
        let Some(found) = self.cached_profile(id).await? else { return Ok(true) };
        Ok(found.suspended_until.is_some_and(|until| self.ambient.now() < until))
    }

    pub async fn profile_by_username(&self, username: &str) -> Result<Arc<Profile>, Refusal> {
        let Ok(username) = Username::parse(username) else {
            return Err(Refusal::not_found("user"));
        };
        let load = async {
            Ok::<_, StoreError>(self.store.user_by_username(&username).await?.map(|user| CachedOwner(user.id)))
        };
        let owner =
            self.backbone.cache.get_or_load(&keys::username::<CachedOwner>(&username), load).await.or_refuse()?;
        match owner {
            Some(owner) => self.profile(&owner.0).await,
            None => Err(Refusal::not_found("user")),
        }
    }

    pub async fn update_profile(&self, who: &Member, patch: ProfilePatch) -> Result<User, Refusal> {
        let mut checks = Checks::default();
        if let Some(name) = &patch.display_name {
            check_display_name(&mut checks, name);
        }
        if let Some(Some(url)) = &patch.avatar_url {
            let ours = url.starts_with('/') && !url.starts_with("//");
            checks.require(
                (ours || url.starts_with("https://")) && url.len() <= 2_000,
                "avatarUrl",
                "must be a path of this server or start with https://",
            );
            checks.storable("avatarUrl", url);
        }
        checks.finish()?;
        let change = AccountChange {
            display_name: patch.display_name.map(|name| name.trim().to_owned()),
            avatar_url: patch.avatar_url,
            ..Default::default()
        };
        let changed = self.store.change_user(who.user_id(), change).await.or_refuse()?;
        let user = changed.ok_or_else(|| Refusal::not_found("user"))?;
        self.take_in(Change::User { id: user.id.clone(), username: user.username.clone() }).await;
        Ok(user)
    }

    /// For the command line: tier and role, by email or username. Running servers hear of it by the change feed.
    pub async fn set_user(&self, login: &str, tier: Option<Tier>, role: Option<Role>) -> Result<User, Refusal> {
        let change = AccountChange { tier, role, ..Default::default() };
        self.change_by_login(login, change).await
    }

    /// For the command line: a new password, which ends all sessions.
    pub async fn reset_password(&self, login: &str, password: String) -> Result<User, Refusal> {
        let mut checks = Checks::default();
        checks.length("password", &password, 8, 256);
        checks.finish()?;
        let hash = self.passwords.hash(password, &self.ambient).await?;
        let user =
            self.change_by_login(login, AccountChange { password_hash: Some(hash), ..Default::default() }).await?;
        self.store.revoke_sessions(&user.id, None).await.or_refuse()?;
        self.warn_of_password(&user).await;
        Ok(user)
    }

    async fn change_by_login(&self, login: &str, change: AccountChange) -> Result<User, Refusal> {
        let missing = || Refusal::not_found("user");
        let found = self.store.credentials(login.trim()).await.or_refuse()?.ok_or_else(missing)?;
        let changed = self.store.change_user(&found.user.id, change).await.or_refuse()?.ok_or_else(missing)?;
        self.notice_tier(found.user.tier, &changed).await;
        Ok(changed)
    }
}

pub(crate) fn taken(field: &str, message: &str) -> Refusal {
    let mut refusal = Refusal::invalid(field, message);
    refusal.code = Code::Conflict;
    refusal
}
