//! What people leave in their sessions: settings that follow them, and forms on the way.

use crate::Platform;
use crate::faults::{OrRefuse, hint};
use aim_backbone::cache::{Cached, Reach, weight_of};
use aim_backbone::keys;
use aim_domain::{CharacterId, Code, DraftKey, Member, Refusal, Timestamp, UserEvent, UserId};
use aim_store::{Change, Draft, Preferences, SaveDraft, SavePreferences, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// Bytes of JSON.
pub const LARGEST_PREFERENCES: usize = 16 * 1024;
pub const LARGEST_DRAFT: usize = 64 * 1024;
/// The name among the settings under which favourite characters stand, and how many there may be.
const FAVOURITES: &str = "favourites";
const MOST_FAVOURITES: usize = 300;
/// From its last save.
const DRAFT_LIVES: Duration = Duration::from_secs(24 * 3_600);
const MOST_DRAFTS: u32 = 50;

/// Settings as the cache keeps them.
#[derive(Serialize, Deserialize)]
pub(crate) struct CachedPreferences(Preferences);

impl Cached for CachedPreferences {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        self.0.version
    }
}

/// A draft as the cache keeps it.
#[derive(Serialize, Deserialize)]
pub(crate) struct CachedDraft(Draft);

impl Cached for CachedDraft {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        self.0.version
    }
    fn weight(&self) -> u32 {
        weight_of(self.0.body.values().map(|value| value.as_str().map_or(64, str::len)).sum())
    }
}

fn bounded(body: &Map<String, Value>, most: usize) -> Result<(), Refusal> {
    let size = serde_json::to_vec(body).map_err(|_| Refusal::internal())?.len();
    if size > most {
        return Err(Refusal::new(Code::PayloadTooLarge, format!("This may have {most} bytes of JSON at most.")));
    }
    Ok(())
}

fn favourites(body: &Map<String, Value>) -> Result<Vec<CharacterId>, Refusal> {
    let refused = |message: &str| Refusal::invalid(FAVOURITES, message);
    let Some(value) = body.get(FAVOURITES) else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(|| refused("must be an array of ids of characters"))?;
    if items.len() > MOST_FAVOURITES {
        return Err(refused("must be 300 at most"));
    }
    let id = |item: &Value| item.as_str().and_then(|text| CharacterId::parse(text).ok());
    items.iter().map(|item| id(item).ok_or_else(|| refused("must be an array of ids of characters"))).collect()
}

impl Platform {
    /// One's own settings; `favourites` is always there. Their version is 0 while nothing was saved.
    pub async fn preferences(&self, who: &Member) -> Result<Preferences, Refusal> {
        let user = who.user_id();
        let load = async { Ok::<_, StoreError>(self.store.preferences(user).await?.map(CachedPreferences)) };
        let key = keys::session_preferences::<CachedPreferences>(user);
        let found = self.backbone.cache.get_or_load(&key, load).await.or_refuse()?;
        let mut found = match found {
            Some(found) => found.0.clone(),
            None => Preferences { body: Map::new(), version: 0 },
        };
        found.body.entry(FAVOURITES).or_insert_with(|| Value::Array(Vec::new()));
        Ok(found)
    }

    /// Replaces one's settings: any JSON object of some size, with favourite characters among it. Where `version` is given, of
    /// two devices that knew the same only one is taken, so that none takes away what the other saved.
    pub async fn save_preferences(
        &self,
        who: &Member,
        body: &Map<String, Value>,
        version: Option<i64>,
    ) -> Result<Preferences, Refusal> {
        bounded(body, LARGEST_PREFERENCES)?;
        favourites(body)?;
        let outcome = self.store.save_preferences(who.user_id(), body, version).await.or_refuse()?;
        // Where it is stale as well: what is read now, to be changed again, is what there is.
        self.take_in(Change::Preferences { user: who.user_id().clone() }).await;
        let Preferences { mut body, version } = match outcome {
            SavePreferences::Saved(saved) => saved,
            SavePreferences::Stale => {
                return Err(Refusal::conflict("Another device saved these settings just now. Load them again."));
            }
            SavePreferences::NoUser => return Err(Refusal::not_found("user")),
        };
        body.entry(FAVOURITES).or_insert_with(|| Value::Array(Vec::new()));
        // Every page of theirs changes what is here now, and not what was there when it was opened.
        let event = UserEvent::Preferences { version, preferences: body.clone() };
        hint("tell of settings", self.backbone.bus.publish_user(who.user_id(), event.into()).await);
        Ok(Preferences { body, version })
    }

    /// One's own favourite characters, whether or not one may still see them.
    pub async fn favourites(&self, who: &Member) -> Result<Vec<CharacterId>, Refusal> {
        // What an older version stored may be none.
        Ok(favourites(&self.preferences(who).await?.body).unwrap_or_default())
    }

    pub(crate) async fn forget_preferences(&self, user: &UserId, reach: Reach) {
        self.backbone.cache.invalidate(&keys::session_preferences::<CachedPreferences>(user), reach).await;
    }

    /// How far one's own form has come.
    pub async fn draft(&self, who: &Member, key: &DraftKey) -> Result<Draft, Refusal> {
        let user = who.user_id();
        let load = async { Ok::<_, StoreError>(self.store.draft(user, key).await?.map(CachedDraft)) };
        let cached = keys::session_draft::<CachedDraft>(user, key);
        let found = self.backbone.cache.get_or_load(&cached, load).await.or_refuse()?;
        let found = found.map(|found| found.0.clone()).filter(|draft| self.ambient.now() < draft.expires_at);
        found.ok_or_else(|| Refusal::not_found("draft"))
    }

    pub async fn save_draft(&self, who: &Member, key: &DraftKey, body: &Map<String, Value>) -> Result<Draft, Refusal> {
        bounded(body, LARGEST_DRAFT)?;
        let user = who.user_id();
        match self.store.save_draft(user, key, body, DRAFT_LIVES, MOST_DRAFTS).await.or_refuse()? {
            SaveDraft::Saved(draft) => {
                self.take_in(Change::Draft { user: user.clone(), key: key.clone() }).await;
                self.tell_draft(user, key, Some(draft.saved_at)).await;
                Ok(draft)
            }
            SaveDraft::TooMany => Err(Refusal::conflict(format!(
                "There are {MOST_DRAFTS} drafts already. Finish or delete one; each ends a day after its last save."
            ))),
            SaveDraft::NoUser => Err(Refusal::not_found("user")),
        }
    }

    pub async fn delete_draft(&self, who: &Member, key: &DraftKey) -> Result<(), Refusal> {
        if !self.store.delete_draft(who.user_id(), key).await.or_refuse()? {
            return Err(Refusal::not_found("draft"));
        }
        self.take_in(Change::Draft { user: who.user_id().clone(), key: key.clone() }).await;
        self.tell_draft(who.user_id(), key, None).await;
        Ok(())
    }

    /// Tells the user's sockets on all servers, so that the same form open elsewhere knows.
    async fn tell_draft(&self, user: &UserId, key: &DraftKey, saved_at: Option<Timestamp>) {
        let event = UserEvent::Draft { key: key.clone(), saved_at };
        hint("tell of a draft", self.backbone.bus.publish_user(user, event.into()).await);
    }

    pub(crate) async fn forget_draft(&self, user: &UserId, key: &DraftKey, reach: Reach) {
        self.backbone.cache.invalidate(&keys::session_draft::<CachedDraft>(user, key), reach).await;
    }
}
