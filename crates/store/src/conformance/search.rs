//! Full text: what is found, by whom, and in which order.

use super::World;
use crate::words::Sought;
use crate::{SearchQuery, TagCount};
use aim_domain::{CharacterId, Conversation, User, UserId, Visibility};

fn query(viewer: &UserId, text: &str) -> SearchQuery {
    SearchQuery { viewer: viewer.clone(), sought: Sought::parse(text).unwrap(), conversation: None, limit: 10 }
}

/// The texts that `viewer` finds.
async fn found(world: &World, viewer: &User, text: &str) -> Vec<String> {
    let found = world.store.search_messages(&query(&viewer.id, text)).await.unwrap();
    found.into_iter().map(|found| found.message.text).collect()
}

pub async fn messages_are_found_as_they_are_typed(world: World) {
    let (tess, mara, talk) = world.pair().await;
    let server = world.server().await;
    world.send(&talk, "Is the Lighthouse open, Señora?").await;
    world.answer(&talk, &server, "The lamp burns all night. 海の家 is closed.").await;
    for (typed, finds) in [
        ("li", true),
        ("lig", true),
        ("light", true),
        ("lighthous", true),
        ("LIGHTHOUSE", true),
        ("lighthouse ", true),
        ("lighthou ", false),
        ("open sen", true),
        ("senora open", true),
        ("señ", true),
        ("house", false),
        ("lighthouse night", false),
        ("l", false),
    ] {
        assert_eq!(found(&world, &tess, typed).await.len(), usize::from(finds), "{typed}");
    }
    assert_eq!(found(&world, &tess, "家").await.len(), 1);
    let lamp = world.store.search_messages(&query(&tess.id, "lamp")).await.unwrap();
    assert_eq!((lamp[0].message.seq, &lamp[0].title, &lamp[0].character.id), (2, &talk.title, &mara.id));
    assert_eq!(lamp[0].message.conversation_id, talk.id);
}

pub async fn only_members_find_what_was_said(world: World) {
    let (tess, mara, talk) = world.pair().await;
    let ines = world.user("ines").await;
    let theirs = world.conversation(&ines, &mara).await;
    world.send(&talk, "a secret of tess").await;
    world.send(&theirs, "a secret of ines").await;
    assert_eq!(found(&world, &tess, "secret").await, ["a secret of tess"]);
    assert_eq!(found(&world, &ines, "secret").await, ["a secret of ines"]);
    let within = |viewer: &User, talk: &Conversation| SearchQuery {
        conversation: Some(talk.id.clone()),
        ..query(&viewer.id, "secret")
    };
    assert!(world.store.search_messages(&within(&ines, &talk)).await.unwrap().is_empty());
    assert_eq!(world.store.search_messages(&within(&ines, &theirs)).await.unwrap().len(), 1);

    world.store.add_member(&talk.id, &tess.id, &ines.id).await.unwrap();
    assert_eq!(found(&world, &ines, "secret").await.len(), 2);
    world.store.remove_member(&talk.id, &tess.id, &ines.id).await.unwrap();
    assert_eq!(found(&world, &ines, "secret").await, ["a secret of ines"]);
}

pub async fn what_was_deleted_or_erased_is_not_found(world: World) {
    let (store, (tess, mara, talk)) = (&world.store, world.pair().await);
    let ines = world.user("ines").await;
    let theirs = world.conversation(&ines, &mara).await;
    store.add_member(&theirs.id, &ines.id, &tess.id).await.unwrap();
    store.send_message(world.message(&theirs, &tess.id, "a canary of tess in another's")).await.unwrap();
    world.send(&talk, "a canary of tess").await;
    assert_eq!(found(&world, &tess, "canary").await.len(), 2);
    assert!(store.delete_conversation(&talk.id, &tess.id).await.unwrap());
    assert_eq!(found(&world, &tess, "canary").await, ["a canary of tess in another's"]);
    // Its number may be another's by now.
    let anew = world.conversation(&tess, &mara).await;
    world.send(&anew, "nothing of the kind").await;
    assert_eq!(found(&world, &tess, "canary").await.len(), 1);
    assert_eq!(found(&world, &tess, "nothing kind").await.len(), 1);
    assert!(store.delete_user(&tess.id).await.unwrap());
    assert!(found(&world, &ines, "canary").await.is_empty());
    let mut rounds = 0;
    while store.tidy_search().await.unwrap() {
        rounds += 1;
        assert!(rounds < 100, "it comes to an end");
    }
    assert!(found(&world, &ines, "canary").await.is_empty());
    assert_eq!(found(&world, &ines, "message account").await.len(), 1, "what stands in its place is found");
}

