//! Changing what was said last: variants of a reply, going on, editing; and that nothing else is changed.

use super::World;
use super::world::LEASE;
use crate::words::Sought;
use crate::{
    Cancel, Change, Claimed, Committed, DueAgain, EditMessage, Edited, Ended, MAX_VARIANTS, Redo, RedoReply,
    ReviseReply, Revised, SearchQuery, Unfit,
};
use aim_domain::{Conversation, Incarnation, Message, MessageId, Personality, ReplyState, User, Variants};

async fn redo(world: &World, conversation: &Conversation, message: &MessageId, how: Redo) -> Revised<DueAgain> {
    let redo = RedoReply { conversation: conversation.id.clone(), message: message.clone(), how };
    world.store.redo_reply(redo).await.unwrap()
}

async fn again(world: &World, conversation: &Conversation, message: &MessageId) -> Message {
    redo(world, conversation, message, Redo::Variant).await.unwrap().0
}

async fn edit(
    world: &World,
    conversation: &Conversation,
    message: &MessageId,
    by: &User,
    text: &str,
) -> Revised<Edited> {
    let (conversation, message) = (conversation.id.clone(), message.clone());
    let edit = EditMessage { conversation, message, by: by.id.clone(), text: text.into(), was: None };
    world.store.edit_message(edit).await.unwrap()
}

fn sad() -> Personality {
    Personality { mood: "sadness".into(), expression: "tears".into(), adherence: 0.5 }
}

async fn revise(world: &World, conversation: &Conversation, reply: &MessageId, text: &str) -> Revised<Message> {
    let (conversation, reply) = (conversation.id.clone(), reply.clone());
    let revise = ReviseReply { conversation, reply, text: text.into(), was: None, personality: Some(sad()) };
    world.store.revise_reply(revise).await.unwrap()
}

/// A conversation with one exchange: who asked, what, and the reply.
async fn exchange(world: &World) -> (User, Conversation, Incarnation, Message, Message) {
    let (user, _, conversation) = world.pair().await;
    let server = world.server().await;
    let asked = world.send(&conversation, "hello").await;
    let reply = world.answer(&conversation, &server, "first").await;
    (user, conversation, server, asked, reply)
}

async fn texts(world: &World, conversation: &Conversation) -> Vec<String> {
    world.all_messages(conversation).await.into_iter().map(|message| message.text).collect()
}

pub async fn a_reply_is_answered_anew_as_a_variant(world: World) {
    let (_, conversation, server, asked, reply) = exchange(&world).await;
    assert_eq!(reply.variants, None);
    for (n, by) in [(1, &reply.id), (2, &asked.id)] {
        let (due, attempt) = redo(&world, &conversation, by, Redo::Variant).await.unwrap();
        assert_eq!((&due.id, due.reply_state, attempt), (&asked.id, Some(ReplyState::Due), n + 1));
        assert_eq!(world.stored(&conversation, &reply.id).await.text, if n == 1 { "first" } else { "variant 1" });

        let claim = world.claimed(&conversation, &server).await;
        let redo = claim.redo.clone().unwrap();
        assert_eq!((redo.how, &redo.reply, redo.text.as_str(), redo.first), (Redo::Variant, &reply.id, "", true));
        assert_eq!((claim.attempt, claim.last_seq), (n + 1, 2));
        assert!(world.store.context(&claim, 10).await.unwrap().is_empty(), "what is replaced is not read");
        let mut commit = world.reply(&claim, &format!("variant {n}"));
        let joy = Personality { mood: "joy".into(), expression: "smile".into(), adherence: 0.5 };
        commit.reply.personality = Some(joy.clone());
        world.tick();
        let Committed::Committed { asked: done, reply: anew } = world.store.commit_reply(commit).await.unwrap() else {
            panic!("stale")
        };
        assert_eq!((&done.id, done.reply_state), (&asked.id, Some(ReplyState::Done)));
        let variants = Some(Variants { count: n + 1, selected: n });
        let expected = Message { text: format!("variant {n}"), variants, personality: Some(joy), ..reply.clone() };
        assert_eq!(*anew, expected, "the same message and seq");
        assert_eq!(world.all_messages(&conversation).await, [*done, *anew]);
    }
    assert_eq!(world.claim(&conversation, &server).await, Claimed::NothingDue);
    world.assert_seq_without_a_gap(&conversation).await;
    let next = world.send(&conversation, "next").await;
    assert_eq!(next.seq, 3);
}

