//! The roles that people play, and where they play them.

use super::World;
use super::uploads::{ready, upload};
use crate::{DeleteUpload, NewPersona, PersonaChange, SavePersona};
use aim_domain::{Conversation, Persona, UploadId, User};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn new(world: &World, name: &str) -> NewPersona {
    world.tick();
    let id = world.ambient.id();
    NewPersona { id, name: name.into(), description: format!("{name} of the sea."), picture: None, is_default: false }
}

async fn make(world: &World, user: &User, new: NewPersona) -> Persona {
    match world.store.create_persona(&user.id, new, 50).await.unwrap() {
        SavePersona::Saved(persona) => persona,
        other => panic!("{other:?}"),
    }
}

async fn changed(world: &World, user: &User, of: &Persona, change: PersonaChange) -> Persona {
    world.tick();
    match world.store.change_persona(&user.id, &of.id, change).await.unwrap() {
        SavePersona::Saved(persona) => persona,
        other => panic!("{other:?}"),
    }
}

fn default(is_default: bool) -> PersonaChange {
    PersonaChange { is_default: Some(is_default), ..PersonaChange::default() }
}

/// The names that somebody's choice and what they speak as have.
async fn plays(world: &World, at: &Conversation, user: &User) -> (Option<String>, Option<String>) {
    let choice = world.store.persona_choice(&at.id, &user.id).await.unwrap().unwrap();
    (choice.chosen.map(|one| one.name), choice.speaks_as.map(|one| one.name))
}

pub async fn a_persona_is_stored_as_said(world: World) {
    let (store, tess, ines) = (&world.store, world.user("tess").await, world.user("ines").await);
    let first = make(&world, &tess, new(&world, "Captain")).await;
    assert_eq!((first.name.as_str(), first.description.as_str()), ("Captain", "Captain of the sea."));
    assert_eq!((first.revision, first.is_default, &first.avatar_url), (1, false, &None));
    assert_eq!((first.created_at, first.updated_at), (world.now(), world.now()));
    let second = make(&world, &tess, new(&world, "Smith")).await;
    let change = PersonaChange { name: Some("Admiral".into()), ..PersonaChange::default() };
    let changed = changed(&world, &tess, &first, change.clone()).await;
    assert_eq!((changed.name.as_str(), changed.description.as_str()), ("Admiral", "Captain of the sea."));
    assert_eq!((changed.revision, changed.updated_at), (2, world.now()));
    assert_eq!(world.another().await.personas(&tess.id).await.unwrap(), [changed, second]);

    assert!(store.personas(&ines.id).await.unwrap().is_empty());
    assert_eq!(store.change_persona(&ines.id, &first.id, change).await.unwrap(), SavePersona::NotFound);
    assert!(!store.delete_persona(&ines.id, &first.id).await.unwrap());
    assert!(store.delete_persona(&tess.id, &first.id).await.unwrap());
    assert!(!store.delete_persona(&tess.id, &first.id).await.unwrap());
    let nobody = world.ambient.id();
    assert_eq!(store.create_persona(&nobody, new(&world, "X"), 50).await.unwrap(), SavePersona::NotFound);
}

pub async fn one_persona_is_the_default_or_none(world: World) {
    let (store, tess, ines) = (&world.store, world.user("tess").await, world.user("ines").await);
    let defaults = async |user: &User| {
        let all = store.personas(&user.id).await.unwrap();
        all.into_iter().filter(|one| one.is_default).map(|one| one.name).collect::<Vec<_>>()
    };
    let first = make(&world, &tess, NewPersona { is_default: true, ..new(&world, "First") }).await;
    let others = make(&world, &ines, NewPersona { is_default: true, ..new(&world, "Other") }).await;
    let second = make(&world, &tess, NewPersona { is_default: true, ..new(&world, "Second") }).await;
    assert_eq!((defaults(&tess).await, defaults(&ines).await), (vec!["Second".into()], vec!["Other".into()]));
    changed(&world, &tess, &first, default(true)).await;
    changed(&world, &tess, &first, default(true)).await;
    assert_eq!(defaults(&tess).await, ["First"]);
    changed(&world, &tess, &second, default(false)).await;
    assert_eq!(defaults(&tess).await, ["First"], "another's standing is another's");
    changed(&world, &tess, &first, default(false)).await;
    assert!(defaults(&tess).await.is_empty());
    assert!(others.is_default && defaults(&ines).await == ["Other"]);

    let (here, there) = (&world.store, world.another().await);
    for _ in 0..8 {
        let both = tokio::join!(
            here.change_persona(&tess.id, &first.id, default(true)),
            there.change_persona(&tess.id, &second.id, default(true))
        );
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
        assert_eq!(defaults(&tess).await.len(), 1);
    }
}

