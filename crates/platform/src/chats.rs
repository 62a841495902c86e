//! Conversations from SillyTavern's chats, and chats of conversations.
//!
//! What was said elsewhere is taken in as it was: nothing is asked of a model, nothing is counted as sent, and what it says of
//! names stays, since macros were put in where it was said.

use crate::Platform;
use crate::cards::file_name;
use crate::faults::OrRefuse;
use crate::window::words;
use aim_ai::people::SOMEBODY;
use aim_cards::chat::{self, Chat, ChatLine, Said};
use aim_domain::message::MAX_TEXT;
use aim_domain::{
    Author, Character, CharacterId, ConversationId, Kind, Member, Message, MessageId, Refusal, ReplyState, Speaker,
    Variants,
};
use aim_store::{ConversationItem, ImportConversation, ImportedMessage, MessageQuery};
use bytes::Bytes;
use futures::Stream;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use utoipa::ToSchema;

/// What became of a chat.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportedChat {
    pub conversation: ConversationItem,
    /// How many messages came.
    pub messages: usize,
    /// Lines that were left out: SillyTavern's own notes, and empty messages.
    pub left_out: usize,
}

/// Messages that are read at a time.
const PAGE: u32 = 100;

/// A conversation on its way out as a chat.
struct Export {
    platform: Platform,
    who: Member,
    item: ConversationItem,
    speakers: Vec<Speaker>,
    /// The highest `seq` that was written; none before the first line.
    after: Option<u64>,
}

impl Export {
    fn name_of(&self, message: &Message) -> &str {
        if message.role == Author::Character {
            return &self.item.character.name;
        }
        let speaker = self.speakers.iter().find(|speaker| speaker.user.as_str() == message.sender_id);
        speaker.map_or(SOMEBODY, Speaker::name)
    }

    /// The lines of the next page; none after the last.
    async fn next(&mut self) -> Result<Option<String>, Refusal> {
        let Some(after) = self.after else {
            self.after = Some(0);
            let own = self.speakers.iter().find(|speaker| speaker.user == *self.who.user_id());
            let user = own.map_or(self.who.display_name.as_str(), Speaker::name);
            return Ok(Some(chat::write_header(user, &self.item.character.name, self.item.conversation.created_at)));
        };
        let id = &self.item.conversation.id;
        let query = MessageQuery { after: Some(after), limit: PAGE, ..MessageQuery::default() };
        let page = self.platform.messages(&self.who, id, query).await?;
        let mut lines = String::new();
        for message in &page.items {
            let others = match message.variants {
                Some(_) => {
                    let keep = self.platform.settings.keep_deleted_conversations;
                    self.platform.store.other_variants(id, self.who.user_id(), keep, message.seq).await.or_refuse()?
                }
                None => Vec::new(),
            };
            // With what stands for a picture it may be longer than a message may be.
            let text: String = words(message).chars().take(MAX_TEXT).collect();
            let mut swipes: Vec<&str> = others.iter().map(|variant| variant.text.as_str()).collect();
            let selected = message.variants.map_or(0, |variants| variants.selected as usize).min(swipes.len());
            if !swipes.is_empty() {
                swipes.insert(selected, &text);
            }
            lines.push_str(&chat::write_line(&ChatLine {
                name: self.name_of(message),
                by_user: message.role == Author::User,
                at: message.created_at,
                text: &text,
                swipes: &swipes,
                selected,
            }));
            self.after = Some(message.seq);
        }
        Ok(Some(lines).filter(|lines| !lines.is_empty()))
    }
}

impl Platform {
    /// Makes a conversation with this character of a chat. Whoever may begin one may.
    pub async fn import_chat(
        &self,
        who: &Member,
        character: &CharacterId,
        path: &Path,
    ) -> Result<ImportedChat, Refusal> {
        let character = self.character_to_talk_with(who, character).await?;
        let _place = self.chats.acquire().await.map_err(|_| Refusal::internal())?;
        let path = path.to_owned();
        let read = self.blocking(move || {
            let file = File::open(path).map_err(|_| chat::UnfitChat::Unreadable)?;
            chat::read(&mut BufReader::new(file))
        });
        let chat = read
            .await?
            .map_err(|why| Refusal { detail: why.to_string(), ..Refusal::invalid("file", why.to_string()) })?;
        let (messages, left_out) = (chat.said.len(), chat.left_out);
        let import = self.take_chat(who, &character, chat);
        let conversation = self.store.import_conversation(import).await.or_refuse()?;
        self.note_pair(who, &conversation).await;
        metrics::counter!("aim_chats_imported_total").increment(1);
        Ok(ImportedChat { conversation, messages, left_out })
    }

    /// A conversation as a chat of SillyTavern, a page at a time, and the name of its file. A stream that ends with an error is no
    /// whole chat.
    pub async fn export_chat(
        &self,
        who: &Member,
        id: &ConversationId,
    ) -> Result<(String, impl Stream<Item = io::Result<Bytes>> + Send + 'static + use<>), Refusal> {
        let item = self.conversation(who, id).await?;
        let speakers = self.store.speakers(id).await.or_refuse()?;
        let name = format!("{}.jsonl", file_name(&item.conversation.title));
        let export = Export { platform: self.clone(), who: who.clone(), item, speakers, after: None };
        let pages = futures::stream::try_unfold(export, async |mut export| match export.next().await {
            Ok(page) => Ok(page.map(|lines| (Bytes::from(lines), export))),
            Err(refusal) => Err(io::Error::other(refusal.detail)),
        });
        Ok((name, pages))
    }

    fn take_chat(&self, who: &Member, character: &Character, chat: Chat) -> ImportConversation {
        let id: ConversationId = self.ambient.id();
        let now = self.ambient.now();
        // Messages without a time have that of the one before; none is older than that, or from a time to come.
        let first = chat.said.iter().find_map(|said| said.at).unwrap_or(now);
        let mut at = chat.began.unwrap_or(first).min(first).min(now);
        let mut asked: Option<MessageId> = None;
        let said = (1_u64..).zip(chat.said).map(|(seq, said)| {
            let Said { by_user, at: told, text, swipes, selected } = said;
            at = told.unwrap_or(at).clamp(at, now);
            let id_of_this: MessageId = self.ambient.id();
            let in_reply_to = asked.take().filter(|_| !by_user);
            // Also what was said last and has no reply: the model reads it with what is said next.
            let reply_state = by_user.then_some(ReplyState::Done);
            if by_user {
                asked = Some(id_of_this.clone());
            }
            let all = if in_reply_to.is_some() { swipes } else { Vec::new() };
            let variants = u32::try_from(all.len()).ok().filter(|count| *count > 1);
            let variants =
                variants.map(|count| Variants { count, selected: u32::try_from(selected).unwrap_or_default() });
            let sender = if by_user { who.user_id().as_str() } else { character.id.as_str() };
            let message = Message {
                id: id_of_this,
                conversation_id: id.clone(),
                seq,
                role: if by_user { Author::User } else { Author::Character },
                sender_id: sender.to_owned(),
                kind: Kind::Text,
                text,
                media: None,
                in_reply_to,
                client_id: None,
                created_at: at,
                reply_state,
                variants,
                personality: None,
            };
            ImportedMessage { message, variants: all }
        });
        let said = said.collect();
        let (owner, character, title) = (who.user_id().clone(), character.id.clone(), character.name.clone());
        ImportConversation { id, owner, character, title, said }
    }
}