pub async fn an_answer_anew_waits_in_line_like_any_message(world: World) {
    let (_, conversation, server, asked, reply) = exchange(&world).await;
    again(&world, &conversation, &reply.id).await;
    let later = world.send(&conversation, "later").await;
    let due = world.store.due_replies(None, 10).await.unwrap();
    let ids: Vec<_> = due.iter().map(|due| (due.message.clone(), due.attempt)).collect();
    assert_eq!(ids, [(asked.id.clone(), 2), (later.id.clone(), 1)]);

    // Its server dies: the next one hears that it is not the first.
    let dead = world.claimed(&conversation, &server).await;
    assert!(dead.redo.unwrap().first);
    world.clock.advance(LEASE);
    let other = world.server().await;
    let claim = world.claimed(&conversation, &other).await;
    assert_eq!(claim.message.id, asked.id);
    assert!(!claim.redo.as_ref().unwrap().first);
    world.commit(&claim, "second").await;

    let next = world.claimed(&conversation, &other).await;
    assert_eq!((&next.message.id, &next.redo), (&later.id, &None));
    let read = world.store.context(&next, 10).await.unwrap();
    let read: Vec<_> = read.into_iter().map(|(_, message)| message.text).collect();
    assert_eq!(read, ["hello", "second"]);
    world.commit(&next, "third").await;
    assert_eq!(texts(&world, &conversation).await, ["hello", "second", "later", "third"]);
    world.assert_seq_without_a_gap(&conversation).await;
}

pub async fn an_answer_anew_that_comes_to_nothing_leaves_what_was(world: World) {
    let store = &world.store;
    let (_, conversation, server, asked, reply) = exchange(&world).await;
    let untouched = || async {
        assert_eq!(world.stored(&conversation, &asked.id).await.reply_state, Some(ReplyState::Done));
        assert_eq!(world.stored(&conversation, &reply.id).await, reply);
        assert!(store.due_replies(None, 10).await.unwrap().is_empty());
    };
    for state in [ReplyState::Failed, ReplyState::Cancelled] {
        again(&world, &conversation, &reply.id).await;
        let claim = world.claimed(&conversation, &server).await;
        let Ended::Ended(ended) = world.end(&claim, state).await else { panic!("stale") };
        assert_eq!(ended.reply_state, Some(ReplyState::Done), "it has its reply");
        assert_eq!(world.commit(&claim, "late").await, Committed::Stale);
        untouched().await;
    }
    // While it waits.
    again(&world, &conversation, &reply.id).await;
    let Cancel::Cancelled(cancelled) = store.cancel(&conversation).await.unwrap() else { panic!("nobody answers") };
    assert_eq!(
        cancelled.iter().map(|one| (&one.id, one.reply_state)).collect::<Vec<_>>(),
        [(&asked.id, Some(ReplyState::Done))]
    );
    untouched().await;
    // Told to stop, and its server dies.
    again(&world, &conversation, &reply.id).await;
    let claim = world.claimed(&conversation, &server).await;
    assert!(matches!(store.cancel(&conversation).await.unwrap(), Cancel::Stopping { .. }));
    world.clock.advance(LEASE);
    let other = world.server().await;
    let Claimed::Cancelled(ended) = world.claim(&conversation, &other).await else { panic!("not cancelled") };
    assert_eq!((&ended.id, ended.reply_state), (&asked.id, Some(ReplyState::Done)));
    assert_eq!(world.commit(&claim, "late").await, Committed::Stale);
    untouched().await;
    // And it is answered like any other then.
    again(&world, &conversation, &reply.id).await;
    let anew = world.answer(&conversation, &other, "second").await;
    assert_eq!((anew.id, anew.variants), (reply.id, Some(Variants { count: 2, selected: 1 })));
}

