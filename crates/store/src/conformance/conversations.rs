//! Conversations, their members, and pages of messages.

use super::World;
use super::world::MONTH;
use crate::{AddMember, Change, CharacterQuery, MessageQuery, OpenConversation, Sort};
use aim_domain::{Author, ConversationId, User};
use futures::future::join_all;

pub async fn the_same_pair_has_one_conversation(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let (again, made) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
    assert!(!made);
    assert_eq!(again.conversation, conversation);
    let other = world.user("ines").await;
    let of_pair = async |who: &User| store.conversation_of_pair(&who.id, &character.id).await.unwrap();
    assert_eq!(of_pair(&user).await.as_ref(), Some(&again));
    store.add_member(&conversation.id, &user.id, &other.id).await.unwrap();
    assert_eq!(of_pair(&other).await, None, "a guest has none of his own");
    let (theirs, made) = store.open_conversation(world.opening(&other, &character)).await.unwrap();
    assert!(made && theirs.conversation.id != conversation.id);
    assert_eq!(of_pair(&other).await, Some(theirs));
    assert!(store.delete_character(&character.id).await.unwrap());
    assert_eq!(of_pair(&user).await.map(|item| item.conversation.id), Some(conversation.id.clone()));
    assert!(store.delete_conversation(&conversation.id, &user.id).await.unwrap());
    assert_eq!(of_pair(&user).await, None);
}

pub async fn a_pair_may_begin_anew(world: World) {
    let store = &world.store;
    let (user, character, first) = world.pair().await;
    // Bo talks with two people and Ann with one: of as many the last by id comes first.
    for (name, people) in [("Bo", ["ines", "nora"].as_slice()), ("Ann", &["otto"])] {
        let other = world.character(name).await;
        for person in people {
            world.conversation(&world.user(person).await, &other).await;
        }
    }
    let popular = async || {
        let by_count = CharacterQuery {
            viewer: user.id.clone(),
            text: None,
            tag: None,
            among: None,
            sort: Sort::Popular,
            cursor: None,
            limit: 10,
        };
        let listed = store.characters(by_count).await.unwrap().items;
        listed.into_iter().map(|character| character.name).collect::<Vec<_>>().join(" ")
    };
    let once = "Bo Mara Ann".to_owned();
    let anew = || OpenConversation { anew: true, ..world.opening(&user, &character) };
    let main = async || {
        let (item, made) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
        assert!(!made);
        item.conversation.id
    };
    let is_main = async |id: &ConversationId| store.conversation_head(id, &user.id).await.unwrap().unwrap().is_main;
    world.tick();
    let (second, made) = store.open_conversation(anew()).await.unwrap();
    assert!(made && second.conversation.id != first.id);
    assert_eq!((main().await, popular().await), (second.conversation.id.clone(), once.clone()), "a person counts once");
    assert_eq!((is_main(&first.id).await, is_main(&second.conversation.id).await), (false, true));
    world.tick();
    let (third, _) = store.open_conversation(anew()).await.unwrap();
    world.tick();
    // Whoever goes on in an old one has it there, and nothing else changes.
    world.send(&first, "still here").await;
    assert_eq!(main().await, third.conversation.id);
    // Then the last changed of the others is the main one.
    assert!(store.delete_conversation(&third.conversation.id, &user.id).await.unwrap());
    assert_eq!((main().await, popular().await), (first.id.clone(), once.clone()));
    assert!(store.delete_conversation(&second.conversation.id, &user.id).await.unwrap());
    assert_eq!((main().await, popular().await), (first.id.clone(), once.clone()));
    // What comes back is a further one.
    assert!(store.restore_conversation(&third.conversation.id, &user.id, MONTH).await.unwrap().is_some());
    assert_eq!((main().await, popular().await), (first.id.clone(), once.clone()));
    for id in [&first.id, &third.conversation.id] {
        assert!(store.delete_conversation(id, &user.id).await.unwrap());
    }
    assert_eq!(popular().await, "Bo Ann Mara");
    let (last, made) = store.open_conversation(anew()).await.unwrap();
    assert!(made);
    assert_eq!((main().await, popular().await), (last.conversation.id, once));
}

pub async fn a_pair_that_opens_at_once_has_one_conversation(world: World) {
    let (user, character) = (world.user("tess").await, world.character("Mara").await);
    let another = world.another().await;
    let opened = (0..40).map(|n| [&world.store, &another][n % 2].open_conversation(world.opening(&user, &character)));
    let opened: Vec<_> = join_all(opened).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(opened.iter().filter(|(_, made)| *made).count(), 1);
    assert!(opened.iter().all(|(item, _)| item.conversation.id == opened[0].0.conversation.id));
}

