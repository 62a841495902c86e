//! The claim protocol: one at a time, under the current fence, once.

use super::World;
use super::world::LEASE;
use crate::{Cancel, Change, ClaimReply, Claimed, CommitReply, Committed, EndReply, Ended, ModelTokens, TokenUse};
use aim_domain::{Author, MessageId, Personality, ReplyState, Tier};
use futures::future::join_all;

pub async fn a_claim_takes_the_lowest_due_message(world: World) {
    let (user, character, conversation) = world.pair().await;
    let server = world.server().await;
    assert_eq!(world.claim(&conversation, &server).await, Claimed::NothingDue);
    let mut nowhere = world.asking(&conversation, &server);
    nowhere.conversation = world.ambient.id();
    assert_eq!(world.store.claim_reply(nowhere).await.unwrap(), Claimed::NothingDue);

    let first = world.send(&conversation, "first").await;
    let second = world.send(&conversation, "second").await;
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!((&claim.message, claim.attempt, claim.last_seq), (&first, 1, 2));
    assert_eq!((&claim.character, &claim.sender.display_name), (&character.id, &user.display_name));
    assert_eq!((&claim.sender.user, claim.sender.persona.as_ref()), (&user.id, None));
    world.commit(&claim, "yes").await;
    let next = world.claimed(&conversation, &server).await;
    assert_eq!((next.message, next.last_seq), (second, 3));
    assert!(next.fence > claim.fence);
}

pub async fn a_conversation_is_answered_by_one_at_a_time(world: World) {
    let (_, _, conversation) = world.pair().await;
    let (server, other) = (world.server().await, world.server().await);
    world.send(&conversation, "first").await;
    world.send(&conversation, "second").await;
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(world.claim(&conversation, &other).await, Claimed::ConversationBusy);
    assert_eq!(world.claim(&conversation, &server).await, Claimed::ConversationBusy, "nor the holder again");
    world.commit(&claim, "yes").await;
    world.claimed(&conversation, &other).await;
}

pub async fn a_character_gives_no_more_replies_than_it_may(world: World) {
    let character = world.character("Mara").await;
    let (server, other) = (world.server().await, world.server().await);
    let mut conversations = Vec::new();
    for name in ["tess", "ines", "ona"] {
        let user = world.user(name).await;
        let conversation = world.conversation(&user, &character).await;
        world.send(&conversation, "hello").await;
        conversations.push(conversation);
    }
    let ask = |n: usize, at_once| {
        let asking = ClaimReply {
            replies_per_character: at_once,
            ..world.asking(&conversations[n], &[&server, &other][n % 2].clone())
        };
        world.store.claim_reply(asking)
    };
    let Claimed::Claimed(first) = ask(0, 2).await.unwrap() else { panic!("not claimed") };
    assert_eq!(ask(1, 1).await.unwrap(), Claimed::CharacterBusy);
    assert!(matches!(ask(1, 2).await.unwrap(), Claimed::Claimed(_)));
    assert_eq!(ask(2, 2).await.unwrap(), Claimed::CharacterBusy);
    world.commit(&first, "yes").await;
    assert!(matches!(ask(2, 2).await.unwrap(), Claimed::Claimed(_)));

    let user = world.user("max").await;
    let elsewhere = world.conversation(&user, &world.character("Bo").await).await;
    world.send(&elsewhere, "hello").await;
    world.claimed(&elsewhere, &server).await;
}