pub async fn an_answer_anew_is_stored_once_under_its_fence(world: World) {
    let store = &world.store;
    let (_, conversation, stalled, _, reply) = exchange(&world).await;
    again(&world, &conversation, &reply.id).await;
    let old = world.claimed(&conversation, &stalled).await;
    world.clock.advance(LEASE);
    let server = world.server().await;
    let claim = world.claimed(&conversation, &server).await;
    let late = crate::CommitReply {
        reply: crate::NewReply { id: reply.id.clone(), text: "late".into(), personality: None },
        ..world.reply(&old, "")
    };
    assert_eq!(store.commit_reply(late.clone()).await.unwrap(), Committed::Stale);
    let commit = world.reply(&claim, "second");
    let first = store.commit_reply(commit.clone()).await.unwrap();
    assert!(matches!(first, Committed::Committed { .. }));
    assert_eq!(store.commit_reply(commit).await.unwrap(), first, "the same call finds what it stored");
    assert_eq!(store.commit_reply(late).await.unwrap(), Committed::Stale);
    let anew = world.stored(&conversation, &reply.id).await;
    assert_eq!((anew.text.as_str(), anew.variants), ("second", Some(Variants { count: 2, selected: 1 })));
    world.assert_seq_without_a_gap(&conversation).await;
}

pub async fn a_chosen_variant_is_what_the_model_reads(world: World) {
    let store = &world.store;
    let (_, conversation, server, _, reply) = exchange(&world).await;
    for text in ["second", "third"] {
        again(&world, &conversation, &reply.id).await;
        world.answer(&conversation, &server, text).await;
    }
    let cursor = store.last_change().await.unwrap();
    for (selected, text) in [(0, "first"), (2, "third"), (1, "second"), (1, "second")] {
        let chosen = store.select_variant(&conversation, &reply.id, selected).await.unwrap().unwrap();
        assert_eq!((chosen.text.as_str(), chosen.variants), (text, Some(Variants { count: 3, selected })));
        assert_eq!(world.stored(&conversation, &reply.id).await, chosen);
    }
    let told = store.changes(cursor, 10).await.unwrap();
    assert!(told.iter().all(|(_, change)| *change == Change::Conversation { id: conversation.id.clone() }));
    assert_eq!(told.len(), 4);
    assert_eq!(store.select_variant(&conversation, &reply.id, 3).await.unwrap(), Err(Unfit::NotFound));

    let before = world.send(&conversation, "next").await;
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(claim.message, before);
    assert!(claim.fence > 3 + 4, "a window from before a choice counts no more");
    let read = store.context(&claim, 10).await.unwrap();
    let read: Vec<_> = read.iter().map(|(_, message)| message.text.as_str()).collect();
    assert_eq!(read, ["hello", "second"]);
}

pub async fn only_the_end_of_a_conversation_is_changed(world: World) {
    let store = &world.store;
    let (user, character) = (world.user("tess").await, world.character("Mara").await);
    let mut opening = world.opening(&user, &character);
    let greeting: MessageId = world.ambient.id();
    opening.greeting = Some((greeting.clone(), "greeting".into()));
    let conversation = store.open_conversation(opening).await.unwrap().0.conversation;
    let server = world.server().await;
    let try_all = |message: MessageId| {
        let (world, conversation, user) = (&world, &conversation, &user);
        async move {
            [
                redo(world, conversation, &message, Redo::Variant).await.err(),
                redo(world, conversation, &message, Redo::Continue).await.err(),
                edit(world, conversation, &message, user, "changed").await.err(),
                store.select_variant(conversation, &message, 0).await.unwrap().err(),
                revise(world, conversation, &message, "changed").await.err(),
            ]
        }
    };
    assert_eq!(try_all(greeting.clone()).await, [Some(Unfit::Unanswered); 5]);
    assert_eq!(try_all(world.ambient.id()).await, [Some(Unfit::NotFound); 5]);
    let first = world.send(&conversation, "first").await;
    assert_eq!(try_all(first.id.clone()).await, [Some(Unfit::Busy); 5]);
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(try_all(first.id.clone()).await, [Some(Unfit::Busy); 5]);
    world.commit(&claim, "reply").await;
    let reply = world.all_messages(&conversation).await.remove(2);

    let failing = world.send(&conversation, "fails").await;
    assert_eq!(try_all(reply.id.clone()).await, [Some(Unfit::Busy); 5]);
    let claim = world.claimed(&conversation, &server).await;
    world.end(&claim, ReplyState::Failed).await;
    for older in [&first.id, &reply.id] {
        assert_eq!(try_all(older.clone()).await, [Some(Unfit::NotLast); 5]);
    }
    assert_eq!(redo(&world, &conversation, &failing.id, Redo::Variant).await, Err(Unfit::Unanswered));
    let elsewhere = world.conversation(&user, &world.character("Bo").await).await;
    assert_eq!(redo(&world, &elsewhere, &first.id, Redo::Variant).await, Err(Unfit::NotFound));
    assert!(store.due_replies(None, 10).await.unwrap().is_empty());
    assert_eq!(texts(&world, &conversation).await, ["greeting", "first", "reply", "fails"]);
}

