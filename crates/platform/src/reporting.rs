//! Reporting what somebody wrote: whoever sees it may report it, and operators see it as it was.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_domain::error::Checks;
use aim_domain::safety::LONGEST_NOTE;
use aim_domain::{
    Author, CaseId, CaseState, CharacterId, Code, ConversationId, Member, MessageId, Refusal, Reported, UserId, Wrong,
};
use aim_store::{Case, CasePage, Deed, Filed, NewCase};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use utoipa::ToSchema;

/// Reports that one person may make in a day.
const MOST_A_DAY: u32 = 20;
const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportForm {
    pub kind: Reported,
    /// Of what is reported.
    pub id: String,
    /// Where a message or a reply stands.
    #[serde(default)]
    pub conversation_id: Option<ConversationId>,
    pub reason: Wrong,
    #[serde(default)]
    #[schema(max_length = 2_000)]
    pub note: String,
}

/// What is reported, as its reporter sees it.
struct Seen {
    author: Option<UserId>,
    character: Option<CharacterId>,
    snapshot: Value,
}

fn missing(what: &str) -> Refusal {
    Refusal::not_found(what)
}

impl Platform {
    /// Files a report; false when the same one is open already, which is answered then.
    pub async fn report(&self, who: &Member, form: ReportForm) -> Result<(Case, bool), Refusal> {
        let mut checks = Checks::default();
        checks.length("note", form.note.trim(), 0, LONGEST_NOTE);
        let is_said = matches!(form.kind, Reported::Message | Reported::Reply);
        checks.require(!is_said || form.conversation_id.is_some(), "conversationId", "is missing");
        checks.finish()?;
        let seen = match form.kind {
            Reported::Character => self.seen_character(who, &form.id).await?,
            Reported::User => self.seen_user(who, &form.id).await?,
            Reported::Message | Reported::Reply => self.seen_message(who, &form).await?,
        };
        let new = NewCase {
            id: self.ambient.id(),
            reporter: who.user_id().clone(),
            kind: form.kind,
            target: form.id,
            conversation: form.conversation_id.filter(|_| is_said),
            author: seen.author,
            character: seen.character,
            wrong: form.reason,
            note: form.note.trim().to_owned(),
            snapshot: seen.snapshot,
        };
        match self.store.file_case(new, MOST_A_DAY, DAY).await.or_refuse()? {
            Filed::New(case) => Ok((*case, true)),
            Filed::Known(case) => Ok((*case, false)),
            Filed::TooMany(wait) => {
                let detail = format!("You made {MOST_A_DAY} reports within a day. Make the next one later.");
                Err(Refusal::new(Code::RateLimited, detail).retry_after(wait))
            }
        }
    }

    async fn seen_character(&self, who: &Member, id: &str) -> Result<Seen, Refusal> {
        let id = CharacterId::parse(id).map_err(|_| missing("character"))?;
        let character = self.character(who, &id).await?;
        let snapshot = json!({
            "name": character.name, "description": character.description, "personality": character.personality,
            "scenario": character.scenario, "greeting": character.greeting,
            "alternateGreetings": character.details.alternate_greetings,
            "exampleDialogue": character.example_dialogue, "systemPrompt": character.system_prompt,
            "tags": character.tags, "avatarUrl": character.avatar_url,
        });
        Ok(Seen { author: character.owner_id.clone(), character: Some(id), snapshot })
    }

    async fn seen_user(&self, who: &Member, id: &str) -> Result<Seen, Refusal> {
        let id = UserId::parse(id).map_err(|_| missing("user"))?;
        if id == *who.user_id() {
            return Err(Refusal::invalid("id", "is your own"));
        }
        let profile = self.profile(&id).await?;
        let snapshot = json!({
            "username": profile.username, "displayName": profile.display_name, "avatarUrl": profile.avatar_url,
        });
        Ok(Seen { author: Some(id), character: None, snapshot })
    }

    /// A person's message, or a character's reply, of a conversation that the reporter is in.
    async fn seen_message(&self, who: &Member, form: &ReportForm) -> Result<Seen, Refusal> {
        let id = MessageId::parse(&form.id).map_err(|_| missing("message"))?;
        let conversation = form.conversation_id.as_ref().ok_or_else(|| missing("conversation"))?;
        let item = self.conversation(who, conversation).await?;
        let said = match form.kind {
            Reported::Reply => Author::Character,
            _ => Author::User,
        };
        let message = self.store.message(&item.conversation, &id).await.or_refuse()?;
        let message = message.filter(|message| message.role == said).ok_or_else(|| missing("message"))?;
        let mut snapshot = json!({
            "text": message.text, "type": message.kind, "seq": message.seq, "createdAt": message.created_at,
            "media": message.media,
        });
        // Then whoever took it in wrote it, or could have.
        if item.conversation.imported_seq.is_some_and(|last| message.seq <= last) {
            snapshot["imported"] = json!(true);
        }
        if form.kind == Reported::Message {
            return Ok(Seen { author: Some(UserId::trusted(message.sender_id)), character: None, snapshot });
        }
        let character = item.character;
        let owner = self.any_character(&character.id).await?.and_then(|found| found.owner_id.clone());
        snapshot["characterName"] = json!(character.name);
        if let Some(at) = self.store.revised_at(&item.conversation, &id).await.or_refuse()? {
            snapshot["revisedAt"] = json!(at);
        }
        Ok(Seen { author: owner, character: Some(character.id), snapshot })
    }

    /// For operators.
    pub async fn cases(&self, state: CaseState, cursor: Option<&str>, limit: u32) -> Result<(CasePage, u64), Refusal> {
        let (page, open) = tokio::join!(self.store.cases(state, cursor, limit), self.store.open_cases());
        Ok((page.or_refuse()?, open.or_refuse()?))
    }

    /// Closes a report, or opens it again.
    pub async fn decide_case(
        &self,
        operator: &Member,
        id: &CaseId,
        state: CaseState,
        resolution: &str,
    ) -> Result<Case, Refusal> {
        let mut checks = Checks::default();
        checks.length("resolution", resolution.trim(), 0, LONGEST_NOTE);
        checks.finish()?;
        let before = self.store.case(id).await.or_refuse()?.ok_or_else(|| missing("report"))?;
        if before.state == state && before.resolution.as_deref() == Some(resolution.trim()) {
            return Ok(before);
        }
        let deed = Deed {
            id: self.ambient.id(),
            operator: Some(operator.user_id().clone()),
            reason: resolution.trim().to_owned(),
        };
        let decided = self.store.decide_case(id, state, &deed).await.or_refuse()?;
        decided.ok_or_else(|| Refusal::conflict("The same person has another open report of the same thing."))
    }
}