pub async fn a_user_has_so_many_personas(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let another = world.another().await;
    let made = (0..6).map(|n| {
        let (store, new) = (if n % 2 == 0 { store.clone() } else { another.clone() }, new(&world, &n.to_string()));
        let user = tess.id.clone();
        tokio::spawn(async move { store.create_persona(&user, new, 3).await.unwrap() })
    });
    let made = futures::future::join_all(made).await;
    let saved = made.into_iter().map(Result::unwrap).filter(|one| matches!(one, SavePersona::Saved(_))).count();
    assert_eq!((saved, store.personas(&tess.id).await.unwrap().len()), (3, 3));
    assert_eq!(store.create_persona(&tess.id, new(&world, "X"), 3).await.unwrap(), SavePersona::TooMany);
}

pub async fn a_member_plays_what_was_chosen_or_else_the_default(world: World) {
    let store = &world.store;
    let (tess, _, at) = world.pair().await;
    let (ines, zoe) = (world.user("ines").await, world.user("zoe").await);
    assert_eq!(plays(&world, &at, &tess).await, (None, None));
    let captain = make(&world, &tess, NewPersona { is_default: true, ..new(&world, "Captain") }).await;
    let smith = make(&world, &tess, new(&world, "Smith")).await;
    assert_eq!(plays(&world, &at, &tess).await, (None, Some("Captain".into())));
    assert!(store.choose_persona(&at.id, &tess.id, Some(&smith.id)).await.unwrap());
    assert_eq!(plays(&world, &at, &tess).await, (Some("Smith".into()), Some("Smith".into())));
    assert!(store.choose_persona(&at.id, &tess.id, Some(&captain.id)).await.unwrap());
    assert_eq!(plays(&world, &at, &tess).await, (Some("Captain".into()), Some("Captain".into())));
    assert!(store.choose_persona(&at.id, &tess.id, None).await.unwrap());
    assert!(store.choose_persona(&at.id, &tess.id, None).await.unwrap());
    assert_eq!(plays(&world, &at, &tess).await, (None, Some("Captain".into())));

    let theirs = make(&world, &ines, new(&world, "Theirs")).await;
    assert!(!store.choose_persona(&at.id, &tess.id, Some(&theirs.id)).await.unwrap());
    assert!(!store.choose_persona(&at.id, &zoe.id, None).await.unwrap(), "she is not in it");
    assert_eq!(store.persona_choice(&at.id, &zoe.id).await.unwrap(), None);
    assert_eq!(plays(&world, &at, &tess).await, (None, Some("Captain".into())));
}

pub async fn a_deleted_persona_leaves_the_default(world: World) {
    let store = &world.store;
    let (tess, _, at) = world.pair().await;
    let captain = make(&world, &tess, NewPersona { is_default: true, ..new(&world, "Captain") }).await;
    let smith = make(&world, &tess, new(&world, "Smith")).await;
    store.choose_persona(&at.id, &tess.id, Some(&smith.id)).await.unwrap();
    store.delete_persona(&tess.id, &smith.id).await.unwrap();
    assert_eq!(plays(&world, &at, &tess).await, (None, Some("Captain".into())));
    store.delete_persona(&tess.id, &captain.id).await.unwrap();
    assert_eq!(plays(&world, &at, &tess).await, (None, None));
    store.delete_conversation(&at.id, &tess.id).await.unwrap();
    assert_eq!(store.persona_choice(&at.id, &tess.id).await.unwrap(), None);
}

pub async fn speakers_are_told_by_the_persona_that_each_plays(world: World) {
    let store = &world.store;
    let (tess, _, at) = world.pair().await;
    let (ines, zoe) = (world.user("ines").await, world.user("zoe").await);
    let captain = make(&world, &tess, NewPersona { is_default: true, ..new(&world, "Captain") }).await;
    make(&world, &ines, NewPersona { is_default: true, ..new(&world, "Queen") }).await;
    let maid = make(&world, &ines, new(&world, "Maid")).await;
    for user in [&ines, &zoe] {
        world.tick();
        store.add_member(&at.id, &tess.id, &user.id).await.unwrap();
    }
    store.choose_persona(&at.id, &ines.id, Some(&maid.id)).await.unwrap();
    let told = store.speakers(&at.id).await.unwrap();
    let said: Vec<_> = told.iter().map(|one| (&one.user, one.name(), one.about())).collect();
    let expected = [
        (&tess.id, "Captain", "Captain of the sea."),
        (&ines.id, "Maid", "Maid of the sea."),
        (&zoe.id, zoe.display_name.as_str(), ""),
    ];
    assert_eq!(said, expected);
    assert_eq!(told[0].persona.as_ref(), Some(&captain));
    assert!(store.speakers(&world.ambient.id()).await.unwrap().is_empty());

    let server = world.server().await;
    for user in [&tess, &ines, &zoe] {
        store.send_message(world.message(&at, &user.id, "Ahoy")).await.unwrap();
    }
    for expected in &told[..2] {
        let claim = world.claimed(&at, &server).await;
        assert_eq!(&claim.sender, expected, "the claim says it of the one who asked");
        world.commit(&claim, "Aye").await;
    }
    let cook = make(&world, &zoe, new(&world, "Cook")).await;
    store.choose_persona(&at.id, &zoe.id, Some(&cook.id)).await.unwrap();
    store.remove_member(&at.id, &tess.id, &zoe.id).await.unwrap();
    let gone = world.claimed(&at, &server).await.sender;
    assert_eq!(
        (gone.name(), gone.persona.as_ref()),
        (zoe.display_name.as_str(), None),
        "of one who left by their name"
    );
}

