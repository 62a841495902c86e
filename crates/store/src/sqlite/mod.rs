//! SQLite: a file on one machine.
//!
//! One thread writes, in groups ([`writer`]); a few read beside it ([`readers`]). What a command does stands in the file of
//! its theme, as a plain function over [`db::Db`]. Two processes may share a file: transactions that write begin at
//! once as such, so neither decides on what the other is about to change.

mod accounts;
mod attempts;
mod characters;
mod connect;
mod conversations;
mod counts;
mod db;
mod feed;
mod gallery;
mod importing;
mod leases;
mod mails;
mod messages;
mod personal;
mod personas;
mod readers;
mod replies;
mod reports;
mod revisions;
mod rooms;
mod roster;
mod rows;
mod safety;
mod search;
mod sessions;
#[cfg(test)]
mod tests;
mod threads;
mod uploads;
mod writer;

use crate::account::{AccountChange, CreateUser, Credentials, NewSession, NewUser};
use crate::text::{plain, plain_character, plain_message};
use crate::{
    Attempts, Cancel, Change, CharacterPage, CharacterQuery, Claim, ClaimReply, Claimed, CommitReply, Committed,
    ConversationHead, ConversationItem, ConversationPage, CountAttempt, Due, EndReply, Ended, MessagePage,
    MessageQuery, OpenConversation, Result, SaveCharacter, SendMessage, Sent, Store, StoreError,
};
use aim_domain::{
    Ambient, Author, Character, CharacterId, Conversation, ConversationId, Incarnation, Member, Message, MessageId,
    Session, SessionId, TokenHash, UsageCount, User, UserId, Username,
};
use async_trait::async_trait;
use db::Db;
use readers::Readers;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use writer::Writer;

/// What a commit waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk: an answered command survives a loss of power.
    #[default]
    Full,
    /// The operating system: it survives the end of the process; a loss of power may take the last moments.
    Normal,
}

#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub synchronous: Synchronous,
    /// Threads that read, each with a connection.
    pub readers: usize,
    /// Commands, and reads, that may wait for a thread; who comes later waits to be let in.
    pub waiting: usize,
    /// The most commands in one transaction.
    pub batch: usize,
    pub writer_cache_kib: u32,
    /// Of each reader.
    pub reader_cache_kib: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            readers: 2,
            waiting: 1_024,
            batch: 256,
            writer_cache_kib: 8_192,
            reader_cache_kib: 2_048,
        }
    }
}

pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it and its folder where they are missing, and brings its schema up to date;
    /// `Failed` when a newer program has been here. Blocks for some milliseconds.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions, ambient: Ambient) -> Result<Arc<Self>> {
        let path = path.as_ref();
        let writer = connect::writer(path, &options)?;
        let connections =
            (0..options.readers.max(1)).map(|_| connect::reader(path, &options)).collect::<Result<_>>()?;
        let unavailable = |error| StoreError::Unavailable(format!("a thread of the store cannot start: {error}"));
        Ok(Arc::new(Self {
            readers: Readers::start(connections, &ambient, options.waiting).map_err(unavailable)?,
            writer: Writer::start(writer, ambient, options.waiting, options.batch).map_err(unavailable)?,
        }))
    }

    /// Hands a command to the writer. It is carried out even when the returned future is dropped.
    async fn write<T: Send + 'static>(&self, act: impl Fn(&Db) -> Result<T> + Send + 'static) -> Result<T> {
        self.writer.run(act).await
    }

    async fn read<T: Send + 'static>(&self, read: impl FnOnce(&Db) -> Result<T> + Send + 'static) -> Result<T> {
        self.readers.run(read).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<()> {
        self.read(|db| db.number("SELECT count(*) FROM (SELECT 1 FROM servers LIMIT 1)", []).map(drop)).await
    }

    async fn close(&self) {
        let mut threads = self.readers.stop().await;
        threads.extend(self.writer.stop().await);
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok())).await;
        if !matches!(joined, Ok(true)) {
            tracing::error!("a thread of the store panicked");
        }
    }

    async fn create_user(&self, user: NewUser) -> Result<CreateUser> {
        self.write(move |db| accounts::create(db, &user)).await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        let id = id.clone();
        self.read(move |db| accounts::user(db, &id)).await
    }

    async fn user_by_username(&self, username: &Username) -> Result<Option<User>> {
        let username = username.clone();
        self.read(move |db| accounts::by_username(db, &username)).await
    }

    async fn credentials(&self, login: &str) -> Result<Option<Credentials>> {
        let login = login.to_owned();
        self.read(move |db| accounts::credentials(db, &login)).await
    }

    async fn change_user(&self, id: &UserId, change: AccountChange) -> Result<Option<User>> {
        let id = id.clone();
        self.write(move |db| accounts::change(db, &id, &change)).await
    }

    async fn delete_user(&self, id: &UserId) -> Result<bool> {
        let id = id.clone();
        self.write(move |db| accounts::delete(db, &id)).await
    }

    async fn create_session(&self, session: NewSession) -> Result<()> {
        self.write(move |db| sessions::create(db, &session)).await
    }

    async fn member(&self, token: &TokenHash) -> Result<Option<Member>> {
        let token = token.clone();
        self.read(move |db| sessions::member(db, &token)).await
    }

    async fn touch_session(&self, token: &TokenHash, ttl: Duration) -> Result<()> {
        let token = token.clone();
        self.write(move |db| sessions::touch(db, &token, ttl)).await
    }

    async fn sessions(&self, user: &UserId) -> Result<Vec<Session>> {
        let user = user.clone();
        self.read(move |db| sessions::of_user(db, &user)).await
    }

    async fn revoke_session(&self, user: &UserId, session: &SessionId) -> Result<bool> {
        let (user, session) = (user.clone(), session.clone());
        self.write(move |db| sessions::revoke(db, &user, &session)).await
    }

    async fn revoke_sessions(&self, user: &UserId, except: Option<&SessionId>) -> Result<u64> {
        let (user, except) = (user.clone(), except.cloned());
        self.write(move |db| sessions::revoke_all(db, &user, except.as_ref())).await
    }

    async fn count_attempt(&self, attempt: CountAttempt) -> Result<Attempts> {
        self.write(move |db| attempts::count(db, &attempt)).await
    }

    async fn clear_attempts(&self, subject: &str) -> Result<()> {
        let subject = subject.to_owned();
        self.write(move |db| attempts::clear(db, &subject)).await
    }

    async fn create_character(&self, character: Character) -> Result<SaveCharacter> {
        let character = plain_character(character);
        self.write(move |db| characters::create(db, &character, None)).await
    }

    async fn import_character(&self, character: Character, card: String) -> Result<SaveCharacter> {
        let (character, card) = (plain_character(character), plain(&card).into_owned());
        self.write(move |db| characters::create(db, &character, Some(&card))).await
    }

    async fn character_card(&self, id: &CharacterId) -> Result<Option<String>> {
        let id = id.clone();
        self.read(move |db| characters::card(db, &id)).await
    }

    async fn character(&self, id: &CharacterId) -> Result<Option<Character>> {
        let id = id.clone();
        self.read(move |db| characters::get(db, &id)).await
    }

    async fn update_character(&self, character: Character) -> Result<SaveCharacter> {
        let character = plain_character(character);
        self.write(move |db| characters::update(db, &character)).await
    }

    async fn delete_character(&self, id: &CharacterId) -> Result<bool> {
        let id = id.clone();
        self.write(move |db| characters::delete(db, &id)).await
    }

    async fn characters(&self, query: CharacterQuery) -> Result<CharacterPage> {
        self.read(move |db| characters::list(db, &query)).await
    }

    async fn open_conversation(&self, open: OpenConversation) -> Result<(ConversationItem, bool)> {
        self.write(move |db| conversations::open(db, &open)).await
    }

    async fn conversation_of_pair(&self, owner: &UserId, character: &CharacterId) -> Result<Option<ConversationItem>> {
        let (owner, character) = (owner.clone(), character.clone());
        self.read(move |db| conversations::of_pair(db, &owner, &character)).await
    }

    async fn conversation(&self, id: &ConversationId, member: &UserId) -> Result<Option<ConversationItem>> {
        let (id, member) = (id.clone(), member.clone());
        self.read(move |db| conversations::get(db, &id, &member)).await
    }

    async fn conversation_head(&self, id: &ConversationId, member: &UserId) -> Result<Option<ConversationHead>> {
        let (id, member) = (id.clone(), member.clone());
        self.read(move |db| conversations::head(db, &id, &member)).await
    }

    async fn conversations(&self, member: &UserId, cursor: Option<&str>, limit: u32) -> Result<ConversationPage> {
        let (member, cursor) = (member.clone(), cursor.map(str::to_owned));
        self.read(move |db| conversations::list(db, &member, cursor.as_deref(), limit)).await
    }

    async fn rename_conversation(&self, id: &ConversationId, owner: &UserId, title: &str) -> Result<bool> {
        let (id, owner, title) = (id.clone(), owner.clone(), plain(title).into_owned());
        self.write(move |db| conversations::rename(db, &id, &owner, &title)).await
    }

    async fn delete_conversation(&self, id: &ConversationId, owner: &UserId) -> Result<bool> {
        let (id, owner) = (id.clone(), owner.clone());
        self.write(move |db| conversations::delete(db, &id, &owner)).await
    }

    async fn messages(
        &self,
        conversation: &ConversationId,
        member: &UserId,
        query: MessageQuery,
    ) -> Result<Option<MessagePage>> {
        let (conversation, member) = (conversation.clone(), member.clone());
        self.read(move |db| messages::page(db, &conversation, &member, query)).await
    }

    async fn message(&self, conversation: &Conversation, id: &MessageId) -> Result<Option<Message>> {
        let (conversation, id) = (conversation.id.clone(), id.clone());
        self.read(move |db| messages::one(db, &conversation, &id)).await
    }

    async fn send_message(&self, send: SendMessage) -> Result<Sent> {
        let send = plain_message(send);
        self.write(move |db| messages::send(db, &send)).await
    }

    async fn claim_reply(&self, claim: ClaimReply) -> Result<Claimed> {
        self.write(move |db| replies::claim(db, &claim)).await
    }

    async fn commit_reply(&self, commit: CommitReply) -> Result<Committed> {
        self.write(move |db| replies::commit(db, &commit)).await
    }

    async fn end_reply(&self, end: EndReply) -> Result<Ended> {
        self.write(move |db| replies::end(db, &end)).await
    }

    async fn cancel(&self, conversation: &Conversation) -> Result<Cancel> {
        let id = conversation.id.clone();
        self.write(move |db| replies::cancel(db, &id, None)).await
    }

    async fn retry(&self, conversation: &Conversation, message: &MessageId) -> Result<Option<(Message, u32)>> {
        let (conversation, message) = (conversation.id.clone(), message.clone());
        self.write(move |db| replies::retry(db, &conversation, &message)).await
    }

    async fn due_replies(&self, after: Option<&MessageId>, limit: u32) -> Result<Vec<Due>> {
        let after = after.cloned();
        self.read(move |db| replies::due(db, after.as_ref(), limit)).await
    }

    async fn context(&self, claim: &Claim, limit: u32) -> Result<Vec<(Author, Message)>> {
        let claim = claim.clone();
        self.read(move |db| replies::context(db, &claim, limit)).await
    }

    async fn last_seq(&self, conversation: &ConversationId) -> Result<u64> {
        let id = conversation.clone();
        self.read(move |db| messages::last_seq(db, &id)).await
    }

    async fn last_seqs(&self, conversations: &[ConversationId]) -> Result<Vec<(ConversationId, u64)>> {
        let ids = conversations.to_vec();
        self.read(move |db| messages::last_seqs(db, &ids)).await
    }

    async fn missed(&self, conversation: &ConversationId, after: u64, limit: u32) -> Result<Vec<Message>> {
        let id = conversation.clone();
        self.read(move |db| messages::missed(db, &id, after, limit)).await
    }

    async fn usage(&self, user: &UserId, character: &CharacterId) -> Result<UsageCount> {
        let (user, character) = (user.clone(), character.clone());
        self.read(move |db| counts::usage(db, &user, &character)).await
    }

    async fn usages(&self, user: &UserId) -> Result<Vec<(CharacterId, UsageCount)>> {
        let user = user.clone();
        self.read(move |db| counts::usages(db, &user)).await
    }

    async fn renew_lease(&self, server: &Incarnation, lease: Duration, serves: bool) -> Result<bool> {
        let server = server.clone();
        self.write(move |db| leases::renew(db, &server, lease, serves)).await
    }

    async fn end_lease(&self, server: &Incarnation) -> Result<()> {
        let server = server.clone();
        self.write(move |db| leases::end(db, &server)).await
    }

    async fn live_servers(&self) -> Result<u64> {
        self.read(leases::living).await
    }

    async fn leads(&self, server: &Incarnation) -> Result<bool> {
        let server = server.clone();
        self.read(move |db| leases::leads(db, &server)).await
    }

    async fn changes(&self, cursor: i64, limit: u32) -> Result<Vec<(i64, Change)>> {
        self.read(move |db| feed::after(db, cursor, limit)).await
    }

    async fn last_change(&self) -> Result<i64> {
        self.read(feed::last).await
    }
}
