//! Sending a message: the one function behind REST, the socket's immediate way and its queued way.
//!
//! The order: what the limits say, one commit of the store, then the hints that hurry the reply along. After the commit
//! nothing fails the send: what is lost of the hints, the reconciler finds.

use crate::faults::OrRefuse;
use crate::gate::{self, Via};
use crate::{Platform, faults::hint};
use aim_backbone::bus::{Origin, UserNote};
use aim_backbone::limits::Verdict;
use aim_backbone::turns::Turn;
use aim_domain::error::Checks;
use aim_domain::usage::usage_limit;
use aim_domain::{
    Code, ConversationId, Kind, Member, Message, Phase, Refusal, ReplyState, RoomEvent, Rule, UploadId, Usage,
    UserEvent,
};
use aim_store::{SendMessage, Sent};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Outgoing {
    pub conversation: ConversationId,
    /// 1 to 64 characters; the same one again answers the first message.
    pub client_id: String,
    pub kind: Kind,
    pub text: Option<String>,
    pub upload_id: Option<UploadId>,
}

#[derive(Clone, Debug)]
pub struct Accepted {
    pub message: Message,
    /// `Processing` when its turn was free, `Queued` when it waits; `Idle` for a repeat that is answered already.
    pub state: Phase,
    pub usage: Usage,
}

/// What came of a send, with what the limiter said, for the headers.
#[derive(Debug)]
pub struct SendReport {
    pub verdict: Option<Verdict>,
    pub outcome: Result<Accepted, Refusal>,
}

impl Platform {
    pub async fn send_message(&self, who: &Member, outgoing: Outgoing, via: Via) -> SendReport {
        let mut messaging = self.user_ask(Rule::Messaging, who);
        // The limiter remembers the name: one of any length, or of any content, is not for its memory.
        let fits = (1..=64).contains(&outgoing.client_id.chars().count());
        messaging.once = fits.then(|| format!("{}/{}", outgoing.conversation, outgoing.client_id));
        let (asks, origin) = match via {
            Via::Rest { api } => (vec![api, messaging], None),
            Via::Socket { origin } => (vec![messaging], Some(origin)),
        };
        let verdict = match self.admit(&asks).await {
            Ok(verdict) => verdict,
            Err(refusal) => return SendReport { verdict: None, outcome: Err(refusal) },
        };
        let outcome = match gate::refusal(&verdict) {
            Some(refusal) => Err(refusal),
            None => self.accept(who, outgoing, origin).await,
        };
        SendReport { verdict: Some(verdict), outcome }
    }

    async fn accept(&self, who: &Member, outgoing: Outgoing, origin: Option<Origin>) -> Result<Accepted, Refusal> {
        let text = check(&outgoing)?;
        let media = match &outgoing.upload_id {
            Some(upload) => Some(self.attachment(who, outgoing.kind, upload).await?),
            None => None,
        };
        let send = SendMessage {
            conversation: outgoing.conversation.clone(),
            sender: who.user_id().clone(),
            message: self.ambient.id(),
            client_id: outgoing.client_id,
            kind: outgoing.kind,
            text,
            media,
            usage_limit: usage_limit(who.tier, outgoing.kind, self.settings.usage_multiplier),
            max_due: self.settings.max_waiting(),
        };
        match self.store.send_message(send).await.or_refuse()? {
            Sent::Accepted { message, usage, character, .. } => {
                metrics::counter!("aim_messages_total", "type" => outgoing.kind.as_str()).increment(1);
                let turn = Turn {
                    conversation: outgoing.conversation.clone(),
                    character: character.clone(),
                    message: message.id.clone(),
                    attempt: 1,
                    premium: who.is_premium(),
                };
                let view = self.usage_view(who, usage);
                let event = UserEvent::Usage { character_id: character.clone(), usage: view };
                let backbone = &self.backbone;
                // Side by side, and so in one round trip.
                let (kept, told, moved) = tokio::join!(
                    backbone.usage.keep(who.user_id(), &character, usage),
                    backbone.bus.publish_user(who.user_id(), UserNote { event, origin }),
                    backbone.turns.enter(turn.clone()),
                );
                hint("keep a usage copy", kept);
                hint("tell of usage", told);
                let moved = hint("enter a turn", moved);
                let state = if moved.granted.contains(&turn) { Phase::Processing } else { Phase::Queued };
                // The sender does not wait for what others are told; if it is lost, the reconciler finds the message. The room
                // hears of the message before anyone answers it, and of its state with it: two events at once are one packet
                // to each socket.
                let (platform, room, new) = (self.clone(), outgoing.conversation, message.clone());
                self.tasks.spawn(async move {
                    platform.tell_room(&room, RoomEvent::MessageNew { message: new.clone() }).await;
                    tokio::join!(platform.follow(moved), platform.tell_said(new));
                });
                let usage = view;
                Ok(Accepted { message, state, usage })
            }
            Sent::Repeated { message, usage } => {
                let state = self.state_of_repeat(who, &message).await;
                Ok(Accepted { message, state, usage: self.usage_view(who, usage) })
            }
            Sent::UsageFull { usage } => Err(self.usage_refusal(who, outgoing.kind, self.usage_view(who, usage))),
            Sent::LineFull => {
                Err(Refusal::new(Code::RateLimited, "Too many messages wait in this conversation already.")
                    .retry_after(Duration::from_secs(10)))
            }
            Sent::NotFound => {
                // Who is in it is told that nobody is there any more to answer.
                self.entered(who, &outgoing.conversation).await?;
                Err(Refusal::not_found("character"))
            }
        }
    }

    async fn state_of_repeat(&self, who: &Member, message: &Message) -> Phase {
        if message.reply_state != Some(ReplyState::Due) {
            return Phase::Idle;
        }
        match self.conversation_state(who, &message.conversation_id).await {
            Ok(now) => now.state,
            Err(_) => Phase::Queued,
        }
    }

    fn usage_refusal(&self, who: &Member, kind: Kind, usage: Usage) -> Refusal {
        metrics::counter!("aim_usage_refused_total", "type" => kind.as_str()).increment(1);
        let limit = usage_limit(who.tier, kind, self.settings.usage_multiplier).unwrap_or_default();
        self.notice_usage(who, kind, limit, &usage);
        let refusal = Refusal::new(
            Code::UsageLimitReached,
            format!("You have used all {limit} {} messages to this character for now.", kind.as_str()),
        );
        match usage.resets_at {
            Some(at) => refusal.retry_after(at.since(self.ambient.now())),
            None => refusal,
        }
    }
}

/// The text to store, or what is wrong with the message.
fn check(outgoing: &Outgoing) -> Result<String, Refusal> {
    let mut checks = Checks::default();
    checks.length("clientId", &outgoing.client_id, 1, 64);
    let text = outgoing.text.as_deref().unwrap_or_default();
    let count = text.chars().take(aim_domain::message::MAX_TEXT + 1).count();
    checks.storable("text", text);
    checks.require(count <= aim_domain::message::MAX_TEXT, "text", "must have at most 8000 characters");
    match outgoing.kind {
        Kind::Text => {
            checks.require(!text.trim().is_empty(), "text", "must not be empty");
            checks.require(outgoing.upload_id.is_none(), "uploadId", "belongs to audio and image messages");
        }
        Kind::Audio | Kind::Image => {
            checks.require(outgoing.upload_id.is_some(), "uploadId", "is needed by audio and image messages");
        }
    }
    checks.finish()?;
    Ok(text.to_owned())
}