pub async fn a_reply_has_so_many_variants_at_the_most(world: World) {
    let (_, conversation, server, _, reply) = exchange(&world).await;
    for n in 1..MAX_VARIANTS {
        again(&world, &conversation, &reply.id).await;
        world.answer(&conversation, &server, &format!("variant {n}")).await;
    }
    assert_eq!(redo(&world, &conversation, &reply.id, Redo::Variant).await, Err(Unfit::Full));
    assert!(redo(&world, &conversation, &reply.id, Redo::Continue).await.is_ok(), "it goes on all the same");
}

pub async fn an_edit_makes_room_among_twenty_variants(world: World) {
    let (user, conversation, server, asked, reply) = exchange(&world).await;
    for n in 1..MAX_VARIANTS {
        again(&world, &conversation, &reply.id).await;
        world.answer(&conversation, &server, &format!("variant {n}")).await;
    }
    let choose = |selected| world.store.select_variant(&conversation, &reply.id, selected);
    // The oldest goes unless it is chosen; then the next one does.
    for (chosen, text, then) in [(19, "variant 19", 18), (0, "variant 1", 0)] {
        assert_eq!(choose(chosen).await.unwrap().unwrap().text, text);
        let Edited { due, reply: left } =
            edit(&world, &conversation, &asked.id, &user, &format!("past {text}")).await.unwrap();
        assert_eq!((&due.0.id, due.0.reply_state), (&asked.id, Some(ReplyState::Due)));
        let left = left.unwrap();
        assert_eq!((&left.id, left.text.as_str()), (&reply.id, text));
        assert_eq!(left.variants, Some(Variants { count: MAX_VARIANTS - 1, selected: then }));
        let anew = world.answer(&conversation, &server, &format!("answer past {text}")).await;
        assert_eq!(anew.variants, Some(Variants { count: MAX_VARIANTS, selected: MAX_VARIANTS - 1 }));
    }
    let mut all = Vec::new();
    for n in 0..MAX_VARIANTS {
        all.push(choose(n).await.unwrap().unwrap().text);
    }
    let mut expected = vec!["variant 1".to_owned()];
    expected.extend((3..MAX_VARIANTS).map(|n| format!("variant {n}")));
    expected.extend(["variant 19", "variant 1"].map(|text| format!("answer past {text}")));
    assert_eq!(all, expected);
}

