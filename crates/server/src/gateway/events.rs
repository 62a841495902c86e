//! What clients ask of the gateway: the events of API.md part 4, each turned into one action of the platform.

use super::Gateway;
use super::client::{Identity, Socket};
use super::packet;
use crate::unfit;
use aim_backbone::bus::{Origin, RoomNote};
use aim_domain::event::EventError;
use aim_domain::{Code, ConversationId, Kind, Member, Message, Partial, Phase, Refusal, RoomEvent, UploadId, Usage};
use aim_platform::{Outgoing, Via};
use aim_store::MessageQuery;
use engineioxide::DisconnectReason;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc::error::TrySendError;

/// Messages that a join brings at the most; API.md part 4.
const MAX_MISSED: u32 = 200;
/// Looks in a row that find nothing of what a room has, before somebody who joins is told to come later.
const MOST_IDLE: u32 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Join {
    conversation_id: String,
    after_seq: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Joined<'a> {
    ok: bool,
    state: Phase,
    pending: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<&'a Partial>,
    removals: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    conversation_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Send {
    conversation_id: String,
    client_id: String,
    #[serde(rename = "type", default)]
    kind: Kind,
    text: Option<String>,
    upload_id: Option<UploadId>,
}

#[derive(Serialize)]
struct Sent {
    ok: bool,
    message: Message,
    state: Phase,
    usage: Usage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypingNow {
    conversation_id: String,
    typing: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    conversation_id: String,
    seq: u64,
}

#[derive(Serialize)]
struct Done {
    ok: bool,
}

#[derive(Serialize)]
struct Refused {
    ok: bool,
    error: EventError,
}

/// An acknowledgement that is still owed; nothing goes out where the client asked for none.
pub struct Ack<'a> {
    socket: &'a Socket,
    id: Option<u64>,
}

impl<'a> Ack<'a> {
    pub fn new(socket: &'a Socket, id: Option<u64>) -> Self {
        Self { socket, id }
    }

    pub fn send(&self, answer: &impl Serialize) {
        let Some(id) = self.id else { return };
        if let Err(TrySendError::Full(_)) = self.socket.emit(packet::encode_ack(id, answer)) {
            // It would wait for it for ever. When it connects again it asks again.
            tracing::debug!(sid = %self.socket.id, "an acknowledgement found no room: the socket is closed");
            self.socket.close(DisconnectReason::TransportError);
        }
    }

    pub fn answer(&self, outcome: Result<impl Serialize, Refusal>) {
        match outcome {
            Ok(answer) => self.send(&answer),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    pub fn refuse(&self, refusal: &Refusal) {
        self.send(&Refused { ok: false, error: refusal.into() });
    }
}

impl Gateway {
    pub(super) async fn on_event(self: &Arc<Self>, socket: &Socket, identity: &Identity, ack: Option<u64>, args: &str) {
        let ack = Ack::new(socket, ack);
        let Some((name, payload)) = packet::event(args) else {
            ack.refuse(&Refusal::new(Code::Validation, "An event is a name and a payload."));
            return;
        };
        let who = match self.platform.authenticate_hash(&identity.token).await {
            Ok(who) => who,
            Err(refusal) => {
                ack.refuse(&refusal);
                if refusal.code == Code::Unauthenticated {
                    self.close(socket);
                }
                return;
            }
        };
        match name.as_str() {
            "conversation:join" => self.join(socket, &who, &ack, payload).await,
            "conversation:leave" => ack.answer(self.leave(socket, payload).await),
            "message:send" => ack.answer(self.send(socket, &who, payload).await),
            "message:cancel" => ack.answer(self.cancel(&who, payload).await),
            "conversation:read" => ack.answer(self.read(socket, &who, payload).await),
            "typing" => ack.answer(self.typing(socket, &who, payload).await),
            _ => ack.refuse(&Refusal::new(Code::NotFound, "There is no such event.")),
        }
    }

    async fn join(self: &Arc<Self>, socket: &Socket, who: &Member, ack: &Ack<'_>, payload: &RawValue) {
        let asked =
            parse::<Join>(payload).and_then(|asked| Ok((conversation_id(&asked.conversation_id)?, asked.after_seq)));
        let outcome = match asked {
            Ok((id, after)) => self.join_room(socket, who, ack, &id, after).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = outcome {
            ack.refuse(&refusal);
        }
    }

    async fn join_room(
        self: &Arc<Self>,
        socket: &Socket,
        who: &Member,
        ack: &Ack<'_>,
        id: &ConversationId,
        after: Option<u64>,
    ) -> Result<(), Refusal> {
        let was_in = socket.data.is_in(id);
        let changes = self.member_changes.load(Ordering::SeqCst);
        let outcome = self.enter_room(socket, who, ack, id, after).await;
        if self.member_changes.load(Ordering::SeqCst) != changes {
            // What the room began with may be old.
            self.looks.room(id);
        }
        let stays = match &outcome {
            // It may have been closed, or taken out of the conversation, while it came in: who saw to that did not find it
            // in the room yet.
            Ok(()) => socket.data.is_in(id) && self.is_member_since(changes, who, id).await,
            Err(refusal) => was_in && refusal.code != Code::NotFound,
        };
        if !stays {
            self.let_go(socket, id).await;
        }
        outcome
    }

    async fn is_member_since(&self, changes: u64, who: &Member, id: &ConversationId) -> bool {
        if self.member_changes.load(Ordering::SeqCst) == changes {
            return true;
        }
        match self.platform.entered(who, id).await {
            Ok(_) => true,
            Err(refusal) if refusal.code == Code::NotFound => false,
            Err(_) => {
                self.looks.room(id);
                true
            }
        }
    }

    /// The acknowledgement goes out while the room stands still: all before it is in it, all after it follows.
    async fn enter_room(
        self: &Arc<Self>,
        socket: &Socket,
        who: &Member,
        ack: &Ack<'_>,
        id: &ConversationId,
        after: Option<u64>,
    ) -> Result<(), Refusal> {
        let conversation = self.platform.entered(who, id).await?;
        if !socket.data.enter(id) {
            return Err(Refusal::conflict("This socket is in too many conversations. Leave one first."));
        }
        let (room, _open) = self.rooms.open(id, &conversation.character_id).await?;
        room.know(&conversation);
        self.rooms.mend(&room).await;
        let mut from = after;
        let (mut missed, mut has_more, mut idle) = (Vec::new(), false, 0);
        loop {
            let left = MAX_MISSED.saturating_sub(u32::try_from(missed.len()).unwrap_or(MAX_MISSED));
            if left == 0 {
                has_more = true;
            } else if let Some(seq) = from {
                let query = MessageQuery { after: Some(seq), limit: left, ..Default::default() };
                let page = self.platform.messages(who, id, query).await?;
                has_more = page.has_more;
                idle = if page.items.is_empty() { idle + 1 } else { 0 };
                missed.extend(page.items);
                from = missed.last().map_or(from, |message: &Message| Some(message.seq));
            }
            let complete = room.join(socket, |snapshot| {
                // The room may have moved on since the page was read; then what is new has to be read as well.
                if !has_more && from.is_some_and(|seq| seq < snapshot.last_seq) {
                    return false;
                }
                // What is stored and has not gone out yet comes as an event.
                missed.retain(|message| message.seq <= snapshot.last_seq);
                ack.send(&Joined {
                    ok: true,
                    state: snapshot.turn.state,
                    pending: snapshot.turn.pending,
                    position: snapshot.turn.position,
                    messages: &missed,
                    has_more,
                    partial: snapshot.partial.as_ref(),
                    removals: snapshot.removals,
                });
                true
            });
            if complete {
                return Ok(());
            }
            if idle > 0 {
                // The room counts what is there no more: it did not hear of a removal yet.
                self.rooms.compare(&room).await;
            }
            if idle > MOST_IDLE {
                return Err(Refusal::unavailable(
                    "The conversation cannot be opened right now. Try again in a moment.",
                ));
            }
        }
    }

    async fn leave(self: &Arc<Self>, socket: &Socket, payload: &RawValue) -> Result<Done, Refusal> {
        let id = conversation_id(&parse::<About>(payload)?.conversation_id)?;
        self.let_go(socket, &id).await;
        Ok(Done { ok: true })
    }

    async fn read(&self, socket: &Socket, who: &Member, payload: &RawValue) -> Result<Done, Refusal> {
        let read = parse::<Read>(payload)?;
        let id = conversation_id(&read.conversation_id)?;
        self.platform.mark_read(who, &id, read.seq, Some(self.origin(socket))).await?;
        Ok(Done { ok: true })
    }

    async fn send(&self, socket: &Socket, who: &Member, payload: &RawValue) -> Result<Sent, Refusal> {
        let send = parse::<Send>(payload)?;
        let outgoing = Outgoing {
            conversation: conversation_id(&send.conversation_id)?,
            client_id: send.client_id,
            kind: send.kind,
            text: send.text,
            upload_id: send.upload_id,
        };
        let accepted =
            self.platform.send_message(who, outgoing, Via::Socket { origin: self.origin(socket) }).await.outcome?;
        Ok(Sent { ok: true, message: accepted.message, state: accepted.state, usage: accepted.usage })
    }

    async fn cancel(&self, who: &Member, payload: &RawValue) -> Result<Done, Refusal> {
        let id = conversation_id(&parse::<About>(payload)?.conversation_id)?;
        self.platform.cancel(who, &id).await?;
        Ok(Done { ok: true })
    }

    /// Only somebody in the room types in it: joining checked that they may.
    async fn typing(&self, socket: &Socket, who: &Member, payload: &RawValue) -> Result<Done, Refusal> {
        let typing = parse::<TypingNow>(payload)?;
        let id = conversation_id(&typing.conversation_id)?;
        if !socket.data.is_in(&id) {
            return Err(Refusal::not_found("conversation"));
        }
        let event = RoomEvent::Typing {
            conversation_id: id.clone(),
            user_id: Some(who.user_id().clone()),
            character_id: None,
            typing: typing.typing,
        };
        let note = RoomNote { event, origin: Some(self.origin(socket)) };
        self.platform.backbone.bus.publish_room(&id, note).await.map_err(|_| Refusal::unavailable("Not told."))?;
        socket.data.types_in(&id, typing.typing);
        Ok(Done { ok: true })
    }
}

impl Gateway {
    /// Who goes while they type, types no more.
    pub(super) async fn end_typing(&self, socket: &Socket, room: &ConversationId) {
        let Some(identity) = socket.data.identity().filter(|_| socket.data.types_in(room, false)) else { return };
        let (conversation_id, user_id) = (room.clone(), Some(identity.user));
        let event = RoomEvent::Typing { conversation_id, user_id, character_id: None, typing: false };
        let note = RoomNote { event, origin: Some(self.origin(socket)) };
        // A hint: who is told nothing takes it down after a while.
        let _ = self.platform.backbone.bus.publish_room(room, note).await;
    }

    fn origin(&self, socket: &Socket) -> Origin {
        Origin { server: self.platform.incarnation(), socket: socket.id.to_string() }
    }
}

fn parse<T: DeserializeOwned>(payload: &RawValue) -> Result<T, Refusal> {
    unfit::read(payload.get().as_bytes())
        .map_err(|unfit| Refusal::new(Code::Validation, format!("The payload {unfit}.")))
}

/// What is no id is nobody's conversation.
fn conversation_id(text: &str) -> Result<ConversationId, Refusal> {
    ConversationId::parse(text).map_err(|_| Refusal::not_found("conversation"))
}
