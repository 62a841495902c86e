//! Removing the last exchange, branches, deletions that are taken back, and read marks.

use super::World;
use super::world::MONTH;
use crate::words::Sought;
use crate::{
    AddMember, BranchConversation, Branched, Cancel, Change, CharacterQuery, Claimed, ConversationItem, EditMessage,
    MessageQuery, Redo, RedoReply, RemoveExchange, Removed, ReviseReply, Revised, SearchQuery, Sent, Sort, Stretch,
    Unfit,
};
use aim_domain::{Conversation, Incarnation, Message, MessageId, ReplyState, Timestamp, User};
use std::time::Duration;

async fn remove(world: &World, conversation: &Conversation, message: &MessageId, by: &User) -> Revised<Removed> {
    let (conversation, message, by) = (conversation.id.clone(), message.clone(), by.id.clone());
    world.tick();
    world.store.remove_exchange(RemoveExchange { conversation, message, by }).await.unwrap()
}

/// Says something and has it answered.
async fn exchange(world: &World, conversation: &Conversation, server: &Incarnation, text: &str) -> (Message, Message) {
    let asked = world.send(conversation, text).await;
    let reply = world.answer(conversation, server, &format!("re: {text}")).await;
    (world.stored(conversation, &asked.id).await, reply)
}

async fn texts(world: &World, conversation: &Conversation) -> Vec<String> {
    world.all_messages(conversation).await.into_iter().map(|message| message.text).collect()
}

async fn item(world: &World, conversation: &Conversation, user: &User) -> Option<ConversationItem> {
    world.store.conversation(&conversation.id, &user.id).await.unwrap()
}

async fn found(world: &World, user: &User, text: &str) -> usize {
    let query =
        SearchQuery { viewer: user.id.clone(), conversation: None, sought: Sought::parse(text).unwrap(), limit: 10 };
    world.store.search_messages(&query).await.unwrap().len()
}

async fn branch(world: &World, from: &Conversation, message: &MessageId, by: &User) -> Branched {
    world.tick();
    let branch = BranchConversation {
        id: world.ambient.id(),
        from: from.id.clone(),
        message: message.clone(),
        by: by.id.clone(),
        title: "Mara (branch)".into(),
    };
    world.store.branch_conversation(branch).await.unwrap()
}

async fn made(world: &World, from: &Conversation, message: &MessageId, by: &User) -> ConversationItem {
    match branch(world, from, message, by).await {
        Branched::Made(item) => *item,
        other => panic!("{other:?}"),
    }
}

pub async fn the_last_exchange_is_removed_and_seq_goes_on_without_a_gap(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let server = world.server().await;
    let (_, first) = exchange(&world, &conversation, &server, "hello").await;
    let (asked, reply) = exchange(&world, &conversation, &server, "zanzibar").await;
    // With a variant, which goes as well.
    let redo = RedoReply { conversation: conversation.id.clone(), message: reply.id.clone(), how: Redo::Variant };
    store.redo_reply(redo).await.unwrap().unwrap();
    let claim = world.claimed(&conversation, &server).await;
    world.commit(&claim, "another zanzibar").await;
    assert_eq!(found(&world, &user, "zanzibar").await, 2);

    let cursor = store.last_change().await.unwrap();
    let removed = remove(&world, &conversation, &asked.id, &user).await.unwrap();
    assert_eq!((removed.from_seq, removed.removals), (3, 1));
    assert_eq!(removed.messages, [asked.id.clone(), reply.id.clone()]);
    assert_eq!((removed.cancelled, removed.last.as_ref()), (vec![], Some(&first)));
    let told = store.changes(cursor, 10).await.unwrap();
    assert_eq!(told, [(cursor + 1, Change::Conversation { id: conversation.id.clone() })]);
    let now = item(&world, &conversation, &user).await.unwrap();
    assert_eq!((now.conversation.last_seq, now.conversation.removals), (2, 1));
    assert_eq!(now.last_message, Some(first));
    let standing = store.room_standing(&conversation.id).await.unwrap().unwrap();
    assert_eq!((standing.last_seq, standing.removals), (2, 1));
    assert_eq!(texts(&world, &conversation).await, ["hello", "re: hello"]);
    assert_eq!(found(&world, &user, "zanzibar").await, 0);
    assert_eq!(store.usage(&user.id, &character.id).await.unwrap().text, 2, "nothing is given back");
    assert_eq!(world.commit(&claim, "late").await, crate::Committed::Stale);

    let (anew, _) = exchange(&world, &conversation, &server, "again").await;
    assert_eq!(anew.seq, 3);
    world.assert_seq_without_a_gap(&conversation).await;
    // Its client id is free again: it is not what was sent before.
    let mut again = world.message(&conversation, &user.id, "again");
    again.client_id = asked.client_id.clone().unwrap();
    assert!(matches!(store.send_message(again).await.unwrap(), Sent::Accepted { .. }));
    let next = world.claimed(&conversation, &server).await;
    assert!(next.fence > claim.fence + 1, "what was cached of before counts no more");
    let read = store.context(&next, 10).await.unwrap();
    let read: Vec<_> = read.into_iter().map(|(_, message)| message.text).collect();
    assert_eq!(read, ["hello", "re: hello", "again", "re: again"]);
}