pub async fn what_fits_better_comes_first(world: World) {
    let (tess, mara, talk) = world.pair().await;
    world.send(&talk, "the storm lamp of old").await;
    world.send(&talk, "a lamp for the next storm").await;
    world.send(&talk, "stormy lamplight").await;
    assert_eq!(
        found(&world, &tess, "storm lamp").await,
        ["the storm lamp of old", "a lamp for the next storm"],
        "words in their order before those that are strewn; the last alone may be half a word"
    );
    // Alike: the newest first, over all conversations.
    let bo = world.character("Bo").await;
    let other = world.conversation(&tess, &bo).await;
    for n in 0..3 {
        world.send(if n % 2 == 0 { &other } else { &talk }, &format!("echo {n}")).await;
    }
    assert_eq!(found(&world, &tess, "echo").await, ["echo 2", "echo 1", "echo 0"]);
    let few = SearchQuery { limit: 2, ..query(&tess.id, "echo") };
    assert_eq!(world.store.search_messages(&few).await.unwrap().len(), 2);
    assert_eq!(mara.id, talk.character_id);
}

pub async fn of_much_that_fits_the_newest_of_each_conversation_is_put_in_order(world: World) {
    let (tess, _, talk) = world.pair().await;
    let bo = world.character("Bo").await;
    let other = world.conversation(&tess, &bo).await;
    // It fits best, but too much was said since.
    world.send(&talk, "a lamp at sea").await;
    for n in 0..50 {
        world.send(&talk, &format!("lamp {n} at sea")).await;
    }
    world.send(&other, "a lamp at sea").await;
    for _ in 0..3 {
        world.send(&other, "the sea, and no more").await;
    }
    let all = SearchQuery { limit: 100, ..query(&tess.id, "lamp at sea") };
    let found = world.store.search_messages(&all).await.unwrap();
    let texts: Vec<&str> = found.iter().map(|found| found.message.text.as_str()).collect();
    assert_eq!((texts.len(), texts[0], texts[1], texts[50]), (51, "a lamp at sea", "lamp 49 at sea", "lamp 0 at sea"));
    assert_eq!(found[0].message.conversation_id, other.id);
    // The order is the same each time, and a shorter list is the beginning of a longer one.
    let few = SearchQuery { limit: 7, ..all.clone() };
    assert_eq!(world.store.search_messages(&few).await.unwrap(), found[..7]);
}

pub async fn a_text_of_any_characters_can_be_searched(world: World) {
    let (tess, _, talk) = world.pair().await;
    let strange = [
        "'; DROP TABLE messages; -- \" * ^ : ( ) { } \\ & | ! <-> %",
        "\u{0}\u{1}\u{7f}\u{fffd}\u{202e}",
        "🦀🦀 emoji 👨‍👩‍👧 end",
        "नमस्ते दुनिया ไทย 한국어 ﷽ ａｂｃ",
        "word_with_underscores and-dashes don't",
        &"x".repeat(4_000),
        &"é".repeat(4_000),
        "AND OR NOT NEAR words",
    ];
    for text in strange {
        world.send(&talk, text).await;
    }
    for typed in ["drop table", "emoji", "नमस्ते", "한국", "underscores", "and", "or not near", "xxxx", "éé", "don t"]
    {
        assert!(!found(&world, &tess, typed).await.is_empty(), "{typed}");
    }
    for text in strange {
        if let Some(sought) = Sought::parse(text) {
            let asked = SearchQuery { viewer: tess.id.clone(), sought, conversation: None, limit: 10 };
            world.store.search_messages(&asked).await.unwrap();
            world.store.search_characters(&asked).await.unwrap();
        }
    }
}

