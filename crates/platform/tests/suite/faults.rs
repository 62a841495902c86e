//! What a store that fails at the worst moment, and a model that panics, must not do: shut a conversation, pay twice
//! for what is stored, or lose a message.

use crate::post_office::{PostOffice, with};
use crate::world::{World, eventually, settings, until};
use aim_ai::provider::Remote;
use aim_ai::{LanguageModel, ModelError, ModelName, ReplyStream, Request, TokenBudget};
use aim_domain::*;
use aim_store::*;
use aim_testkit::model_stub::Behaviour;
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A store that takes a reply and loses the answer, or does not take it, so many times.
struct Flaky {
    inner: Arc<dyn Store>,
    answers_lost: AtomicU32,
    commits_refused: AtomicU32,
    /// How often it was asked for a claim.
    claims: AtomicU32,
}

fn counts_down(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Flaky {
    fn lose<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if counts_down(&self.answers_lost) { Err(away()) } else { outcome }
    }
}

fn away() -> StoreError {
    StoreError::Unavailable("as the test wants".into())
}

macro_rules! flaky {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+) => {
        #[async_trait]
        impl Store for Flaky {
            async fn commit_reply(&self, commit: CommitReply) -> Result<Committed, StoreError> {
                if counts_down(&self.commits_refused) {
                    return Err(away());
                }
                let outcome = self.inner.commit_reply(commit).await;
                self.lose(outcome)
            }
            async fn claim_reply(&self, claim: ClaimReply) -> Result<Claimed, StoreError> {
                self.claims.fetch_add(1, Ordering::SeqCst);
                self.inner.claim_reply(claim).await
            }
            async fn end_reply(&self, end: EndReply) -> Result<Ended, StoreError> {
                let outcome = self.inner.end_reply(end).await;
                self.lose(outcome)
            }
            $(async fn $name(&self, $($arg: $type),*) -> Result<$out, StoreError> { self.inner.$name($($arg),*).await })+
        }
    };
    ($contract:ident: $($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+) => {
        #[async_trait]
        impl $contract for Flaky {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$out, StoreError> { self.inner.$name($($arg),*).await })+
        }
    };
}

flaky! {
    Uploads:
    create_upload(new: NewUpload, from: Option<&UploadId>) -> Upload;
    upload(id: &UploadId) -> Option<Upload>;
    visible_upload(id: &UploadId, viewer: Option<&UserId>) -> Option<Upload>;
    claim_upload(id: &UploadId, holder: &Incarnation) -> ClaimedUpload;
    end_upload(claim: &UploadClaim, end: UploadEnd) -> Option<Upload>;
    due_uploads(after: Option<&UploadId>, limit: u32) -> Vec<DueUpload>;
    delete_upload(id: &UploadId, owner: Option<&UserId>) -> DeleteUpload;
    orphaned_uploads(age: Duration, after: Option<&UploadId>, limit: u32) -> Vec<UploadId>;
    deleted_uploads(limit: u32) -> Vec<UploadId>;
    forget_upload(id: &UploadId) -> ();
    create_resumable(id: &UploadId, owner: &UserId, length: u64, most: u32) -> Option<Resumable>;
    resumable(id: &UploadId) -> Option<Resumable>;
    add_part(id: &UploadId, owner: &UserId, offset: u64, part: &Part) -> Option<Resumable>;
    delete_resumable(id: &UploadId) -> bool;
    expired_resumables(age: Duration, limit: u32) -> Vec<Resumable>;
    left_over(age: Duration) -> LeftOver;
    unknown_uploads(ids: &[UploadId], of: UploadBytes) -> Vec<UploadId>;
    secret(name: &str, fresh: &str) -> String;
}

flaky! {
    Galleries:
    gallery(character: &CharacterId) -> Option<Gallery>;
    add_picture(new: NewPicture, most: u32) -> AddPicture;
    change_picture(character: &CharacterId, id: &UploadId, change: PictureChange) -> bool;
    remove_picture(character: &CharacterId, id: &UploadId) -> bool;
}