pub async fn only_the_last_message_of_a_person_is_removed(world: World) {
    let store = &world.store;
    let (owner, character, _) = world.pair().await;
    let greeting = Some((world.ambient.id(), "Come in.".into()));
    let ines = world.user("ines").await;
    let opening = crate::OpenConversation { greeting, ..world.opening(&ines, &character) };
    let conversation = store.open_conversation(opening).await.unwrap().0.conversation;
    store.add_member(&conversation.id, &ines.id, &owner.id).await.unwrap();
    let greeted = world.all_messages(&conversation).await[0].id.clone();
    assert_eq!(remove(&world, &conversation, &greeted, &ines).await, Err(Unfit::Unanswered), "a greeting stays");
    assert_eq!(remove(&world, &conversation, &world.ambient.id(), &ines).await, Err(Unfit::NotFound));

    let server = world.server().await;
    let (asked, reply) = exchange(&world, &conversation, &server, "hello").await;
    assert_eq!(remove(&world, &conversation, &reply.id, &ines).await, Err(Unfit::Unanswered));
    assert_eq!(
        remove(&world, &conversation, &asked.id, &owner).await,
        Err(Unfit::NotTheirs),
        "a member, not its sender"
    );
    let later = world.send(&conversation, "later").await;
    assert_eq!(remove(&world, &conversation, &later.id, &ines).await, Err(Unfit::Busy));
    world.answer(&conversation, &server, "re: later").await;
    assert_eq!(remove(&world, &conversation, &asked.id, &ines).await, Err(Unfit::NotLast));

    // A member's own, removed by the owner of the conversation; and one that failed, by its sender.
    let theirs = world.message(&conversation, &owner.id, "mine");
    let Sent::Accepted { message: theirs, .. } = store.send_message(theirs).await.unwrap() else { panic!() };
    let claim = world.claimed(&conversation, &server).await;
    world.end(&claim, ReplyState::Failed).await;
    assert_eq!(remove(&world, &conversation, &theirs.id, &ines).await.unwrap().from_seq, 6);
    assert_eq!(remove(&world, &conversation, &later.id, &ines).await.unwrap().removals, 2);
    assert_eq!(remove(&world, &conversation, &asked.id, &ines).await.unwrap().removals, 3);
    assert_eq!(texts(&world, &conversation).await, ["Come in."]);
}

