//! PostgreSQL: any number of servers share one database.
//!
//! What a command does stands in the file of its theme. What must be quick is one function of the schema, in one trip and
//! one commit (`migrations/postgres`); messages that come together share one ([`lanes`]). The rest are transactions of a few
//! statements ([`db`]). All run at READ COMMITTED and lock what they decide on: a conversation, a character's claims, a
//! usage row. Leases and windows are judged by the database's clock, so servers need not agree on the time.
//!
//! A command that was rolled back for another's sake is tried again here. One whose connection was lost is tried again where
//! that is safe: a send is known by its message, a claim by its call, a reply and a session by its id, so none is done twice.
//!
//! A pooler before the database must keep a session's settings and statements (PgBouncer: session pooling).

mod accounts;
mod attempts;
mod characters;
mod connect;
mod conversations;
mod counts;
mod db;
mod faults;
mod feed;
mod gallery;
mod importing;
mod lanes;
mod leases;
mod listen;
mod mails;
mod messages;
mod personal;
mod personas;
mod pool;
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

use crate::account::{AccountChange, CreateUser, Credentials, NewSession, NewUser};
use crate::text::plain;
use crate::{
    Attempts, Cancel, Change, CharacterPage, CharacterQuery, Claim, ClaimReply, Claimed, CommitReply, Committed,
    ConversationHead, ConversationItem, ConversationPage, CountAttempt, Due, EndReply, Ended, MessagePage,
    MessageQuery, OpenConversation, Result, SaveCharacter, SendMessage, Sent, Store,
};
use aim_domain::{
    Ambient, Author, Character, CharacterId, Conversation, ConversationId, Incarnation, Member, Message, MessageId,
    Session, SessionId, TokenHash, UsageCount, User, UserId, Username,
};
use async_trait::async_trait;
use db::{Again, Postgres, sql};
use lanes::Lanes;
use pool::Pool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Whose clock judges leases and windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The database's, one for all servers.
    #[default]
    Database,
    /// This process's, for tests that move it.
    Ambient,
}

#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Connections at the most; one more listens for changes.
    pub max_connections: u32,
    /// Longest that a command waits for a free connection.
    pub acquire_timeout: Duration,
    pub connect_timeout: Duration,
    /// Longest that one statement may take, waiting for others' locks included.
    pub statement_timeout: Duration,
    /// A connection that nobody needed for this long is closed.
    pub idle_timeout: Duration,
    /// A connection that is older is replaced, so that servers move when the database's name does.
    pub max_lifetime: Duration,
    pub clock: Clock,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 20,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            max_lifetime: Duration::from_secs(1_800),
            clock: Clock::Database,
        }
    }
}

/// Commits of messages at a time; more would make each smaller, not all of them quicker.
const LANES: u32 = 4;

pub struct PostgresStore {
    pg: Postgres,
    lanes: Lanes,
    heard: Arc<Notify>,
    listener: JoinHandle<()>,
}

