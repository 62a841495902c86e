//! Conversations that were held elsewhere.

use super::World;
use crate::words::Sought;
use crate::{
    BranchConversation, Branched, Change, ConversationItem, ImportConversation, ImportedMessage, Redo, RedoReply,
    SearchQuery, Stretch,
};
use aim_domain::{
    Author, Character, ConversationId, Kind, Message, MessageId, ReplyState, Timestamp, UsageCount, User, Variants,
};

/// Lines of a chat, a person's where they begin with `>`, each some hours after the one before; of a reply `|` parts its variants, of
/// which the last is chosen.
fn chat(world: &World, user: &User, character: &Character, lines: &[&str]) -> ImportConversation {
    let id: ConversationId = world.ambient.id();
    let mut said: Vec<ImportedMessage> = Vec::new();
    for (n, line) in (0_i64..).zip(lines) {
        let (is_user, text) = (line.starts_with('>'), line.trim_start_matches('>'));
        let asked = said.last().filter(|one| !is_user && one.message.role == Author::User);
        let in_reply_to = asked.map(|one| one.message.id.clone());
        let variants: Vec<String> = text.split('|').map(str::to_owned).collect();
        let count = u32::try_from(variants.len()).unwrap();
        let message = Message {
            id: world.ambient.id(),
            conversation_id: id.clone(),
            seq: n.unsigned_abs() + 1,
            role: if is_user { Author::User } else { Author::Character },
            sender_id: if is_user { user.id.to_string() } else { character.id.to_string() },
            kind: Kind::Text,
            text: variants.last().unwrap().clone(),
            media: None,
            in_reply_to,
            client_id: None,
            created_at: Timestamp(1_600_000_000_000 + n * 10_000_000),
            reply_state: is_user.then_some(ReplyState::Done),
            variants: (count > 1).then_some(Variants { count, selected: count - 1 }),
            personality: None,
        };
        said.push(ImportedMessage { message, variants: if count > 1 { variants } else { Vec::new() } });
    }
    let title = character.name.clone();
    ImportConversation { id, owner: user.id.clone(), character: character.id.clone(), title, said }
}

async fn import(world: &World, chat: &ImportConversation) -> ConversationItem {
    world.store.import_conversation(chat.clone()).await.unwrap()
}