pub async fn what_loses_its_reply_with_a_later_message_can_be_asked_again(world: World) {
    let (user, _, conversation) = world.pair().await;
    let server = world.server().await;
    let (one, two) = (world.send(&conversation, "one").await, world.send(&conversation, "two").await);
    for n in 1..=2 {
        world.answer(&conversation, &server, &format!("re: {n}")).await;
    }
    let removed = remove(&world, &conversation, &two.id, &user).await.unwrap();
    assert_eq!((removed.from_seq, removed.messages.len()), (2, 3));
    let cancelled: Vec<_> = removed.cancelled.iter().map(|message| (&message.id, message.reply_state)).collect();
    assert_eq!(cancelled, [(&one.id, Some(ReplyState::Cancelled))]);
    assert_eq!(world.all_messages(&conversation).await, removed.cancelled);
    let (again, _) = world.store.retry(&conversation, &one.id).await.unwrap().unwrap();
    assert_eq!(again.reply_state, Some(ReplyState::Due));
    assert_eq!(world.answer(&conversation, &server, "anew").await.seq, 2);
}

pub async fn nobody_takes_a_reply_to_others_away(world: World) {
    let (user, _, conversation) = world.pair().await;
    let guest = world.user("guest").await;
    world.store.add_member(&conversation.id, &user.id, &guest.id).await.unwrap();
    let server = world.server().await;
    let one = world.send(&conversation, "one").await;
    let theirs = world.message(&conversation, &guest.id, "two");
    let Sent::Accepted { message: theirs, .. } = world.store.send_message(theirs).await.unwrap() else { panic!() };
    for n in 1..=2 {
        world.answer(&conversation, &server, &format!("re: {n}")).await;
    }
    let before = world.all_messages(&conversation).await;
    assert_eq!(before.iter().find(|message| message.in_reply_to.as_ref() == Some(&one.id)).unwrap().seq, 3);
    assert_eq!(remove(&world, &conversation, &theirs.id, &guest).await, Err(Unfit::NotTheirs));
    assert_eq!(world.all_messages(&conversation).await, before);
    assert!(remove(&world, &conversation, &theirs.id, &user).await.is_ok(), "the owner may");
}

pub async fn branches_make_nothing_more_popular_and_are_said_once(world: World) {
    let (user, character, conversation) = world.pair().await;
    let server = world.server().await;
    let (asked, reply) = exchange(&world, &conversation, &server, "hello").await;
    let counted = async || {
        let stretch = Stretch { from: Timestamp(0), to: Timestamp(world.now().0 + 1_000) };
        let activity = world.store.activity(stretch).await.unwrap();
        (activity.text_messages, activity.replies)
    };
    let before = counted().await;
    let branch = made(&world, &conversation, &reply.id, &user).await.conversation;
    made(&world, &conversation, &asked.id, &user).await;
    assert_eq!(counted().await, before);
    exchange(&world, &branch, &server, "and now").await;
    assert_eq!(counted().await, (before.0 + 1, before.1 + 1));
    // Another character that two people talk with comes before one that has branches.
    let bo = world.character("Bo").await;
    world.conversation(&user, &bo).await;
    world.conversation(&world.user("ines").await, &bo).await;
    let query = CharacterQuery {
        viewer: user.id.clone(),
        text: None,
        tag: None,
        among: None,
        sort: Sort::Popular,
        cursor: None,
        limit: 10,
    };
    let listed = world.store.characters(query).await.unwrap().items;
    let at = |id| listed.iter().position(|one| one.id == id);
    assert!(at(bo.id.clone()) < at(character.id.clone()));
}