pub async fn a_reply_goes_on_in_its_chosen_variant(world: World) {
    let store = &world.store;
    let (_, conversation, server, _, reply) = exchange(&world).await;
    let go_on = |text: &'static str, so_far: &'static str| {
        let (world, conversation, server, reply) = (&world, &conversation, &server, &reply);
        async move {
            redo(world, conversation, &reply.id, Redo::Continue).await.unwrap();
            let claim = world.claimed(conversation, server).await;
            let redo = claim.redo.clone().unwrap();
            assert_eq!((redo.how, redo.text.as_str(), redo.first), (Redo::Continue, so_far, true));
            match world.commit(&claim, text).await {
                Committed::Committed { reply, .. } => *reply,
                Committed::Stale => panic!("stale"),
            }
        }
    };
    let longer = go_on("first and more", "first").await;
    assert_eq!((longer.text.as_str(), longer.variants, longer.seq), ("first and more", None, reply.seq));
    again(&world, &conversation, &reply.id).await;
    world.answer(&conversation, &server, "second").await;
    store.select_variant(&conversation, &reply.id, 0).await.unwrap().unwrap();
    let longest = go_on("first and more and more", "first and more").await;
    assert_eq!(longest.variants, Some(Variants { count: 2, selected: 0 }));
    for (selected, text) in [(1, "second"), (0, "first and more and more")] {
        let chosen = store.select_variant(&conversation, &reply.id, selected).await.unwrap().unwrap();
        assert_eq!(chosen.text, text);
    }
}

pub async fn an_edited_message_is_answered_anew(world: World) {
    let store = &world.store;
    let (user, conversation, server, asked, reply) = exchange(&world).await;
    let guest = world.user("ines").await;
    store.add_member(&conversation.id, &user.id, &guest.id).await.unwrap();
    for (message, by) in [(&asked.id, &guest), (&reply.id, &user)] {
        assert_eq!(edit(&world, &conversation, message, by, "changed").await, Err(Unfit::NotTheirs));
    }
    let Edited { due: (due, attempt), reply: None } =
        edit(&world, &conversation, &asked.id, &user, "changed").await.unwrap()
    else {
        panic!("there was room")
    };
    assert_eq!((&due.id, due.seq, due.text.as_str(), attempt), (&asked.id, asked.seq, "changed", 2));
    assert_eq!(due.reply_state, Some(ReplyState::Due));
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(claim.message.text, "changed");
    let Committed::Committed { reply: anew, .. } = world.commit(&claim, "second").await else { panic!("stale") };
    assert_eq!((anew.id, anew.variants), (reply.id, Some(Variants { count: 2, selected: 1 })));
    // One whose reply failed has its first one then.
    let failing = world.send(&conversation, "fails").await;
    let claim = world.claimed(&conversation, &server).await;
    world.end(&claim, ReplyState::Failed).await;
    edit(&world, &conversation, &failing.id, &user, "works").await.unwrap();
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(claim.redo, None);
    world.commit(&claim, "third").await;
    assert_eq!(texts(&world, &conversation).await, ["changed", "second", "works", "third"]);
    world.assert_seq_without_a_gap(&conversation).await;
}

pub async fn variants_of_what_was_answered_to_an_erased_account_are_gone(world: World) {
    let store = &world.store;
    let (tess, _, conversation) = world.pair().await;
    let (server, ines) = (world.server().await, world.user("ines").await);
    store.add_member(&conversation.id, &tess.id, &ines.id).await.unwrap();
    store.send_message(world.message(&conversation, &ines.id, "hello")).await.unwrap();
    let reply = world.answer(&conversation, &server, "a canary of ines").await;
    again(&world, &conversation, &reply.id).await;
    world.answer(&conversation, &server, "another").await;
    assert!(store.delete_user(&ines.id).await.unwrap());
    let left = world.stored(&conversation, &reply.id).await;
    assert_eq!((left.variants, left.text == "another"), (None, false));
    assert_eq!(store.select_variant(&conversation, &reply.id, 1).await.unwrap(), Err(Unfit::NotFound));
}