pub async fn an_imported_conversation_is_there_as_it_was(world: World) {
    let store = &world.store;
    let (user, character, before) = world.pair().await;
    let cursor = store.last_change().await.unwrap();
    let chat = chat(&world, &user, &character, &["Ahoy.", ">A canary sings", ">And again", "No|Yes", "Besides."]);
    let item = import(&world, &chat).await;
    let conversation = &item.conversation;
    assert_eq!((&conversation.id, conversation.last_seq, &conversation.branch_of), (&chat.id, 5, &None));
    assert_eq!(conversation.imported_seq, Some(5));
    assert_eq!((item.unread, item.last_message.as_ref()), (0, chat.said.last().map(|one| &one.message)));
    let said: Vec<_> = chat.said.iter().map(|one| one.message.clone()).collect();
    assert_eq!(world.all_messages(conversation).await, said);
    world.assert_seq_without_a_gap(conversation).await;
    let told: Vec<_> = store.changes(cursor, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    assert_eq!(told, [Change::Conversation { id: chat.id.clone() }]);
    // It is the pair's from now on, and the one before goes on.
    let (main, is_new) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
    assert_eq!((&main.conversation.id, is_new), (&chat.id, false));
    assert_eq!(store.conversations(&user.id, None, 10).await.unwrap().items.len(), 2);
    world.send(&before, "still here").await;
    // Found by its words, by its owner alone.
    let ines = world.user("ines").await;
    for (viewer, count) in [(&user, 1), (&ines, 0)] {
        let sought = Sought::parse("canary").unwrap();
        let query = SearchQuery { viewer: viewer.id.clone(), conversation: None, sought, limit: 10 };
        assert_eq!(store.search_messages(&query).await.unwrap().len(), count);
    }
    assert_eq!(store.conversation(&chat.id, &ines.id).await.unwrap(), None);
}

pub async fn an_imported_conversation_counts_nowhere_and_goes_on(world: World) {
    let store = &world.store;
    let (user, character) = (world.user("tess").await, world.character("Mara").await);
    let chat = chat(&world, &user, &character, &["Ahoy.", ">Where are we?", "Lost|At sea."]);
    let item = import(&world, &chat).await;
    let used = store.usage(&user.id, &character.id).await.unwrap();
    assert_eq!(used, UsageCount::default());
    let all = Stretch { from: Timestamp(0), to: Timestamp(i64::from(u32::MAX) * 1_000) };
    let activity = store.activity(all).await.unwrap();
    assert_eq!((activity.text_messages, activity.replies, activity.active_users), (0, 0, 0));
    // Its last reply has its variants, and is answered anew like any other.
    let (talk, reply) = (&item.conversation, &chat.said[2].message.id);
    let chosen = store.select_variant(talk, reply, 0).await.unwrap().unwrap();
    assert_eq!((chosen.text.as_str(), chosen.variants), ("Lost", Some(Variants { count: 2, selected: 0 })));
    let server = world.server().await;
    let redo = RedoReply { conversation: talk.id.clone(), message: reply.clone(), how: Redo::Variant };
    store.redo_reply(redo).await.unwrap().unwrap();
    let anew = world.answer(talk, &server, "Here").await;
    assert_eq!((&anew.id, anew.variants), (reply, Some(Variants { count: 3, selected: 2 })));
    let next = world.send(talk, "And now?").await;
    assert_eq!(next.seq, 4);
    let claim = world.claimed(talk, &server).await;
    let read: Vec<_> = store.context(&claim, 10).await.unwrap().into_iter().map(|(_, message)| message.text).collect();
    assert_eq!(read, ["Ahoy.", "Where are we?", "Here"]);
    world.commit(&claim, "Home.").await;
    let activity = store.activity(all).await.unwrap();
    assert_eq!((activity.text_messages, activity.replies), (1, 1), "what is said from then on counts");
}

pub async fn what_is_not_stored_whole_is_not_stored(world: World) {
    let store = &world.store;
    let (user, character, before) = world.pair().await;
    let mut chat = chat(&world, &user, &character, &["Ahoy.", ">One", "Two", ">Three"]);
    let id: MessageId = chat.said[1].message.id.clone();
    chat.said[3].message.id = id;
    assert!(store.import_conversation(chat.clone()).await.is_err());
    assert_eq!(store.conversation(&chat.id, &user.id).await.unwrap(), None);
    let (main, _) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
    assert_eq!(main.conversation.id, before.id, "the pair has the one that it had");
}

/// A branch within it was said elsewhere too; one behind it is a branch like any other.
pub async fn a_branch_knows_what_was_imported(world: World) {
    let (user, character) = (world.user("tess").await, world.character("Mara").await);
    let chat = chat(&world, &user, &character, &[">One", "Two"]);
    let conversation = import(&world, &chat).await.conversation;
    let here = world.send(&conversation, "three").await;
    for (message, expected) in [(&chat.said[1].message.id, (None, Some(2))), (&here.id, (Some(3), None))] {
        let (id, from, by) = (world.ambient.id(), conversation.id.clone(), user.id.clone());
        let ask = BranchConversation { id, from, message: message.clone(), by, title: "branch".into() };
        let Branched::Made(branch) = world.store.branch_conversation(ask).await.unwrap() else { panic!("no branch") };
        let branch = branch.conversation;
        assert_eq!((branch.branch_of.map(|at| at.seq), branch.imported_seq), expected);
    }
}

pub async fn a_long_conversation_is_imported(world: World) {
    let (user, character) = (world.user("tess").await, world.character("Mara").await);
    let lines: Vec<_> =
        (0..1_001).map(|n| format!("{}line {n} of a long story", if n % 2 == 1 { ">" } else { "" })).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let chat = chat(&world, &user, &character, &lines);
    let item = import(&world, &chat).await;
    assert_eq!(item.conversation.last_seq, 1_001);
    world.assert_seq_without_a_gap(&item.conversation).await;
    let again = import(&world, &chat).await;
    assert_eq!(again, item);
}