pub async fn a_conversation_starts_with_the_greeting(world: World) {
    let store = &world.store;
    let (user, character) = (world.user("tess").await, world.character("Mara").await);
    let greeting = Some((world.ambient.id(), "Come in, Tess.".into()));
    let (item, made) = store
        .open_conversation(OpenConversation { greeting: greeting.clone(), ..world.opening(&user, &character) })
        .await
        .unwrap();
    assert!(made);
    assert_eq!((item.conversation.last_seq, &item.conversation.member_ids[..]), (1, &[user.id.clone()][..]));
    assert_eq!(
        (item.character.name.as_str(), item.character.avatar_url.as_deref()),
        ("Mara", Some("/media/mara.webp"))
    );
    let messages = world.all_messages(&item.conversation).await;
    assert_eq!(item.last_message.as_ref(), messages.first());
    let first = &messages[0];
    assert_eq!((first.seq, first.role, first.text.as_str()), (1, Author::Character, "Come in, Tess."));
    assert_eq!((first.sender_id.as_str(), first.reply_state), (character.id.as_str(), None));
    assert_eq!(Some(&first.id), greeting.as_ref().map(|(id, _)| id));
    assert!(store.due_replies(None, 10).await.unwrap().is_empty());
}

pub async fn only_members_see_a_conversation(world: World) {
    let store = &world.store;
    let (user, _, conversation) = world.pair().await;
    let stranger = world.user("ines").await;
    assert!(store.conversation(&conversation.id, &user.id).await.unwrap().is_some());
    assert!(store.conversation(&conversation.id, &stranger.id).await.unwrap().is_none());
    assert!(store.conversation(&world.ambient.id(), &user.id).await.unwrap().is_none());
    let item = store.conversation(&conversation.id, &user.id).await.unwrap().unwrap();
    let head = store.conversation_head(&conversation.id, &user.id).await.unwrap().unwrap();
    assert_eq!((head.conversation, head.last_message), (item.conversation, item.last_message));
    assert!(store.conversation_head(&conversation.id, &stranger.id).await.unwrap().is_none());
    assert!(store.conversation_head(&world.ambient.id(), &user.id).await.unwrap().is_none());
    assert!(store.conversations(&stranger.id, None, 10).await.unwrap().items.is_empty());
    assert!(!store.rename_conversation(&conversation.id, &stranger.id, "mine").await.unwrap());
    assert!(!store.delete_conversation(&conversation.id, &stranger.id).await.unwrap());
}

pub async fn members_come_and_go_by_the_rules(world: World) {
    let store = &world.store;
    let (owner, _, conversation) = world.pair().await;
    let id = &conversation.id;
    let (ines, ona) = (world.user("ines").await, world.user("ona").await);
    let cursor = store.last_change().await.unwrap();
    assert_eq!(store.add_member(id, &ines.id, &ines.id).await.unwrap(), AddMember::NotFound, "only the owner adds");
    assert_eq!(
        store.add_member(id, &owner.id, &world.ambient.id()).await.unwrap(),
        AddMember::NotFound,
        "nobody is nobody"
    );
    assert!(store.changes(cursor, 10).await.unwrap().is_empty());
    for user in [&ines, &ines, &ona] {
        assert_eq!(store.add_member(id, &owner.id, &user.id).await.unwrap(), AddMember::Added);
        world.tick();
    }
    let item = store.conversation(id, &ines.id).await.unwrap().unwrap();
    assert_eq!(item.conversation.member_ids, [owner.id.clone(), ines.id.clone(), ona.id.clone()]);
    assert!(!store.remove_member(id, &ines.id, &ona.id).await.unwrap(), "a member removes only himself");
    assert!(!store.remove_member(id, &owner.id, &owner.id).await.unwrap(), "the owner stays");
    assert!(store.remove_member(id, &ines.id, &ines.id).await.unwrap());
    assert!(!store.remove_member(id, &ines.id, &ines.id).await.unwrap());
    assert!(store.conversation(id, &ines.id).await.unwrap().is_none());
    assert!(store.remove_member(id, &owner.id, &ona.id).await.unwrap());
    let told = store.changes(cursor, 100).await.unwrap();
    let told = |wanted: &Change| told.iter().filter(|(_, change)| change == wanted).count();
    assert!(told(&Change::Conversation { id: id.clone() }) >= 4);
    for user in [&ines.id, &ona.id] {
        assert_eq!(told(&Change::Member { conversation: id.clone(), user: user.clone() }), 2, "came, and went");
    }
}