/// Thirty conversations of one character, sixty asking at once through two stores, three rounds: what is under way is
/// never more than allowed, and no message is claimed twice.
pub async fn claims_at_once_from_two_stores_never_meet(world: World) {
    let character = world.character("Mara").await;
    let stores = [world.store.clone(), world.another().await];
    let servers = [world.server().await, world.server().await];
    let mut conversations = Vec::new();
    for n in 0..30 {
        let user = world.user(&format!("user_{n}")).await;
        let conversation = world.conversation(&user, &character).await;
        world.send(&conversation, "hello").await;
        conversations.push(conversation);
    }
    let mut answered = std::collections::HashSet::new();
    for _ in 0..3 {
        let asking = (0..60).map(|n| {
            let asking =
                ClaimReply { replies_per_character: 10, ..world.asking(&conversations[n % 30], &servers[n / 30]) };
            stores[n / 30].claim_reply(asking)
        });
        let claims: Vec<_> = join_all(asking)
            .await
            .into_iter()
            .filter_map(|claimed| match claimed.unwrap() {
                Claimed::Claimed(claim) => Some(claim),
                _ => None,
            })
            .collect();
        assert_eq!(claims.len(), 10);
        for claim in &claims {
            assert!(answered.insert(claim.message.id.clone()), "claimed twice");
            assert!(matches!(world.commit(claim, "yes").await, Committed::Committed { .. }));
        }
    }
    for conversation in &conversations {
        assert_eq!(world.all_messages(conversation).await.len(), 2);
    }
}

pub async fn a_stale_fence_never_commits(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    let (stalled, other) = (world.server().await, world.ambient.id());
    world.send(&conversation, "hello").await;
    let old = world.claimed(&conversation, &stalled).await;
    world.clock.advance(LEASE);
    assert!(store.renew_lease(&other, LEASE, true).await.unwrap());
    let new = world.claimed(&conversation, &other).await;
    assert_eq!(new.message, old.message);

    assert_eq!(world.commit(&old, "late").await, Committed::Stale);
    for state in [ReplyState::Failed, ReplyState::Cancelled, ReplyState::Due] {
        assert_eq!(world.end(&old, state).await, Ended::Stale);
    }
    assert_eq!(store.last_seq(&conversation.id).await.unwrap(), 1);
    assert!(matches!(world.commit(&new, "in time").await, Committed::Committed { .. }));
    assert_eq!(world.commit(&old, "later").await, Committed::Stale);
    let texts: Vec<String> = world.all_messages(&conversation).await.into_iter().map(|message| message.text).collect();
    assert_eq!(texts, ["hello", "in time"]);
}

pub async fn a_reply_is_committed_once(world: World) {
    let store = &world.store;
    let (_, character, conversation) = world.pair().await;
    let server = world.server().await;
    let sent = world.send(&conversation, "hello").await;
    let claim = world.claimed(&conversation, &server).await;
    let mut wrong = world.reply(&claim, "to another message");
    wrong.message = world.ambient.id();
    assert_eq!(store.commit_reply(wrong).await.unwrap(), Committed::Stale);

    world.tick();
    let commits = (0..20).map(|n| {
        let mut commit = world.reply(&claim, &format!("reply {n}"));
        commit.reply.personality = Some(Personality { mood: "joy".into(), expression: "smile".into(), adherence: 0.5 });
        store.commit_reply(commit)
    });
    let mut committed = join_all(commits).await.into_iter().filter_map(|outcome| match outcome.unwrap() {
        Committed::Committed { asked, reply } => Some((asked, reply)),
        Committed::Stale => None,
    });
    let (asked, reply) = committed.next().unwrap();
    assert!(committed.next().is_none());
    assert_eq!((&asked.id, asked.reply_state), (&sent.id, Some(ReplyState::Done)));
    assert_eq!((reply.seq, reply.role, reply.sender_id.as_str()), (2, Author::Character, character.id.as_str()));
    assert_eq!((reply.in_reply_to.as_ref(), reply.reply_state), (Some(&sent.id), None));
    assert_eq!(reply.personality.as_ref().map(|personality| personality.mood.as_str()), Some("joy"));
    assert_eq!(world.all_messages(&conversation).await, [*asked, *reply]);
    assert_eq!(world.claim(&conversation, &server).await, Claimed::NothingDue);
}