flaky! {
    Personal:
    preferences(user: &UserId) -> Option<Preferences>;
    save_preferences(user: &UserId, body: &Map<String, Value>, version: Option<i64>) -> SavePreferences;
    draft(user: &UserId, key: &DraftKey) -> Option<Draft>;
    save_draft(user: &UserId, key: &DraftKey, body: &Map<String, Value>, lives: Duration, most: u32) -> SaveDraft;
    delete_draft(user: &UserId, key: &DraftKey) -> bool;
    close_account(user: &UserId, grace: Duration) -> Option<Closed>;
    restore_account(user: &UserId) -> bool;
    accounts_to_erase(limit: u32) -> Vec<UserId>;
    drafts(user: &UserId) -> Vec<Draft>;
    own_characters(user: &UserId, after: Option<&CharacterId>, limit: u32) -> Vec<Character>;
    own_uploads(user: &UserId, after: Option<&UploadId>, limit: u32) -> Vec<Upload>;
    own_messages(id: &ConversationId, user: &UserId, keep: Duration, after: u64, limit: u32) -> Option<MessagePage>;
    other_variants(id: &ConversationId, user: &UserId, keep: Duration, seq: u64) -> Vec<OtherVariant>;
    change_email(user: &UserId, email: &str) -> ChangeEmail;
}

flaky! {
    Rooms:
    add_member(id: &ConversationId, owner: &UserId, user: &UserId) -> AddMember;
    remove_member(id: &ConversationId, by: &UserId, user: &UserId) -> bool;
    members(id: &ConversationId, member: &UserId) -> Option<Vec<Participant>>;
    cancel_own(conversation: &Conversation, sender: &UserId) -> Cancel;
    room(id: &ConversationId) -> Option<Conversation>;
    create_invite(new: NewInvite) -> MadeInvite;
    invites(id: &ConversationId, owner: &UserId) -> Option<Vec<Invite>>;
    revoke_invite(id: &ConversationId, owner: &UserId, invite: &InviteId) -> bool;
    invite(token: &TokenHash, viewer: &UserId) -> Option<OpenInvite>;
    accept_invite(token: &TokenHash, user: &UserId) -> Admitted;
}

flaky! {
    Safety:
    block(blocker: &UserId, blocked: &UserId, most: u32) -> Blocked;
    unblock(blocker: &UserId, blocked: &UserId) -> ();
    blocks(blocker: &UserId) -> Vec<Block>;
    talks_with(user: &UserId, character: &CharacterId, or_guest: bool) -> bool;
    set_unlisted(id: &CharacterId, unlist: bool, deed: &Deed) -> Option<Character>;
    suspend(id: &UserId, until: Option<Timestamp>, deed: &Deed) -> Suspended;
    end_suspension(id: &UserId, deed: &Deed) -> bool;
    suspension(id: &UserId) -> Option<Suspension>;
    file_case(new: NewCase, most: u32, within: Duration) -> Filed;
    case(id: &CaseId) -> Option<Case>;
    own_cases(reporter: &UserId) -> Vec<Case>;
    cases(state: CaseState, cursor: Option<&str>, limit: u32) -> CasePage;
    decide_case(id: &CaseId, state: CaseState, deed: &Deed) -> Option<Case>;
    open_cases() -> u64;
    deeds(cursor: Option<&str>, limit: u32) -> AuditPage;
}

flaky! {
    Search:
    search_messages(query: &SearchQuery) -> Vec<FoundMessage>;
    search_characters(query: &SearchQuery) -> Vec<FoundCharacter>;
    character_tags(viewer: &UserId, limit: u32) -> Vec<TagCount>;
    tidy_search() -> bool;
}

macro_rules! flaky_mails {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+) => {
        #[async_trait]
        impl Mails for Flaky {
            async fn claim_mail(
                &self,
                id: &MailId,
                attempt: u32,
                holder: &Incarnation,
            ) -> Result<Option<StoredMail>, StoreError> {
                let outcome = self.inner.claim_mail(id, attempt, holder).await;
                self.lose(outcome)
            }
            $(async fn $name(&self, $($arg: $type),*) -> Result<$out, StoreError> { self.inner.$name($($arg),*).await })+
        }
    };
}

flaky_mails! {
    queue_mail(mail: NewMail) -> Option<DueMail>;
    mail(id: &MailId) -> Option<StoredMail>;
    due_mails(after: Option<&MailId>, limit: u32) -> Vec<DueMail>;
    begin_sending(id: &MailId, holder: &Incarnation, tokens: Vec<NewToken>) -> bool;
    end_mail(id: &MailId, holder: &Incarnation, end: MailEnd) -> bool;
    doubt_mails() -> u64;
    token(purpose: Purpose, token: &TokenHash) -> Option<TokenOwner>;
    confirm_address(token: &TokenHash) -> Option<UserId>;
    use_reset(token: &TokenHash, password_hash: &str) -> Option<PasswordReset>;
    mail_standing(user: &UserId) -> MailStanding;
    want_notice(user: &UserId, notice: Notice, wanted: bool) -> bool;
    note_presence(seen: Vec<(UserId, bool)>, open: Duration) -> ();
    presence(user: &UserId) -> Option<Presence>;
}