pub async fn the_list_has_the_last_changed_first(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let mut all = Vec::new();
    for n in 0..5 {
        let character = world.character(&format!("C{n}")).await;
        all.push(world.conversation(&user, &character).await);
    }
    world.send(&all[1], "hello").await;
    let listed = store.conversations(&user.id, None, 10).await.unwrap();
    let titles: Vec<&str> = listed.items.iter().map(|item| item.conversation.title.as_str()).collect();
    assert_eq!((titles, listed.next_cursor), (vec!["C1", "C4", "C3", "C2", "C0"], None));
    assert_eq!(listed.items[0].last_message.as_ref().map(|message| message.text.as_str()), Some("hello"));

    let mut paged = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store.conversations(&user.id, cursor.as_deref(), 2).await.unwrap();
        paged.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, listed.items);
    let unknown = store.conversations(&user.id, Some("not ours"), 10).await.unwrap();
    assert_eq!(unknown.items, listed.items);

    assert!(store.rename_conversation(&all[0].id, &user.id, "Another").await.unwrap());
    let renamed = store.conversation(&all[0].id, &user.id).await.unwrap().unwrap();
    assert_eq!(renamed.conversation.title, "Another");
}

pub async fn pages_of_messages_are_in_order_of_seq(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    for n in 1..=7 {
        world.send(&conversation, &format!("message {n}")).await;
    }
    for (before, after, limit, seqs, has_more) in [
        (None, None, 3, vec![5, 6, 7], true),
        (None, None, 7, vec![1, 2, 3, 4, 5, 6, 7], false),
        (Some(5), None, 2, vec![3, 4], true),
        (Some(3), None, 2, vec![1, 2], false),
        (None, Some(2), 2, vec![3, 4], true),
        (None, Some(5), 2, vec![6, 7], false),
        (None, Some(7), 2, vec![], false),
        (Some(1), None, 2, vec![], false),
        (Some(6), Some(2), 10, vec![3, 4, 5], false),
    ] {
        let query = MessageQuery { before, after, limit };
        let page = store.messages(&conversation.id, &conversation.owner_id, query).await.unwrap().unwrap();
        let read: Vec<u64> = page.items.iter().map(|message| message.seq).collect();
        assert_eq!((read, page.has_more), (seqs, has_more), "before {before:?}, after {after:?}");
    }
    let missed = store.missed(&conversation.id, 4, 2).await.unwrap();
    assert_eq!(missed.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["message 5", "message 6"]);
    assert_eq!(store.message(&conversation, &missed[0].id).await.unwrap().as_ref(), Some(&missed[0]));

    let stranger = world.user("stranger").await;
    assert!(store.messages(&conversation.id, &stranger.id, MessageQuery::default()).await.unwrap().is_none());
    let nowhere = world.ambient.id();
    assert!(store.messages(&nowhere, &conversation.owner_id, MessageQuery::default()).await.unwrap().is_none());

    let other = world.character("Bo").await;
    let owner = store.user(&conversation.owner_id).await.unwrap().unwrap();
    let elsewhere = world.conversation(&owner, &other).await;
    let empty =
        store.messages(&elsewhere.id, &owner.id, MessageQuery { limit: 5, ..Default::default() }).await.unwrap();
    assert!(empty.is_some_and(|page| page.items.is_empty() && !page.has_more), "nothing was said there yet");
    assert!(
        store.message(&elsewhere, &missed[0].id).await.unwrap().is_none(),
        "a message is read in its own conversation"
    );
}

pub async fn a_deleted_conversation_takes_its_messages(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let message = world.send(&conversation, "hello").await;
    let cursor = store.last_change().await.unwrap();
    assert!(store.delete_conversation(&conversation.id, &user.id).await.unwrap());
    assert!(!store.delete_conversation(&conversation.id, &user.id).await.unwrap());
    assert!(store.message(&conversation, &message.id).await.unwrap().is_none());
    assert!(store.missed(&conversation.id, 0, 10).await.unwrap().is_empty());
    let told = store.changes(cursor, 10).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|(_, change)| change).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&Change::Conversation { id: conversation.id.clone() }));
    assert!(told.contains(&Change::Member { conversation: conversation.id.clone(), user: user.id.clone() }));
    assert!(store.usage(&user.id, &character.id).await.unwrap().text == 1, "deleting gives nothing back");
    let (anew, made) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
    assert!(made && anew.conversation.last_seq == 0);
}