pub async fn a_reply_says_what_it_is_told_to(world: World) {
    let store = &world.store;
    let (user, conversation, server, asked, reply) = exchange(&world).await;
    let cursor = store.last_change().await.unwrap();
    assert_eq!(world.store.revised_at(&conversation, &reply.id).await.unwrap(), None);
    let revised = revise(&world, &conversation, &reply.id, "in other words").await.unwrap();
    assert!(world.store.revised_at(&conversation, &reply.id).await.unwrap().is_some());
    let expected = Message { text: "in other words".into(), personality: Some(sad()), ..reply.clone() };
    assert_eq!(revised, expected, "the same message, and no variant more");
    assert_eq!(world.all_messages(&conversation).await, [world.stored(&conversation, &asked.id).await, expected]);
    let told: Vec<_> = store.changes(cursor, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    assert_eq!(told, [Change::Conversation { id: conversation.id.clone() }]);
    assert!(store.due_replies(None, 10).await.unwrap().is_empty(), "no model is asked");
    // The words that it had are found no more.
    for (words, count) in [("other", 1), ("first", 0)] {
        let sought = Sought::parse(words).unwrap();
        let query = SearchQuery { viewer: user.id.clone(), conversation: None, sought, limit: 10 };
        assert_eq!(store.search_messages(&query).await.unwrap().len(), count, "{words}");
    }
    // Of several it is the chosen variant, and what it says goes with it.
    again(&world, &conversation, &reply.id).await;
    world.answer(&conversation, &server, "second").await;
    revise(&world, &conversation, &reply.id, "second, revised").await.unwrap();
    for (selected, text) in [(0, "in other words"), (1, "second, revised")] {
        let chosen = store.select_variant(&conversation, &reply.id, selected).await.unwrap().unwrap();
        assert_eq!((chosen.text.as_str(), chosen.personality), (text, Some(sad())));
    }
    // It is what the model reads.
    world.send(&conversation, "next").await;
    assert_eq!(revise(&world, &conversation, &reply.id, "late").await, Err(Unfit::Busy));
    let claim = world.claimed(&conversation, &server).await;
    let read = store.context(&claim, 10).await.unwrap();
    let read: Vec<_> = read.iter().map(|(_, message)| message.text.as_str()).collect();
    assert_eq!(read, ["hello", "second, revised"]);
    world.commit(&claim, "third").await;
    assert_eq!(revise(&world, &conversation, &reply.id, "late").await, Err(Unfit::NotLast));
    let last = world.all_messages(&conversation).await.remove(2);
    assert_eq!(revise(&world, &conversation, &last.id, "no reply").await, Err(Unfit::Unanswered), "it is the question");
    world.assert_seq_without_a_gap(&conversation).await;
}

pub async fn what_says_something_else_by_now_is_not_written_over(world: World) {
    let store = &world.store;
    let (user, conversation, server, asked, reply) = exchange(&world).await;
    let revise = |text: &str, was: &str| {
        let (conversation, reply) = (conversation.id.clone(), reply.id.clone());
        store.revise_reply(ReviseReply {
            conversation,
            reply,
            text: text.into(),
            was: Some(was.into()),
            personality: None,
        })
    };
    again(&world, &conversation, &reply.id).await;
    world.answer(&conversation, &server, "second").await;
    assert_eq!(revise("mine", "first").await.unwrap(), Err(Unfit::Changed), "another variant was chosen");
    assert_eq!(revise("mine", "second").await.unwrap().unwrap().text, "mine");
    assert_eq!(revise("mine", "second").await.unwrap().unwrap().text, "mine", "the same call, asked again");
    assert_eq!(revise("yours", "second").await.unwrap(), Err(Unfit::Changed));
    let first = store.select_variant(&conversation, &reply.id, 0).await.unwrap().unwrap();
    assert_eq!(first.text, "first", "no other variant was touched");

    let edit = |was: &str| {
        let (conversation, message, by) = (conversation.id.clone(), asked.id.clone(), user.id.clone());
        store.edit_message(EditMessage { conversation, message, by, text: "anew".into(), was: Some(was.into()) })
    };
    assert_eq!(edit("hallo").await.unwrap(), Err(Unfit::Changed));
    assert_eq!(world.stored(&conversation, &asked.id).await.text, "hello");
    assert_eq!(edit("hello").await.unwrap().unwrap().due.0.text, "anew");
}

pub async fn a_reply_that_was_revised_makes_a_window_stale(world: World) {
    let (_, conversation, server, _, reply) = exchange(&world).await;
    revise(&world, &conversation, &reply.id, "revised").await.unwrap();
    world.send(&conversation, "next").await;
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(claim.fence, 3, "the claim before had the first, the revision the second");
}