flaky! {
    ping() -> ();
    create_user(user: NewUser) -> CreateUser;
    user(id: &UserId) -> Option<User>;
    user_by_username(username: &Username) -> Option<User>;
    credentials(login: &str) -> Option<Credentials>;
    change_user(id: &UserId, change: AccountChange) -> Option<User>;
    delete_user(id: &UserId) -> bool;
    create_session(session: NewSession) -> ();
    member(token: &TokenHash) -> Option<Member>;
    touch_session(token: &TokenHash, ttl: Duration) -> ();
    sessions(user: &UserId) -> Vec<Session>;
    revoke_session(user: &UserId, session: &SessionId) -> bool;
    revoke_sessions(user: &UserId, except: Option<&SessionId>) -> u64;
    count_attempt(attempt: CountAttempt) -> Attempts;
    clear_attempts(subject: &str) -> ();
    create_character(character: Character) -> SaveCharacter;
    import_character(character: Character, card: String) -> SaveCharacter;
    character_card(id: &CharacterId) -> Option<String>;
    character(id: &CharacterId) -> Option<Character>;
    update_character(character: Character) -> SaveCharacter;
    delete_character(id: &CharacterId) -> bool;
    characters(query: CharacterQuery) -> CharacterPage;
    open_conversation(open: OpenConversation) -> (ConversationItem, bool);
    conversation(id: &ConversationId, member: &UserId) -> Option<ConversationItem>;
    conversation_of_pair(owner: &UserId, character: &CharacterId) -> Option<ConversationItem>;
    conversation_head(id: &ConversationId, member: &UserId) -> Option<ConversationHead>;
    conversations(member: &UserId, cursor: Option<&str>, limit: u32) -> ConversationPage;
    rename_conversation(id: &ConversationId, owner: &UserId, title: &str) -> bool;
    delete_conversation(id: &ConversationId, owner: &UserId) -> bool;
    messages(conversation: &ConversationId, member: &UserId, query: MessageQuery) -> Option<MessagePage>;
    message(conversation: &Conversation, id: &MessageId) -> Option<Message>;
    send_message(send: SendMessage) -> Sent;
    cancel(conversation: &Conversation) -> Cancel;
    retry(conversation: &Conversation, message: &MessageId) -> Option<(Message, u32)>;
    due_replies(after: Option<&MessageId>, limit: u32) -> Vec<Due>;
    context(claim: &Claim, limit: u32) -> Vec<(Author, Message)>;
    last_seq(conversation: &ConversationId) -> u64;
    last_seqs(conversations: &[ConversationId]) -> Vec<(ConversationId, u64)>;
    missed(conversation: &ConversationId, after: u64, limit: u32) -> Vec<Message>;
    usage(user: &UserId, character: &CharacterId) -> UsageCount;
    usages(user: &UserId) -> Vec<(CharacterId, UsageCount)>;
    renew_lease(server: &Incarnation, lease: Duration, serves: bool) -> bool;
    end_lease(server: &Incarnation) -> ();
    live_servers() -> u64;
    leads(server: &Incarnation) -> bool;
    changes(cursor: i64, limit: u32) -> Vec<(i64, Change)>;
    last_change() -> i64;
}

/// What never fails.
macro_rules! passes_on {
    ($contract:ident: $($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+) => {
        #[async_trait]
        impl $contract for Flaky {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$out, StoreError> { self.inner.$name($($arg),*).await })+
        }
    };
}

passes_on! {
    Revisions:
    redo_reply(redo: RedoReply) -> Revised<DueAgain>;
    select_variant(conversation: &Conversation, reply: &MessageId, selected: u32) -> Revised<Message>;
    edit_message(edit: EditMessage) -> Revised<Edited>;
    revise_reply(revise: ReviseReply) -> Revised<Message>;
    revised_at(conversation: &Conversation, message: &MessageId) -> Option<Timestamp>;
}