pub async fn tokens_are_added_with_the_reply(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let server = world.server().await;
    let tokens = |model: &str, prompt, completion| {
        let (user, character) = (user.id.clone(), character.id.clone());
        Some(TokenUse { user, character, model: model.into(), prompt, completion })
    };
    for n in 1..=3 {
        world.send(&conversation, "hello").await;
        let claim = world.claimed(&conversation, &server).await;
        let stale =
            CommitReply { fence: claim.fence + 1, tokens: tokens("p/a", 1_000, 1_000), ..world.reply(&claim, "no") };
        assert_eq!(store.commit_reply(stale).await.unwrap(), Committed::Stale);
        let commit = CommitReply { tokens: tokens("p/a", 10 * n, n), ..world.reply(&claim, "yes") };
        assert!(matches!(store.commit_reply(commit).await.unwrap(), Committed::Committed { .. }));
    }
    world.send(&conversation, "hello").await;
    let claim = world.claimed(&conversation, &server).await;
    let end = EndReply {
        conversation: claim.conversation.clone(),
        fence: claim.fence,
        message: claim.message.id.clone(),
        state: ReplyState::Failed,
        tokens: tokens("p/b", 7, 0),
    };
    store.end_reply(end).await.unwrap();
    let day = world.now().day();
    assert_eq!(
        store.tokens_between(&day, &day).await.unwrap(),
        [
            ModelTokens { model: "p/a".into(), prompt: 60, completion: 6, requests: 3 },
            ModelTokens { model: "p/b".into(), prompt: 7, completion: 0, requests: 1 },
        ]
    );
    assert!(store.tokens_between("2001-01-01", "2001-01-01").await.unwrap().is_empty());
}

pub async fn an_ended_claim_leaves_its_message_as_told(world: World) {
    let (_, _, conversation) = world.pair().await;
    let server = world.server().await;
    for state in [ReplyState::Failed, ReplyState::Cancelled] {
        let message = world.send(&conversation, "hello").await;
        let claim = world.claimed(&conversation, &server).await;
        let Ended::Ended(ended) = world.end(&claim, state).await else { panic!("stale") };
        assert_eq!((ended.id, ended.reply_state), (message.id.clone(), Some(state)));
        assert_eq!(world.stored(&conversation, &message.id).await.reply_state, Some(state));
        assert_eq!(world.claim(&conversation, &server).await, Claimed::NothingDue);
        assert_eq!(world.end(&claim, state).await, Ended::Stale);
    }
    world.send(&conversation, "again").await;
    let claim = world.claimed(&conversation, &server).await;
    let Ended::Ended(ended) = world.end(&claim, ReplyState::Due).await else { panic!("stale") };
    assert_eq!(ended.reply_state, Some(ReplyState::Due));
    let again = world.claimed(&conversation, &server).await;
    assert_eq!((again.message, again.attempt), (claim.message.clone(), 1));
    assert_eq!(world.commit(&claim, "late").await, Committed::Stale);
}

pub async fn stop_tells_the_one_who_answers(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    let server = world.server().await;
    let first = world.send(&conversation, "first").await;
    let second = world.send(&conversation, "second").await;
    let claim = world.claimed(&conversation, &server).await;
    let cursor = store.last_change().await.unwrap();
    let stopping = Cancel::Stopping { message: first.id.clone(), holder: server.clone(), fence: 1 };
    assert_eq!(store.cancel(&conversation).await.unwrap(), stopping);
    let told = store.changes(cursor, 10).await.unwrap();
    assert_eq!(told, [(cursor + 1, Change::Cancel { conversation: conversation.id.clone(), fence: 1 })]);
    assert_eq!(world.stored(&conversation, &first.id).await.reply_state, Some(ReplyState::Due), "the holder decides");
    // The text so far may be stored; what waits is answered next.
    assert!(matches!(world.commit(&claim, "the text so").await, Committed::Committed { .. }));
    let next = world.claimed(&conversation, &server).await;
    assert_eq!(next.message.id, second.id);
    // The old stop is not this reply's: given back, it is due.
    let Ended::Ended(back) = world.end(&next, ReplyState::Due).await else { panic!("stale") };
    assert_eq!(back.reply_state, Some(ReplyState::Due));
}

