//! Characters and their lists.

use super::World;
use crate::{Change, CharacterPage, CharacterQuery, SaveCharacter, Sort};
use aim_domain::{Character, CharacterDetails, CharacterId, DepthPrompt, LoreEntry, Lorebook, User, Visibility};

fn query(viewer: &User) -> CharacterQuery {
    CharacterQuery {
        viewer: viewer.id.clone(),
        text: None,
        tag: None,
        among: None,
        sort: Sort::New,
        cursor: None,
        limit: 50,
    }
}

fn names(page: &CharacterPage) -> Vec<&str> {
    page.items.iter().map(|character| character.name.as_str()).collect()
}

pub async fn a_character_is_stored_as_said(world: World) {
    let user = world.user("tess").await;
    let character = world.new_character("Mara", Some(&user));
    assert_eq!(world.save(character.clone()).await, character);
    assert_eq!(world.store.character(&character.id).await.unwrap(), Some(character));
}

pub async fn a_card_is_kept_as_it_came_and_lists_do_without_details(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let mut character = world.new_character("Mara", Some(&user));
    let entry = LoreEntry { keys: vec!["reef".into()], content: "Four ships.".into(), ..LoreEntry::default() };
    character.details = CharacterDetails {
        nickname: "Keeper".into(),
        alternate_greetings: vec!["You again.".into()],
        depth_prompt: Some(DepthPrompt { prompt: "Be dry.".into(), ..DepthPrompt::default() }),
        lorebook: Some(Lorebook { entries: vec![entry], ..Lorebook::default() }),
        ..CharacterDetails::default()
    };
    let card = r#"{"data":{"name":"Mara","x":[1,null,"\u0000"]}}"#;
    let saved = store.import_character(character.clone(), card.into()).await.unwrap();
    assert_eq!(saved, SaveCharacter::Saved(Box::new(character.clone())));
    let again = store.import_character(character.clone(), "{}".into()).await.unwrap();
    assert_eq!(again, SaveCharacter::IdTaken);
    assert_eq!(store.character(&character.id).await.unwrap().as_ref(), Some(&character));
    let listed = &store.characters(query(&user)).await.unwrap().items[0];
    assert_eq!(*listed, Character { details: CharacterDetails::default(), ..character.clone() });
    character.revision += 1;
    character.details.nickname.clear();
    let saved = store.update_character(character.clone()).await.unwrap();
    assert_eq!(saved, SaveCharacter::Saved(Box::new(character.clone())));
    assert_eq!(store.character_card(&character.id).await.unwrap().as_deref(), Some(card));
    assert_eq!(store.character_card(&world.character("Bo").await.id).await.unwrap(), None);
    store.delete_character(&character.id).await.unwrap();
    assert_eq!(store.character_card(&character.id).await.unwrap(), None);
}

pub async fn an_id_is_taken_once(world: World) {
    let store = &world.store;
    let character = world.character("Mara").await;
    assert_eq!(store.create_character(character.clone()).await.unwrap(), SaveCharacter::IdTaken);
    store.delete_character(&character.id).await.unwrap();
    let again = store.create_character(character).await.unwrap();
    assert_eq!(again, SaveCharacter::IdTaken, "the conversations of the deleted one are not those of a new one");
}

pub async fn only_the_next_revision_is_stored(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let mut character = world.save(world.new_character("Mara", Some(&user))).await;
    assert_eq!(store.update_character(character.clone()).await.unwrap(), SaveCharacter::Stale);
    let cursor = store.last_change().await.unwrap();
    character.revision = 2;
    character.description = "Another.".into();
    character.tags = vec!["hills".into()];
    let edits = (0..20).map(|_| store.update_character(character.clone()));
    let outcomes = futures::future::join_all(edits).await;
    let saved = outcomes.iter().filter(|outcome| matches!(outcome, Ok(SaveCharacter::Saved(_)))).count();
    assert_eq!(saved, 1, "of edits at once, one counts");
    assert_eq!(store.character(&character.id).await.unwrap(), Some(character.clone()));
    let told = store.changes(cursor, 10).await.unwrap();
    assert_eq!(told, [(cursor + 1, Change::Character { id: character.id.clone() })]);
    character.id = world.ambient.id();
    assert_eq!(store.update_character(character).await.unwrap(), SaveCharacter::NotFound);
}