passes_on! {
    Threads:
    remove_exchange(remove: RemoveExchange) -> Revised<Removed>;
    branch_conversation(branch: BranchConversation) -> Branched;
    restore_conversation(id: &ConversationId, owner: &UserId, keep: Duration) -> Option<ConversationItem>;
    deleted_conversations(owner: &UserId, keep: Duration, cursor: Option<&str>, limit: u32) -> ConversationPage;
    count_purgeable(keep: Duration) -> u64;
    purge_conversation(keep: Duration) -> bool;
    mark_read(id: &ConversationId, member: &UserId, seq: u64) -> Option<ReadMark>;
    room_standing(id: &ConversationId) -> Option<RoomStanding>;
    member_ids(id: &ConversationId) -> Vec<UserId>;
}

passes_on! {
    Importing:
    import_conversation(import: ImportConversation) -> ConversationItem;
}

passes_on! {
    Personas:
    personas(user: &UserId) -> Vec<Persona>;
    create_persona(user: &UserId, new: NewPersona, most: u32) -> SavePersona;
    change_persona(user: &UserId, id: &PersonaId, change: PersonaChange) -> SavePersona;
    delete_persona(user: &UserId, id: &PersonaId) -> bool;
    persona_choice(conversation: &ConversationId, member: &UserId) -> Option<PersonaChoice>;
    choose_persona(conversation: &ConversationId, member: &UserId, persona: Option<&PersonaId>) -> bool;
    speakers(conversation: &ConversationId) -> Vec<Speaker>;
}

passes_on! {
    Roster:
    accounts(query: &RosterQuery) -> AccountPage;
}

passes_on! {
    Reports:
    add_sample(sample: Sample) -> ();
    measured(stretch: Stretch) -> Figures;
    first_sample(since: Timestamp) -> Option<Timestamp>;
    activity(stretch: Stretch) -> Activity;
    tokens_between(first_day: &str, last_day: &str) -> Vec<ModelTokens>;
    save_report(report: Report) -> ();
    reports(period: Period, stretch: Stretch, limit: u32) -> Vec<Report>;
    count_stale(what: Stale, keep: Duration) -> u64;
    sweep(what: Stale, keep: Duration) -> u64;
}

fn flaky(world: &World, answers_lost: u32, commits_refused: u32) -> Arc<Flaky> {
    let (answers_lost, commits_refused) = (answers_lost.into(), commits_refused.into());
    Arc::new(Flaky { inner: world.store(), answers_lost, commits_refused, claims: AtomicU32::new(0) })
}

#[tokio::test]
async fn a_reply_whose_commit_was_answered_into_the_void_is_told_all_the_same() {
    let world = World::new().await;
    let mut server = world.made_of(flaky(&world, 1, 0), Arc::new(world.remote()), settings()).await;
    server.work().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Hello?").await;
    until("the room hears it", || server.heard.count("message:updated") == 1).await;
    let replies = server.replies_to(&ann, &asked).await;
    assert_eq!((replies.len(), world.model.calls()), (1, 1));
    assert_eq!(server.heard.count("message:new"), 2);
}

#[tokio::test]
async fn a_failure_whose_commit_was_answered_into_the_void_is_told_all_the_same() {
    let world = World::new().await;
    let mut server = world.made_of(flaky(&world, 1, 0), Arc::new(world.remote()), settings()).await;
    server.work().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    world.model.refuse_next(1, 400);
    server.send(&ann, &talk, "Hello?").await;
    until("the room hears it", || server.heard.count("message:updated") == 1).await;
    assert_eq!(server.heard.count("reply:error"), 1);
}

#[tokio::test]
async fn a_reply_that_the_store_does_not_take_is_given_anew_and_shuts_nothing() {
    let world = World::new().await;
    // More often than a commit is tried.
    let mut server = world.made_of(flaky(&world, 0, 5), Arc::new(world.remote()), settings()).await;
    server.work().await;
    server.keep_lease();
    server.reconcile();
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Hello?").await;
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    let replies = server.replies_to(&ann, &asked).await;
    assert_eq!((replies.len(), server.heard.streamed()), (1, replies[0].text.clone()));
    // The reply that was not stored is in nobody's window.
    let next = server.send(&ann, &talk, "And now?").await;
    server.until(&ann, &next, ReplyState::Done).await;
    let given = world.model.asked().pop().unwrap().messages;
    assert_eq!(given.iter().filter(|message| message.content == "Hello?").count(), 1);
}