impl PostgresStore {
    /// Opens the database that a `postgres://` URL names and brings its schema up to date; `Failed` when a newer program has
    /// been here. One that does not answer yet is waited for, for some seconds.
    pub async fn open(url: &str, options: PostgresOptions, ambient: Ambient) -> Result<Arc<Self>> {
        let address = connect::address(url)?;
        connect::migrate(&address, &options).await?;
        let heard = Arc::new(Notify::new());
        let listener = tokio::spawn(listen::listen(address.clone(), options.connect_timeout, heard.clone()));
        let lanes = LANES.min(options.max_connections.div_ceil(2));
        let pg = Postgres { pool: Pool::new(address, options), ambient };
        Ok(Arc::new(Self { lanes: Lanes::new(pg.clone(), lanes), pg, heard, listener }))
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// A read, or one statement that does no harm twice.
macro_rules! ask {
    ($self:ident, $what:path $(, $with:expr)*) => {
        $self.pg.run(Again::Fine, || async { $what(&mut $self.pg.take().await? $(, $with)*).await }).await
    };
}
use ask;

/// A command that changes nothing, or answers the same, when it is asked a second time.
macro_rules! again {
    ($self:ident, $what:path $(, $with:expr)*) => { $self.pg.run(Again::Fine, || $what(&$self.pg $(, $with)*)).await };
}
use again;

/// A command of which nobody could tell whether it was done before.
macro_rules! once {
    ($self:ident, $what:path $(, $with:expr)*) => { $self.pg.run(Again::Never, || $what(&$self.pg $(, $with)*)).await };
}
use once;

#[async_trait]
impl Store for PostgresStore {
    async fn ping(&self) -> Result<()> {
        self.pg
            .run(Again::Fine, || async { self.pg.take().await?.number(sql("SELECT 1::bigint")).await })
            .await
            .map(drop)
    }

    async fn close(&self) {
        self.lanes.close().await;
        self.pg.pool.close().await;
        self.listener.abort();
    }

    async fn create_user(&self, user: NewUser) -> Result<CreateUser> {
        once!(self, accounts::create, &user)
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        ask!(self, accounts::user, id)
    }

    async fn user_by_username(&self, username: &Username) -> Result<Option<User>> {
        ask!(self, accounts::by_username, username)
    }

    async fn credentials(&self, login: &str) -> Result<Option<Credentials>> {
        ask!(self, accounts::credentials, login)
    }

    async fn change_user(&self, id: &UserId, change: AccountChange) -> Result<Option<User>> {
        once!(self, accounts::change, id, &change)
    }

    async fn delete_user(&self, id: &UserId) -> Result<bool> {
        once!(self, accounts::delete, id)
    }

    async fn create_session(&self, session: NewSession) -> Result<()> {
        again!(self, sessions::create, &session)
    }

    async fn member(&self, token: &TokenHash) -> Result<Option<Member>> {
        ask!(self, sessions::member, token)
    }

    async fn touch_session(&self, token: &TokenHash, ttl: Duration) -> Result<()> {
        ask!(self, sessions::touch, token, ttl)
    }

    async fn sessions(&self, user: &UserId) -> Result<Vec<Session>> {
        ask!(self, sessions::of_user, user)
    }

    async fn revoke_session(&self, user: &UserId, session: &SessionId) -> Result<bool> {
        once!(self, sessions::revoke, user, session)
    }

    async fn revoke_sessions(&self, user: &UserId, except: Option<&SessionId>) -> Result<u64> {
        once!(self, sessions::revoke_all, user, except)
    }

    async fn count_attempt(&self, attempt: CountAttempt) -> Result<Attempts> {
        once!(self, attempts::count, &attempt)
    }

    async fn clear_attempts(&self, subject: &str) -> Result<()> {
        ask!(self, attempts::clear, subject)
    }

    async fn create_character(&self, character: Character) -> Result<SaveCharacter> {
        once!(self, characters::create, &character, None)
    }

    async fn import_character(&self, character: Character, card: String) -> Result<SaveCharacter> {
        let card = plain(&card);
        once!(self, characters::create, &character, Some(&card))
    }

    async fn character_card(&self, id: &CharacterId) -> Result<Option<String>> {
        ask!(self, characters::card, id)
    }

    async fn character(&self, id: &CharacterId) -> Result<Option<Character>> {
        ask!(self, characters::get, id)
    }

    async fn update_character(&self, character: Character) -> Result<SaveCharacter> {
        once!(self, characters::update, &character)
    }

    async fn delete_character(&self, id: &CharacterId) -> Result<bool> {
        once!(self, characters::delete, id)
    }

    async fn characters(&self, query: CharacterQuery) -> Result<CharacterPage> {
        ask!(self, characters::list, &query)
    }

    async fn open_conversation(&self, open: OpenConversation) -> Result<(ConversationItem, bool)> {
        again!(self, conversations::open, &open)
    }

    async fn conversation_of_pair(&self, owner: &UserId, character: &CharacterId) -> Result<Option<ConversationItem>> {
        ask!(self, conversations::of_pair, owner, character)
    }

    async fn conversation(&self, id: &ConversationId, member: &UserId) -> Result<Option<ConversationItem>> {
        ask!(self, conversations::get, id, member)
    }

    async fn conversation_head(&self, id: &ConversationId, member: &UserId) -> Result<Option<ConversationHead>> {
        ask!(self, conversations::head, id, member)
    }

    async fn conversations(&self, member: &UserId, cursor: Option<&str>, limit: u32) -> Result<ConversationPage> {
        ask!(self, conversations::list, member, cursor, limit)
    }

    async fn rename_conversation(&self, id: &ConversationId, owner: &UserId, title: &str) -> Result<bool> {
        again!(self, conversations::rename, id, owner, title)
    }

    async fn delete_conversation(&self, id: &ConversationId, owner: &UserId) -> Result<bool> {
        once!(self, conversations::delete, id, owner)
    }

    async fn messages(
        &self,
        conversation: &ConversationId,
        member: &UserId,
        query: MessageQuery,
    ) -> Result<Option<MessagePage>> {
        ask!(self, messages::page, conversation, member, query)
    }

    async fn message(&self, conversation: &Conversation, id: &MessageId) -> Result<Option<Message>> {
        ask!(self, messages::one, &conversation.id, id)
    }

    async fn send_message(&self, send: SendMessage) -> Result<Sent> {
        self.lanes.send(send).await
    }

    async fn claim_reply(&self, claim: ClaimReply) -> Result<Claimed> {
        replies::claim(&self.pg, &claim).await
    }

    async fn commit_reply(&self, commit: CommitReply) -> Result<Committed> {
        again!(self, replies::commit, &commit)
    }

    async fn end_reply(&self, end: EndReply) -> Result<Ended> {
        once!(self, replies::end, &end)
    }

    async fn cancel(&self, conversation: &Conversation) -> Result<Cancel> {
        once!(self, replies::cancel, &conversation.id, None)
    }

    async fn retry(&self, conversation: &Conversation, message: &MessageId) -> Result<Option<(Message, u32)>> {
        once!(self, replies::retry, &conversation.id, message)
    }

    async fn due_replies(&self, after: Option<&MessageId>, limit: u32) -> Result<Vec<Due>> {
        ask!(self, replies::due, after, limit)
    }

    async fn context(&self, claim: &Claim, limit: u32) -> Result<Vec<(Author, Message)>> {
        ask!(self, replies::context, claim, limit)
    }

    async fn last_seq(&self, conversation: &ConversationId) -> Result<u64> {
        ask!(self, messages::last_seq, conversation)
    }

    async fn last_seqs(&self, conversations: &[ConversationId]) -> Result<Vec<(ConversationId, u64)>> {
        ask!(self, messages::last_seqs, conversations)
    }

    async fn missed(&self, conversation: &ConversationId, after: u64, limit: u32) -> Result<Vec<Message>> {
        ask!(self, messages::missed, conversation, after, limit)
    }

    async fn usage(&self, user: &UserId, character: &CharacterId) -> Result<UsageCount> {
        ask!(self, counts::usage, user, character)
    }

    async fn usages(&self, user: &UserId) -> Result<Vec<(CharacterId, UsageCount)>> {
        ask!(self, counts::usages, user)
    }

    async fn renew_lease(&self, server: &Incarnation, lease: Duration, serves: bool) -> Result<bool> {
        ask!(self, leases::renew, server, lease, serves)
    }

    async fn end_lease(&self, server: &Incarnation) -> Result<()> {
        again!(self, leases::end, server)
    }

    async fn live_servers(&self) -> Result<u64> {
        ask!(self, leases::living)
    }

    async fn leads(&self, server: &Incarnation) -> Result<bool> {
        ask!(self, leases::leads, server)
    }

    async fn changes(&self, cursor: i64, limit: u32) -> Result<Vec<(i64, Change)>> {
        ask!(self, feed::after, cursor, limit)
    }

    async fn last_change(&self) -> Result<i64> {
        ask!(self, feed::last)
    }

    async fn changed(&self) {
        self.heard.notified().await;
    }
}