pub async fn a_deleted_character_is_gone_but_its_conversations_stay_readable(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    world.send(&conversation, "hello").await;
    let cursor = store.last_change().await.unwrap();
    assert!(store.delete_character(&character.id).await.unwrap());
    assert!(!store.delete_character(&character.id).await.unwrap());
    let told = store.changes(cursor, 10).await.unwrap();
    assert_eq!(told, [(cursor + 1, Change::Character { id: character.id.clone() })]);
    assert!(store.character(&character.id).await.unwrap().is_none());
    assert!(names(&store.characters(query(&user)).await.unwrap()).is_empty());
    assert!(
        names(&store.characters(CharacterQuery { tag: Some("sea".into()), ..query(&user) }).await.unwrap()).is_empty()
    );
    let item = store.conversation(&conversation.id, &user.id).await.unwrap().unwrap();
    assert_eq!(item.character.name, "Mara");
    assert_eq!(world.all_messages(&conversation).await.len(), 1);
    let (again, made) = store.open_conversation(world.opening(&user, &character)).await.unwrap();
    assert_eq!((again.conversation.id, made), (conversation.id, false));
    let other = world.user("ines").await;
    assert!(store.open_conversation(world.opening(&other, &character)).await.is_err(), "no new conversation");
}

pub async fn lists_show_public_characters_and_ones_own(world: World) {
    let store = &world.store;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    for (name, owner, visibility) in [
        ("Ours", None, Visibility::Public),
        ("Hers", Some(&ines), Visibility::Private),
        ("Mine", Some(&tess), Visibility::Private),
        ("Mine too", Some(&tess), Visibility::Public),
    ] {
        let mut character = world.new_character(name, owner);
        character.visibility = visibility;
        world.save(character).await;
    }
    let by_name = |viewer: &User| CharacterQuery { sort: Sort::Name, ..query(viewer) };
    assert_eq!(names(&store.characters(by_name(&tess)).await.unwrap()), ["Mine", "Mine too", "Ours"]);
    assert_eq!(names(&store.characters(by_name(&ines)).await.unwrap()), ["Hers", "Mine too", "Ours"]);
}