pub async fn characters_are_found_by_name_first(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let ines = world.user("ines").await;
    let make = async |name: &str, about: &str, owner: &User, visibility: Visibility| {
        let mut character = world.new_character("x", Some(owner));
        character.id = CharacterId::parse(&name.to_lowercase().replace(' ', "-")).unwrap();
        (character.name, character.description, character.visibility) = (name.into(), about.into(), visibility);
        character.tags = vec!["harbour".into()];
        world.save(character).await
    };
    let keeper = make("Nora Keeper", "Mends clocks.", &tess, Visibility::Public).await;
    let other = make("Bo", "A keeper of bees.", &tess, Visibility::Public).await;
    make("Keeper of Secrets", "Hidden.", &tess, Visibility::Private).await;
    let names = async |viewer: &User, text: &str| {
        let found = store.search_characters(&query(&viewer.id, text)).await.unwrap();
        found.into_iter().map(|found| found.character.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&ines, "keep").await, ["Nora Keeper", "Bo"]);
    assert_eq!(names(&tess, "keeper").await.len(), 3, "one's own private ones too");
    assert_eq!(names(&ines, "harbour bees").await, ["Bo"]);
    let mut renamed = keeper.clone();
    (renamed.name, renamed.revision) = ("Zoë".into(), 2);
    store.update_character(renamed).await.unwrap();
    assert_eq!(names(&ines, "zoe").await, ["Zoë"]);
    assert_eq!(names(&ines, "nora").await, Vec::<String>::new());
    assert!(store.delete_character(&other.id).await.unwrap());
    assert!(names(&ines, "bees").await.is_empty());
}

pub async fn characters_are_found_by_who_made_them(world: World) {
    let (store, tess) = (&world.store, world.user("tess_of_the_sea").await);
    let mut own = world.new_character("Mara", Some(&tess));
    own.details.creator = "Zoë Marlowe".into();
    let mara = world.save(own).await;
    world.character("Bo").await;
    let viewer = world.user("viewer").await;
    let found = async |text: &str| store.search_characters(&query(&viewer.id, text)).await.unwrap();
    for text in ["marl", "zoe", "@tess", "sea tess", "mara zoe"] {
        let found = found(text).await;
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].creators, ["Zoë Marlowe", "tess_of_the_sea"], "{text}");
    }
    let mut renamed = mara.clone();
    (renamed.details.creator, renamed.revision) = ("Iris".into(), 2);
    store.update_character(renamed).await.unwrap();
    assert_eq!((found("marlowe").await.len(), found("iris").await.len()), (0, 1));
    // What others talk with stays, and its owner is forgotten.
    world.conversation(&viewer, &mara).await;
    assert!(store.delete_user(&tess.id).await.unwrap());
    assert_eq!((found("iris").await.len(), found("tess").await.len()), (1, 0));
}

pub async fn tags_are_counted_of_what_a_list_shows(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let first = world.character("Mara").await;
    let mut second = world.new_character("Bo", None);
    second.tags = vec!["Sea".into(), "brass".into()];
    world.save(second).await;
    let mut hidden = world.new_character("Hidden", Some(&tess));
    hidden.visibility = Visibility::Private;
    hidden.tags = vec!["brass".into(), "brine".into()];
    let hidden = world.save(hidden).await;
    let viewer = world.user("viewer").await.id;
    let tag = |tag: &str, count: u64| TagCount { tag: tag.into(), count };
    assert_eq!(store.character_tags(&viewer, 10).await.unwrap(), [tag("sea", 2), tag("brass", 1), tag("storms", 1)]);
    assert_eq!(store.character_tags(&viewer, 1).await.unwrap(), [tag("sea", 2)]);
    store.delete_character(&first.id).await.unwrap();
    assert_eq!(store.character_tags(&viewer, 10).await.unwrap(), [tag("brass", 1), tag("sea", 1)]);

    // One's own private characters stand in one's lists, and in nobody else's.
    let own = [tag("brass", 2), tag("brine", 1), tag("sea", 1)];
    assert_eq!(store.character_tags(&tess.id, 10).await.unwrap(), own);
    assert_eq!(store.character_tags(&tess.id, 1).await.unwrap(), own[..1]);
    store.delete_character(&hidden.id).await.unwrap();
    assert_eq!(store.character_tags(&tess.id, 10).await.unwrap(), [tag("brass", 1), tag("sea", 1)]);
}