pub async fn a_personas_picture_is_ones_own_and_seen_where_it_is_played(world: World) {
    let store = &world.store;
    let (tess, _, at) = world.pair().await;
    let (ines, zoe) = (world.user("ines").await, world.user("zoe").await);
    let (picture, theirs, spare) =
        (ready(&world, &tess).await, ready(&world, &ines).await, upload(&world, &tess).await);
    let with = |picture: &UploadId| Some(picture.clone());
    let wrong = NewPersona { picture: with(&theirs.id), ..new(&world, "Thief") };
    assert_eq!(store.create_persona(&tess.id, wrong, 50).await.unwrap(), SavePersona::NoPicture);
    let captain = make(&world, &tess, NewPersona { picture: with(&picture.id), ..new(&world, "Captain") }).await;
    assert_eq!(captain.avatar_url, Some(format!("/media/{}/thumb", picture.id)));
    let change = |picture| PersonaChange { picture: Some(picture), ..PersonaChange::default() };
    let stolen = store.change_persona(&tess.id, &captain.id, change(with(&theirs.id))).await.unwrap();
    assert_eq!(stolen, SavePersona::NoPicture);
    let named = PersonaChange { name: Some("Admiral".into()), ..PersonaChange::default() };
    let captain = changed(&world, &tess, &captain, named).await;
    assert_eq!(captain.avatar_url, Some(format!("/media/{}/thumb", picture.id)), "what is not given stays");

    let sees = async |user: &User| store.visible_upload(&picture.id, Some(&user.id)).await.unwrap().is_some();
    store.add_member(&at.id, &tess.id, &ines.id).await.unwrap();
    assert!(sees(&tess).await && !sees(&ines).await, "it is played nowhere");
    store.choose_persona(&at.id, &tess.id, Some(&captain.id)).await.unwrap();
    assert!(sees(&ines).await && !sees(&zoe).await);
    assert!(store.visible_upload(&picture.id, None).await.unwrap().is_none());
    store.choose_persona(&at.id, &tess.id, None).await.unwrap();
    assert!(!sees(&ines).await);
    changed(&world, &tess, &captain, default(true)).await;
    assert!(sees(&ines).await && !sees(&zoe).await);
    store.remove_member(&at.id, &tess.id, &ines.id).await.unwrap();
    assert!(!sees(&ines).await, "who left sees no more");

    world.clock.advance(2 * DAY);
    assert_eq!(store.orphaned_uploads(DAY, None, 10).await.unwrap(), std::slice::from_ref(&theirs.id));
    assert_eq!(store.delete_upload(&picture.id, Some(&tess.id)).await.unwrap(), DeleteUpload::InUse);
    changed(&world, &tess, &captain, change(with(&spare.id))).await;
    assert_eq!(store.delete_upload(&picture.id, Some(&tess.id)).await.unwrap(), DeleteUpload::Deleted);
    let gone = store.change_persona(&tess.id, &captain.id, change(with(&picture.id))).await.unwrap();
    assert_eq!(gone, SavePersona::NoPicture);
    assert_eq!(changed(&world, &tess, &captain, change(None)).await.avatar_url, None);
}

pub async fn personas_go_with_their_account(world: World) {
    let store = &world.store;
    let (ines, _, at) = world.pair().await;
    let tess = world.user("theo").await;
    store.add_member(&at.id, &ines.id, &tess.id).await.unwrap();
    let captain = make(&world, &tess, NewPersona { is_default: true, ..new(&world, "Captain") }).await;
    store.choose_persona(&at.id, &tess.id, Some(&captain.id)).await.unwrap();
    make(&world, &ines, new(&world, "Queen")).await;
    store.delete_user(&tess.id).await.unwrap();
    assert!(store.personas(&tess.id).await.unwrap().is_empty());
    let left = store.speakers(&at.id).await.unwrap();
    assert_eq!(left.iter().map(|one| &one.user).collect::<Vec<_>>(), [&ines.id]);
    assert_eq!(store.personas(&ines.id).await.unwrap().len(), 1);
}