pub async fn a_branch_has_copies_up_to_its_message(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let server = world.server().await;
    let (first, reply) = exchange(&world, &conversation, &server, "hello").await;
    let redo = RedoReply { conversation: conversation.id.clone(), message: reply.id.clone(), how: Redo::Variant };
    store.redo_reply(redo).await.unwrap().unwrap();
    world.answer(&conversation, &server, "chosen").await;
    let asked = world.send(&conversation, "and then").await;
    let unanswered = made(&world, &conversation, &asked.id, &user).await;
    world.answer(&conversation, &server, "that").await;

    let at = unanswered.conversation.branch_of.clone().unwrap();
    assert_eq!((&at.conversation_id, at.seq), (&conversation.id, 3));
    assert_eq!((unanswered.conversation.last_seq, unanswered.unread), (3, 0));
    assert_eq!(unanswered.conversation.member_ids, std::slice::from_ref(&user.id));
    assert_eq!(unanswered.conversation.title, "Mara (branch)");
    let copies = world.all_messages(&unanswered.conversation).await;
    let states: Vec<_> = copies.iter().map(|copy| (copy.text.as_str(), copy.reply_state)).collect();
    assert_eq!(
        states,
        [("hello", Some(ReplyState::Done)), ("chosen", None), ("and then", Some(ReplyState::Cancelled))],
        "nothing is due, and what has no reply can be asked again"
    );
    for (copy, message) in copies.iter().zip([&first, &reply]) {
        assert_ne!(copy.id, message.id);
        assert_eq!(copy.id.as_str().len(), 36);
        assert_eq!(copy.id.as_str()[..13], message.id.as_str()[..13], "as old as what it copies");
        assert_eq!((copy.created_at, &copy.sender_id, copy.seq), (message.created_at, &message.sender_id, message.seq));
    }
    assert_eq!(copies[1].in_reply_to.as_ref(), Some(&copies[0].id));
    assert_eq!(copies[1].variants, None, "only the chosen one");
    assert!(store.due_replies(None, 10).await.unwrap().is_empty());

    // The copies are read and answered as if they had been said there, and both go their ways.
    let sent = world.send(&unanswered.conversation, "elsewhere").await;
    assert_eq!(sent.seq, 4);
    let claim = world.claimed(&unanswered.conversation, &server).await;
    let read = store.context(&claim, 10).await.unwrap();
    let read: Vec<_> = read.into_iter().map(|(_, message)| message.text).collect();
    assert_eq!(read, ["hello", "chosen"]);
    world.commit(&claim, "indeed").await;
    world.assert_seq_without_a_gap(&unanswered.conversation).await;
    assert_eq!(texts(&world, &conversation).await.len(), 4);

    let again = made(&world, &conversation, &reply.id, &user).await;
    assert_ne!(again.conversation.id, unanswered.conversation.id);
    let (main, is_new) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
    assert!(!is_new && main.conversation.id == conversation.id, "the pair's conversation is the main one");
    assert_eq!(store.conversations(&user.id, None, 10).await.unwrap().items.len(), 3);
    // A branch of a branch, and what was branched off goes without it.
    let deeper = made(&world, &again.conversation, &world.all_messages(&again.conversation).await[0].id, &user).await;
    assert!(store.delete_conversation(&again.conversation.id, &user.id).await.unwrap());
    world.clock.advance(MONTH);
    assert!(store.purge_conversation(Duration::ZERO).await.unwrap());
    assert_eq!(texts(&world, &deeper.conversation).await, ["hello"]);
}

pub async fn a_branch_is_its_makers_alone(world: World) {
    let store = &world.store;
    let (owner, _, conversation) = world.pair().await;
    let (ines, zoe) = (world.user("ines").await, world.user("zoe").await);
    store.add_member(&conversation.id, &owner.id, &ines.id).await.unwrap();
    let server = world.server().await;
    let (asked, reply) = exchange(&world, &conversation, &server, "a canary").await;
    assert_eq!(branch(&world, &conversation, &reply.id, &zoe).await, Branched::NotFound, "not in it");
    assert_eq!(branch(&world, &conversation, &world.ambient.id(), &ines).await, Branched::NotFound);
    let item = made(&world, &conversation, &reply.id, &ines).await;
    assert_eq!((&item.conversation.owner_id, &item.conversation.member_ids), (&ines.id, &vec![ines.id.clone()]));
    let copies = store.messages(&item.conversation.id, &ines.id, MessageQuery { limit: 9, ..Default::default() }).await;
    let copies = copies.unwrap().unwrap().items;
    assert_eq!(copies[0].sender_id, asked.sender_id, "others' lines stay theirs");
    assert!(self::item(&world, &item.conversation, &owner).await.is_none());

    // What an account said goes with it, in copies as well.
    assert!(store.delete_user(&owner.id).await.unwrap());
    assert_eq!(found(&world, &ines, "canary").await, 0);
    let copies = store.messages(&item.conversation.id, &ines.id, MessageQuery { limit: 9, ..Default::default() }).await;
    assert!(copies.unwrap().unwrap().items.iter().all(|copy| !copy.text.contains("canary")));
}