/// Servers that do not hear each other each grant a character's turns, and one has the claim. What waits there does not make
/// the others ask for it all the time, however much it is.
#[tokio::test]
async fn a_character_that_is_busy_elsewhere_is_left_alone_for_a_while() {
    const WAITING: usize = 40;
    let world = World::with(Behaviour { delay: Duration::from_millis(700), ..Default::default() }).await;
    let busy = world.server().await;
    let (ann, mara) = (busy.person("ann").await, busy.character("Mara").await);
    let talk = busy.talk(&ann, &mara).await;
    busy.send(&ann, &talk, "Are you there?").await;
    until("it is being answered", || world.model.calls() == 1).await;
    for n in 0..WAITING {
        busy.send(&ann, &talk, &format!("And {n}?")).await;
    }
    let store = flaky(&world, 0, 0);
    let mut other = world.made_of(store.clone(), Arc::new(world.remote()), settings()).await;
    other.work().await;
    other.keep_lease();
    other.reconcile();
    until("it asks", || store.claims.load(Ordering::SeqCst) > 0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let claims = store.claims.load(Ordering::SeqCst);
    assert!(claims <= 5 * 4, "{claims} claims in 3 s: one a second is enough");
    world.model.set(|behaviour| behaviour.delay = Duration::ZERO);
    let store = &busy.platform.store;
    eventually("all are answered", || async { store.due_replies(None, 1).await.unwrap().is_empty() }).await;
}

/// Nor does a single one that waits, which is granted anew at once: its pauses do not add up.
#[tokio::test]
async fn a_turn_that_waits_alone_asks_no_more_often_the_longer_it_waits() {
    let world = World::with(Behaviour { delay: Duration::from_millis(1_400), ..Default::default() }).await;
    let busy = world.server().await;
    let (ann, mara) = (busy.person("ann").await, busy.character("Mara").await);
    let talk = busy.talk(&ann, &mara).await;
    busy.send(&ann, &talk, "Are you there?").await;
    until("it is being answered", || world.model.calls() == 1).await;
    busy.send(&ann, &talk, "And now?").await;
    let store = flaky(&world, 0, 0);
    let mut other = world.made_of(store.clone(), Arc::new(world.remote()), settings()).await;
    other.work().await;
    other.keep_lease();
    other.reconcile();
    until("it asks", || store.claims.load(Ordering::SeqCst) > 0).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = store.claims.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let claims = store.claims.load(Ordering::SeqCst) - before;
    assert!(claims <= 5, "{claims} claims in 3 s, after {before} in 4");
    world.model.set(|behaviour| behaviour.delay = Duration::ZERO);
    let store = &busy.platform.store;
    eventually("both are answered", || async { store.due_replies(None, 1).await.unwrap().is_empty() }).await;
}

/// Panics at its first call.
struct Moody {
    inner: Remote,
    panics: AtomicU32,
}

#[async_trait]
impl LanguageModel for Moody {
    fn name(&self) -> &ModelName {
        self.inner.name()
    }
    fn budget(&self) -> TokenBudget {
        self.inner.budget()
    }
    async fn stream(&self, request: Request) -> Result<ReplyStream, ModelError> {
        assert!(!counts_down(&self.panics), "as the test wants");
        self.inner.stream(request).await
    }
    async fn check(&self) -> Result<(), ModelError> {
        self.inner.check().await
    }
}

#[tokio::test]
async fn a_reply_that_panicked_keeps_neither_its_claim_nor_its_turn() {
    let world = World::new().await;
    let moody = Arc::new(Moody { inner: world.remote(), panics: 1.into() });
    let mut server = world.made_of(world.store(), moody, settings()).await;
    server.work().await;
    server.keep_lease();
    server.reconcile();
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Hello?").await;
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    assert_eq!((server.replies_to(&ann, &asked).await.len(), server.platform.replies_under_way()), (1, 0));
    let state = server.platform.conversation_state(&ann.who, &talk).await.unwrap();
    assert_eq!(state, ConversationState::default());
}

#[tokio::test]
async fn a_mail_whose_claim_was_not_answered_is_not_kept_from_everyone() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    world.let_time_pass();
    let mut server = world.made_of(flaky(&world, 1, 0), Arc::new(world.remote()), with(&office)).await;
    server.work().await;
    server.keep_lease();
    server.reconcile();
    server.person("ann").await;
    office.of("Welcome", 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(office.brought(), 1);
}