pub async fn stop_cancels_what_waits_in_order(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    let server = world.server().await;
    let first = world.send(&conversation, "first").await;
    let second = world.send(&conversation, "second").await;
    let dead = world.claimed(&conversation, &server).await;
    world.clock.advance(LEASE);
    let Cancel::Cancelled(cancelled) = store.cancel(&conversation).await.unwrap() else {
        panic!("nobody answers here")
    };
    let ids: Vec<MessageId> = cancelled.iter().map(|message| message.id.clone()).collect();
    assert_eq!(ids, [first.id.clone(), second.id]);
    assert!(cancelled.iter().all(|message| message.reply_state == Some(ReplyState::Cancelled)));
    assert_eq!(world.stored(&conversation, &first.id).await.reply_state, Some(ReplyState::Cancelled));
    assert_eq!(world.commit(&dead, "late").await, Committed::Stale, "what was cancelled is not answered");
    assert_eq!(store.cancel(&conversation).await.unwrap(), Cancel::Cancelled(vec![]));
    assert!(store.due_replies(None, 10).await.unwrap().is_empty());
    // The line is empty again.
    let mut send = world.message(&conversation, &conversation.owner_id, "third");
    send.max_due = 1;
    assert!(matches!(store.send_message(send).await.unwrap(), crate::Sent::Accepted { due: 1, .. }));
}

pub async fn a_reply_that_was_told_to_stop_is_not_begun_again(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    let server = world.server().await;
    // Its server shut down and gave it back.
    let first = world.send(&conversation, "first").await;
    let claim = world.claimed(&conversation, &server).await;
    store.cancel(&conversation).await.unwrap();
    let Ended::Ended(ended) = world.end(&claim, ReplyState::Due).await else { panic!("stale") };
    assert_eq!((ended.id, ended.reply_state), (first.id, Some(ReplyState::Cancelled)));
    assert_eq!(world.claim(&conversation, &server).await, Claimed::NothingDue);

    // Its server died.
    let second = world.send(&conversation, "second").await;
    let third = world.send(&conversation, "third").await;
    let claim = world.claimed(&conversation, &server).await;
    store.cancel(&conversation).await.unwrap();
    world.clock.advance(LEASE);
    let other = world.server().await;
    let Claimed::Cancelled(cancelled) = world.claim(&conversation, &other).await else { panic!("not cancelled") };
    assert_eq!((cancelled.id, cancelled.reply_state), (second.id, Some(ReplyState::Cancelled)));
    assert_eq!(world.commit(&claim, "late").await, Committed::Stale);
    let next = world.claimed(&conversation, &other).await;
    assert_eq!(next.message.id, third.id);
}

pub async fn retry_makes_a_message_due_with_one_more_attempt(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    let server = world.server().await;
    let message = world.send(&conversation, "hello").await;
    assert!(store.retry(&conversation, &message.id).await.unwrap().is_none(), "it is due");
    for attempt in 2..=3 {
        let claim = world.claimed(&conversation, &server).await;
        world.end(&claim, if attempt == 2 { ReplyState::Failed } else { ReplyState::Cancelled }).await;
        let (due, now) = store.retry(&conversation, &message.id).await.unwrap().unwrap();
        assert_eq!((due.id, due.reply_state, now), (message.id.clone(), Some(ReplyState::Due), attempt));
        assert_eq!(store.due_replies(None, 10).await.unwrap()[0].attempt, attempt);
    }
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!((claim.message.id.clone(), claim.attempt), (message.id.clone(), 3));
    world.commit(&claim, "yes").await;
    assert!(store.retry(&conversation, &message.id).await.unwrap().is_none(), "it is done");
    assert!(store.retry(&conversation, &world.ambient.id()).await.unwrap().is_none());
    assert_eq!(world.claim(&conversation, &server).await, Claimed::NothingDue);
}