/// Goes through every read and command of the contract that names a conversation.
pub async fn a_deleted_conversation_is_gone_from_everything(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let ines = world.user("ines").await;
    store.add_member(&conversation.id, &user.id, &ines.id).await.unwrap();
    let server = world.server().await;
    let (asked, reply) = exchange(&world, &conversation, &server, "a canary").await;
    let due = world.send(&conversation, "due").await;
    let claim = world.claimed(&conversation, &server).await;
    let before = store.character(&character.id).await.unwrap();
    let (id, me) = (&conversation.id, &user.id);
    assert!(store.delete_conversation(id, me).await.unwrap());
    assert_eq!(before, store.character(&character.id).await.unwrap());

    for who in [&user, &ines] {
        assert_eq!(item(&world, &conversation, who).await, None);
        assert_eq!(store.conversations(&who.id, None, 10).await.unwrap().items, []);
        let all = MessageQuery { limit: 10, ..Default::default() };
        assert_eq!(store.messages(id, &who.id, all).await.unwrap(), None);
        assert_eq!(found(&world, who, "canary").await, 0);
        let send = world.message(&conversation, &who.id, "hello?");
        assert_eq!(store.send_message(send).await.unwrap(), Sent::NotFound);
        assert_eq!(store.mark_read(id, &who.id, 1).await.unwrap(), None);
        assert_eq!(branch(&world, &conversation, &reply.id, who).await, Branched::NotFound);
        assert_eq!(remove(&world, &conversation, &asked.id, who).await, Err(Unfit::NotFound));
    }
    assert!(!store.rename_conversation(id, me, "mine").await.unwrap());
    assert_eq!(store.add_member(id, me, &ines.id).await.unwrap(), AddMember::NotFound);
    assert!(!store.remove_member(id, me, &ines.id).await.unwrap());
    assert!(!store.delete_conversation(id, me).await.unwrap());
    assert_eq!(store.message(&conversation, &asked.id).await.unwrap(), None);
    assert_eq!(store.missed(id, 0, 10).await.unwrap(), []);
    assert_eq!(store.last_seq(id).await.unwrap(), 0);
    assert_eq!(store.room_standing(id).await.unwrap(), None);
    assert!(store.member_ids(id).await.unwrap().is_empty());
    assert_eq!(world.claim(&conversation, &server).await, Claimed::NothingDue);
    assert_eq!(world.commit(&claim, "late").await, crate::Committed::Stale);
    assert_eq!(world.end(&claim, ReplyState::Failed).await, crate::Ended::Stale);
    assert!(store.context(&claim, 10).await.unwrap().is_empty());
    assert!(store.due_replies(None, 10).await.unwrap().is_empty());
    assert_eq!(store.cancel(&conversation).await.unwrap(), Cancel::Cancelled(vec![]));
    assert_eq!(store.retry(&conversation, &due.id).await.unwrap(), None);
    let redo = RedoReply { conversation: id.clone(), message: reply.id.clone(), how: Redo::Variant };
    assert_eq!(store.redo_reply(redo).await.unwrap(), Err(Unfit::NotFound));
    assert_eq!(store.select_variant(&conversation, &reply.id, 0).await.unwrap(), Err(Unfit::NotFound));
    let (conversation, message) = (id.clone(), due.id.clone());
    let edit = EditMessage { conversation, message, by: me.clone(), text: "x".into(), was: None };
    assert_eq!(store.edit_message(edit).await.unwrap(), Err(Unfit::NotFound));
    let revise = ReviseReply {
        conversation: id.clone(),
        reply: reply.id.clone(),
        text: "x".into(),
        was: None,
        personality: None,
    };
    assert_eq!(store.revise_reply(revise).await.unwrap(), Err(Unfit::NotFound));
}