pub async fn pages_of_a_list_meet_without_a_gap(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    // Equal times, equal names but for case, equal counts: the id breaks the tie.
    for n in 0..7 {
        let mut character = world.new_character(["Mara", "mara", "Bo"][n % 3], Some(&user));
        character.id = world.ambient.id();
        character.created_at = aim_domain::Timestamp(1_000 + (n / 2) as i64);
        character.visibility = if n % 2 == 0 { Visibility::Public } else { Visibility::Private };
        let character = world.save(character).await;
        if n < 2 {
            world.conversation(&user, &character).await;
        }
    }
    for sort in [Sort::New, Sort::Popular, Sort::Name] {
        let all = store.characters(CharacterQuery { sort, ..query(&user) }).await.unwrap();
        assert_eq!((all.items.len(), &all.next_cursor), (7, &None));
        let mut paged = Vec::new();
        let mut cursor = None;
        loop {
            let page = store.characters(CharacterQuery { sort, cursor, limit: 2, ..query(&user) }).await.unwrap();
            assert!(page.items.len() <= 2);
            paged.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(paged, all.items, "{sort:?}");
        let sorted = match sort {
            Sort::New => all.items.is_sorted_by_key(|character| std::cmp::Reverse(character.created_at)),
            Sort::Popular => names(&all)[..2].iter().all(|name| name.eq_ignore_ascii_case("mara")),
            Sort::Recent => unreachable!("a list of its own"),
            Sort::Name => all.items.is_sorted_by_key(|character| character.name.to_lowercase()),
        };
        assert!(sorted, "{sort:?}");
    }
}

pub async fn a_list_is_narrowed_by_tag_and_text(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let mut bo = world.new_character("Bo", None);
    bo.name = "Bo Ångström".into();
    bo.description = "Mends 100% of clocks.".into();
    bo.tags = vec!["brass".into()];
    world.save(bo).await;
    world.character("Mara").await;
    let text = |text: &str| CharacterQuery { text: Some(text.into()), ..query(&user) };
    for (said, found) in [
        ("ÅNGSTRÖM", vec!["Bo Ångström"]),
        ("lighthouse", vec!["Mara"]),
        ("BRASS", vec!["Bo Ångström"]),
        ("100%", vec!["Bo Ångström"]),
        ("1_0", vec![]),
        ("ngst", vec!["Bo Ångström"]),
        ("angstrom", vec!["Bo Ångström"]),
        ("mends clo", vec!["Bo Ångström"]),
        ("clo mends", vec![]),
        ("ighthouse", vec![]),
        ("?!", vec![]),
        (" ", vec!["Mara", "Bo Ångström"]),
    ] {
        assert_eq!(names(&store.characters(text(said)).await.unwrap()), found, "{said}");
    }
    let tag = |tag: &str| CharacterQuery { tag: Some(tag.into()), ..query(&user) };
    assert_eq!(names(&store.characters(tag("Sea")).await.unwrap()), ["Mara"]);
    assert!(names(&store.characters(tag("se")).await.unwrap()).is_empty(), "a tag is whole");
    let both = CharacterQuery { text: Some("mara".into()), ..tag("brass") };
    assert!(names(&store.characters(both).await.unwrap()).is_empty());

    // In every order, one's own private ones among them, page by page.
    let ines = world.user("ines").await;
    for (n, name) in ["Keeper One", "Keeper Two", "Keeper Three"].into_iter().enumerate() {
        let mut keeper = world.new_character("keeper", Some(&user));
        keeper.id = CharacterId::parse(&format!("keeper-{n}")).unwrap();
        keeper.name = name.into();
        keeper.visibility = if n == 1 { Visibility::Private } else { Visibility::Public };
        world.save(keeper.clone()).await;
        for viewer in [&user, &ines] {
            if n != 1 || viewer.id == user.id {
                world.conversation(viewer, &keeper).await;
            }
        }
    }
    let last_first = ["Keeper Three", "Keeper Two", "Keeper One"];
    for (sort, order) in [
        (Sort::New, last_first),
        (Sort::Popular, ["Keeper Three", "Keeper One", "Keeper Two"]),
        (Sort::Recent, last_first),
        (Sort::Name, ["Keeper One", "Keeper Three", "Keeper Two"]),
    ] {
        for said in ["keeper", "KEEPE", "eepe", "sea keeper", "@tess"] {
            for tag in [None, Some("storms")] {
                let mut asked = CharacterQuery { sort, tag: tag.map(str::to_owned), limit: 1, ..text(said) };
                let mut found = Vec::new();
                while found.len() < 4 {
                    let page = store.characters(asked.clone()).await.unwrap();
                    found.extend(page.items.into_iter().map(|character| character.name));
                    asked.cursor = page.next_cursor;
                    if asked.cursor.is_none() {
                        break;
                    }
                }
                assert_eq!(found, order, "{said} of {tag:?}, {sort:?}");
                let theirs = CharacterQuery { viewer: ines.id.clone(), limit: 50, cursor: None, ..asked };
                let theirs = store.characters(theirs).await.unwrap();
                let public: Vec<_> = order.into_iter().filter(|name| *name != "Keeper Two").collect();
                assert_eq!(names(&theirs), public, "{said} of {tag:?}, {sort:?}, as another");
            }
        }
    }
}

pub async fn a_strange_cursor_counts_as_none(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    for name in ["Mara", "Bo", "Ada"] {
        world.character(name).await;
    }
    let by_name = CharacterQuery { sort: Sort::Name, limit: 1, ..query(&user) };
    let other_order = store.characters(by_name).await.unwrap().next_cursor.unwrap();
    for cursor in ["", "%%%", "bm9uc2Vuc2U", other_order.as_str()] {
        let page = store.characters(CharacterQuery { cursor: Some(cursor.into()), ..query(&user) }).await.unwrap();
        assert_eq!(names(&page), ["Ada", "Bo", "Mara"], "{cursor:?}");
    }
}

pub async fn a_list_is_of_favourites_or_of_an_owner(world: World) {
    let store = &world.store;
    let (tess, ines) = (world.user("tess").await, world.user("ines_7").await);
    let mara = world.character("Mara").await;
    let hers = world.save(world.new_character("Hers", Some(&ines))).await;
    world.character("Bo").await;
    let among = |ids: Vec<CharacterId>| CharacterQuery { among: Some(ids), ..query(&tess) };
    let some = among(vec![mara.id.clone(), hers.id.clone(), CharacterId::parse("nobody").unwrap()]);
    assert_eq!(names(&store.characters(some).await.unwrap()), ["Hers", "Mara"]);
    assert!(names(&store.characters(among(Vec::new())).await.unwrap()).is_empty());
    let text = |text: &str| CharacterQuery { text: Some(text.into()), ..query(&tess) };
    for said in ["ines_7", "@Ines_7"] {
        assert_eq!(names(&store.characters(text(said)).await.unwrap()), ["Hers"], "{said}");
    }
    assert!(names(&store.characters(text("@ines")).await.unwrap()).is_empty(), "a username is whole");
}

pub async fn a_list_of_those_talked_with_has_the_last_first(world: World) {
    let store = &world.store;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let mut made = Vec::new();
    for name in ["Mara", "Bo", "Ada", "Nora"] {
        made.push(world.character(name).await);
    }
    for character in &made[..3] {
        world.tick();
        world.conversation(&tess, character).await;
    }
    world.conversation(&ines, &made[3]).await;
    world.tick();
    let mara = world.conversation(&tess, &made[0]).await;
    world.send(&mara, "again").await;
    let recent = CharacterQuery { sort: Sort::Recent, limit: 2, ..query(&tess) };
    let first = store.characters(recent.clone()).await.unwrap();
    assert_eq!(names(&first), ["Mara", "Ada"]);
    let rest = store.characters(CharacterQuery { cursor: first.next_cursor, ..recent }).await.unwrap();
    assert_eq!((names(&rest), &rest.next_cursor), (vec!["Bo"], &None));
}