pub async fn due_work_is_listed_oldest_first_but_for_what_is_held(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let premium = world.user("ines").await;
    let tier = crate::AccountChange { tier: Some(Tier::Premium), ..Default::default() };
    store.change_user(&premium.id, tier).await.unwrap();
    let theirs = world.conversation(&premium, &world.character("Bo").await).await;
    let first = world.send(&conversation, "first").await;
    let second = world.send(&theirs, "second").await;
    let third = world.send(&conversation, "third").await;
    let listed = |after: Option<MessageId>, limit| async move {
        let due = store.due_replies(after.as_ref(), limit).await.unwrap();
        due.into_iter().map(|due| (due.message, due.premium)).collect::<Vec<_>>()
    };
    let all = [(first.id.clone(), false), (second.id.clone(), true), (third.id.clone(), false)];
    assert_eq!(listed(None, 10).await, all);
    assert_eq!(listed(None, 2).await, all[..2]);
    assert_eq!(listed(Some(second.id.clone()), 10).await, all[2..]);
    let due = store.due_replies(None, 1).await.unwrap().remove(0);
    assert_eq!((due.conversation, due.character, due.attempt), (conversation.id.clone(), character.id, 1));

    let server = world.server().await;
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(claim.message.sender_id, user.id.as_str());
    assert_eq!(listed(None, 10).await, all[1..], "what is held is apart");
    world.clock.advance(LEASE);
    assert_eq!(listed(None, 10).await, all, "until its holder is dead");
}

pub async fn the_context_pairs_each_answered_message_with_its_reply(world: World) {
    let store = &world.store;
    let (user, character) = (world.user("tess").await, world.character("Mara").await);
    let mut opening = world.opening(&user, &character);
    opening.greeting = Some((world.ambient.id(), "greeting".into()));
    let conversation = store.open_conversation(opening).await.unwrap().0.conversation;
    let server = world.server().await;
    // Three wait before the first is answered: seqs 2, 3, 4, and replies from 5 on.
    for text in ["one", "two", "fails", "three", "claimed", "waits"] {
        world.send(&conversation, text).await;
    }
    world.answer(&conversation, &server, "reply one").await;
    world.answer(&conversation, &server, "reply two").await;
    let failing = world.claimed(&conversation, &server).await;
    world.end(&failing, ReplyState::Failed).await;
    world.answer(&conversation, &server, "reply three").await;
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(claim.message.text, "claimed");

    let read = |limit| {
        let claim = &claim;
        async move {
            let context = store.context(claim, limit).await.unwrap();
            assert!(context.iter().all(|(author, message)| *author == message.role));
            context.into_iter().map(|(_, message)| message.text).collect::<Vec<_>>()
        }
    };
    let all = ["greeting", "one", "reply one", "two", "reply two", "three", "reply three"];
    assert_eq!(read(100).await, all);
    assert_eq!(read(3).await, all[4..]);

    // Answered later, a message takes its own place.
    world.commit(&claim, "reply claimed").await;
    store.cancel(&conversation).await.unwrap();
    store.retry(&conversation, &failing.message.id).await.unwrap();
    world.answer(&conversation, &server, "reply fails").await;
    let again = store.context(&claim, 100).await.unwrap();
    let texts: Vec<&str> = again.iter().map(|(_, message)| message.text.as_str()).collect();
    assert_eq!(
        texts[3..],
        ["two", "reply two", "fails", "reply fails", "three", "reply three", "claimed", "reply claimed"]
    );
}

pub async fn a_deleted_conversation_commits_nothing(world: World) {
    let store = &world.store;
    let (user, _, conversation) = world.pair().await;
    let server = world.server().await;
    world.send(&conversation, "hello").await;
    let claim = world.claimed(&conversation, &server).await;
    let cursor = store.last_change().await.unwrap();
    assert!(store.delete_conversation(&conversation.id, &user.id).await.unwrap());
    let told: Vec<Change> = store.changes(cursor, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    assert!(
        told.contains(&Change::Cancel { conversation: conversation.id.clone(), fence: 1 }),
        "nobody waits for the reply"
    );
    assert_eq!(world.commit(&claim, "late").await, Committed::Stale);
    assert_eq!(world.end(&claim, ReplyState::Failed).await, Ended::Stale);
    assert!(store.context(&claim, 10).await.unwrap().is_empty());
    assert_eq!(store.cancel(&conversation).await.unwrap(), Cancel::Cancelled(vec![]));
}