pub async fn a_deletion_is_taken_back_by_its_owner(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let ines = world.user("ines").await;
    store.add_member(&conversation.id, &user.id, &ines.id).await.unwrap();
    let server = world.server().await;
    exchange(&world, &conversation, &server, "a canary").await;
    let due = world.send(&conversation, "due").await;
    let before = world.all_messages(&conversation).await;
    let listed = async |who: &User| store.deleted_conversations(&who.id, MONTH, None, 10).await.unwrap().items;
    assert!(listed(&user).await.is_empty());
    assert!(store.restore_conversation(&conversation.id, &user.id, MONTH).await.unwrap().is_none(), "it is there");
    world.tick();
    assert!(store.delete_conversation(&conversation.id, &user.id).await.unwrap());
    let gone = listed(&user).await;
    assert_eq!((gone.len(), gone[0].conversation.deleted_at), (1, Some(world.now())));
    assert_eq!(gone[0].last_message.as_ref().map(|message| &message.id), Some(&due.id));
    assert!(listed(&ines).await.is_empty(), "it is its owner's to have back");
    assert!(store.restore_conversation(&conversation.id, &ines.id, MONTH).await.unwrap().is_none());

    world.tick();
    let cursor = store.last_change().await.unwrap();
    let back = store.restore_conversation(&conversation.id, &user.id, MONTH).await.unwrap().unwrap();
    assert_eq!((back.conversation.deleted_at, back.conversation.last_seq), (None, 3));
    let told: Vec<Change> = store.changes(cursor, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    let member = |who: &User| Change::Member { conversation: conversation.id.clone(), user: who.id.clone() };
    let expected = [member(&user), member(&ines), Change::Conversation { id: conversation.id.clone() }];
    assert!(told.len() == 3 && expected.iter().all(|change| told.contains(change)), "{told:?}");
    assert!(listed(&user).await.is_empty());
    let after = world.all_messages(&conversation).await;
    assert_eq!(after[..2], before[..2]);
    assert_eq!((&after[2].id, after[2].reply_state), (&due.id, Some(ReplyState::Cancelled)));
    assert!(item(&world, &conversation, &ines).await.is_some());
    assert_eq!(found(&world, &ines, "canary").await, 2);
    assert_eq!(store.restore_conversation(&conversation.id, &user.id, MONTH).await.unwrap(), None);
    let (same, is_new) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
    assert!(!is_new && same.conversation.id == conversation.id, "it is the main one again");

    // Opened anew after a deletion: what comes back then is a further one.
    assert!(store.delete_conversation(&conversation.id, &user.id).await.unwrap());
    let anew = world.conversation(&user, &character).await;
    assert_ne!(anew.id, conversation.id);
    assert!(store.restore_conversation(&conversation.id, &user.id, MONTH).await.unwrap().is_some());
    let (main, _) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
    assert_eq!(main.conversation.id, anew.id);
    assert_eq!(store.conversations(&user.id, None, 10).await.unwrap().items.len(), 2);
    world.send(&conversation, "still here").await;
}

pub async fn what_was_deleted_long_ago_is_purged(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let mut talks = Vec::new();
    for n in 0..3 {
        let talk = world.conversation(&user, &world.character(&format!("C{n}")).await).await;
        world.send(&talk, &format!("message {n}")).await;
        world.clock.advance(Duration::from_secs(3_600));
        assert!(store.delete_conversation(&talk.id, &user.id).await.unwrap());
        talks.push(talk);
    }
    // Pages of what can be had back meet without a gap.
    let (mut paged, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = store.deleted_conversations(&user.id, MONTH, cursor.as_deref(), 2).await.unwrap();
        paged.extend(page.items.into_iter().map(|item| item.conversation.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, talks.iter().rev().map(|talk| talk.id.clone()).collect::<Vec<_>>());

    assert_eq!(store.count_purgeable(MONTH).await.unwrap(), 0);
    assert!(!store.purge_conversation(MONTH).await.unwrap());
    world.clock.advance(MONTH - Duration::from_secs(3_600));
    assert_eq!(store.count_purgeable(MONTH).await.unwrap(), 2);
    assert!(store.restore_conversation(&talks[0].id, &user.id, MONTH).await.unwrap().is_none(), "too late");
    assert!(store.purge_conversation(MONTH).await.unwrap() && store.purge_conversation(MONTH).await.unwrap());
    assert!(!store.purge_conversation(MONTH).await.unwrap());
    let left = store.deleted_conversations(&user.id, MONTH * 2, None, 10).await.unwrap().items;
    assert_eq!(left.iter().map(|item| &item.conversation.id).collect::<Vec<_>>(), [&talks[2].id]);
    let character = world.store.character(&aim_domain::CharacterId::parse("c0").unwrap()).await.unwrap();
    assert!(character.is_some());

    // An account that is erased takes what it deleted with it at once.
    assert!(store.delete_user(&user.id).await.unwrap());
    assert_eq!(store.count_purgeable(Duration::ZERO).await.unwrap(), 0);
}

pub async fn a_mark_of_what_was_read_only_moves_forward(world: World) {
    let store = &world.store;
    let (owner, _, conversation) = world.pair().await;
    let (ines, zoe) = (world.user("ines").await, world.user("zoe").await);
    let server = world.server().await;
    exchange(&world, &conversation, &server, "before").await;
    store.add_member(&conversation.id, &owner.id, &ines.id).await.unwrap();
    let unread = async |who: &User| item(&world, &conversation, who).await.unwrap().unread;
    assert_eq!((unread(&owner).await, unread(&ines).await), (1, 0), "who comes in begins with nothing unread");
    exchange(&world, &conversation, &server, "hello").await;
    assert_eq!((unread(&owner).await, unread(&ines).await), (1, 2), "one's own message reads what was before it");
    let listed = store.conversations(&ines.id, None, 10).await.unwrap().items;
    assert_eq!(listed[0].unread, 2);

    let mark = async |who: &User, seq| store.mark_read(&conversation.id, &who.id, seq).await.unwrap();
    let three = mark(&ines, 3).await.unwrap();
    assert_eq!((three.seq, three.unread, three.moved), (3, 1, true));
    let back = mark(&ines, 1).await.unwrap();
    assert_eq!((back.seq, back.unread, back.moved), (3, 1, false));
    let far = mark(&ines, 99).await.unwrap();
    assert_eq!((far.seq, far.unread, far.moved), (4, 0, true), "no further than what is there");
    assert_eq!(mark(&zoe, 1).await, None);
    assert_eq!(unread(&owner).await, 1, "everyone reads for themselves");

    // What is removed is not unread, and what takes its place is.
    let last = world.all_messages(&conversation).await[2].id.clone();
    remove(&world, &conversation, &last, &owner).await.unwrap();
    assert_eq!((unread(&owner).await, unread(&ines).await), (0, 0));
    exchange(&world, &conversation, &server, "anew").await;
    assert_eq!(unread(&ines).await, 2);
    for n in 0..60 {
        exchange(&world, &conversation, &server, &format!("{n}")).await;
    }
    assert_eq!(unread(&ines).await, 100, "counted so far and no further");
}
