//! Galleries: uploads that a character shows, in an order that its owner chooses, to those who may see the character.

use super::World;
use super::uploads::{claim, found, ready, upload};
use crate::{
    AddPicture, Change, CreateUser, Deed, DeleteUpload, Galleries, NewPicture, NewUser, PictureChange, UploadEnd,
};
use aim_domain::{Character, PictureWords, Role, Upload, UploadId, User, Visibility};
use futures::future::join_all;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const MOST: u32 = 5;

fn new_picture(character: &Character, upload: &Upload, expression: Option<&str>) -> NewPicture {
    let words = PictureWords { caption: "At the light.".into(), expression: expression.map(str::to_owned) };
    NewPicture { character: character.id.clone(), upload: upload.id.clone(), owner: upload.owner.clone(), words }
}

async fn owned(world: &World, owner: &User, visibility: Visibility) -> Character {
    let character = world.new_character("Mara", Some(owner));
    world.save(Character { visibility, ..character }).await
}

async fn ids(store: &(impl Galleries + ?Sized), character: &Character) -> Vec<UploadId> {
    let gallery = store.gallery(&character.id).await.unwrap().unwrap();
    let places: Vec<u32> = gallery.items.iter().map(|item| item.position).collect();
    assert_eq!(places, (0..places.len() as u32).collect::<Vec<_>>());
    gallery.items.into_iter().map(|item| item.id).collect()
}

pub async fn a_picture_is_added_once_and_told(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let mara = owned(&world, &tess, Visibility::Private).await;
    let before = store.gallery(&mara.id).await.unwrap().unwrap();
    assert!(before.items.is_empty());
    let picture = ready(&world, &tess).await;
    let cursor = store.last_change().await.unwrap();
    for _ in 0..2 {
        let added = store.add_picture(new_picture(&mara, &picture, Some("joy")), MOST).await.unwrap();
        assert_eq!(added, AddPicture::Added);
    }
    let told: Vec<_> = store.changes(cursor, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    assert_eq!(told, [Change::Gallery { id: mara.id.clone() }]);
    let gallery = store.gallery(&mara.id).await.unwrap().unwrap();
    assert!(gallery.version > before.version);
    let [item] = gallery.items.as_slice() else { panic!("{gallery:?}") };
    assert_eq!((item.caption.as_str(), item.expression.as_deref()), ("At the light.", Some("joy")));
    assert_eq!((item.width, item.blur_hash.as_deref(), item.variants.len()), (Some(800), Some("L00"), 2));
    assert_eq!((item.created_at, item.thumbnail_url.clone()), (world.now(), format!("/media/{}/thumb", picture.id)));
    let nobody = world.new_character("Nobody", None);
    assert_eq!(store.gallery(&nobody.id).await.unwrap(), None);
    assert_eq!(store.add_picture(new_picture(&nobody, &picture, None), MOST).await.unwrap(), AddPicture::NotFound);
}

pub async fn a_picture_is_ones_own_and_there_are_so_many(world: World) {
    let (store, tess, ines) = (&world.store, world.user("tess").await, world.user("ines").await);
    let mara = owned(&world, &tess, Visibility::Private).await;
    let theirs = ready(&world, &ines).await;
    let stolen = NewPicture { owner: tess.id.clone(), ..new_picture(&mara, &theirs, None) };
    assert_eq!(store.add_picture(stolen, MOST).await.unwrap(), AddPicture::NoUpload);
    let another = world.another().await;
    let mut pictures = Vec::new();
    for _ in 0..8 {
        pictures.push(ready(&world, &tess).await);
    }
    let added = join_all(pictures.iter().enumerate().map(|(n, picture)| {
        let (store, new) = (if n % 2 == 0 { store } else { &another }, new_picture(&mara, picture, None));
        async move { store.add_picture(new, MOST).await.unwrap() }
    }))
    .await;
    assert_eq!(added.iter().filter(|added| **added == AddPicture::Added).count(), MOST as usize, "{added:?}");
    let shown = ids(&**store, &mara).await;
    assert_eq!(shown.len(), MOST as usize);
    let again = pictures.iter().find(|picture| picture.id == shown[0]).unwrap();
    assert_eq!(store.add_picture(new_picture(&mara, again, None), MOST).await.unwrap(), AddPicture::Added);
}

pub async fn pictures_are_changed_moved_and_removed(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let mara = owned(&world, &tess, Visibility::Private).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let picture = ready(&world, &tess).await;
        store.add_picture(new_picture(&mara, &picture, Some("joy")), MOST).await.unwrap();
        all.push(picture.id);
    }
    let [a, b, c] = all.as_slice() else { panic!() };
    // One that is not shown yet does not count as a place.
    let hidden = upload(&world, &tess).await;
    store.add_picture(new_picture(&mara, &hidden, None), MOST).await.unwrap();
    let to = async |id: &UploadId, place| {
        let change = PictureChange { position: Some(place), ..Default::default() };
        assert!(store.change_picture(&mara.id, id, change).await.unwrap());
        ids(&**store, &mara).await
    };
    assert_eq!(to(c, 0).await, [c.clone(), a.clone(), b.clone()]);
    assert_eq!(to(c, 1).await, [a.clone(), c.clone(), b.clone()]);
    assert_eq!(to(a, 99).await, [c.clone(), b.clone(), a.clone()]);
    let change = PictureChange { caption: Some("Home.".into()), expression: Some(None), position: None };
    let cursor = store.last_change().await.unwrap();
    assert!(store.change_picture(&mara.id, b, change).await.unwrap());
    assert_eq!(store.last_change().await.unwrap(), cursor + 1);
    let item = store.gallery(&mara.id).await.unwrap().unwrap().items.swap_remove(1);
    assert_eq!((item.caption.as_str(), item.expression), ("Home.", None));
    let change = PictureChange { expression: Some(Some("anger".into())), ..Default::default() };
    assert!(store.change_picture(&mara.id, b, change).await.unwrap());
    let item = store.gallery(&mara.id).await.unwrap().unwrap().items.swap_remove(1);
    assert_eq!((item.caption.as_str(), item.expression.as_deref()), ("Home.", Some("anger")));
    assert!(store.remove_picture(&mara.id, b).await.unwrap());
    assert!(!store.remove_picture(&mara.id, b).await.unwrap());
    assert!(!store.change_picture(&mara.id, b, PictureChange::default()).await.unwrap());
    assert_eq!(ids(&**store, &mara).await, [c.clone(), a.clone()]);
    assert!(store.upload(b).await.unwrap().is_some(), "its upload stays");
}

pub async fn a_picture_is_seen_by_those_who_see_its_character(world: World) {
    let (store, tess, ines) = (&world.store, world.user("tess").await, world.user("ines").await);
    let mut mara = owned(&world, &tess, Visibility::Private).await;
    let picture = ready(&world, &tess).await;
    let sees = async |user: Option<&User>| {
        store.visible_upload(&picture.id, user.map(|user| &user.id)).await.unwrap().is_some()
    };
    store.add_picture(new_picture(&mara, &picture, None), MOST).await.unwrap();
    assert!(sees(Some(&tess)).await && !sees(Some(&ines)).await && !sees(None).await);
    (mara.visibility, mara.revision) = (Visibility::Public, mara.revision + 1);
    store.update_character(mara.clone()).await.unwrap();
    assert!(sees(Some(&ines)).await, "everyone who is signed in");
    assert!(!sees(None).await, "and nobody else");
    store.remove_picture(&mara.id, &picture.id).await.unwrap();
    assert!(sees(Some(&tess)).await && !sees(Some(&ines)).await);
}

pub async fn pictures_of_what_was_taken_down_are_seen_by_those_who_talk_with_it(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let (ines, guest, zoe) = (world.user("ines").await, world.user("guest").await, world.user("zoe").await);
    let ada = store.create_user(NewUser { role: Role::Admin, ..world.new_user("ada") }).await.unwrap();
    let CreateUser::Created(ada) = ada else { panic!() };
    let (picture, portrait) = (ready(&world, &tess).await, ready(&world, &tess).await);
    let mara = world.new_character("Mara", Some(&tess));
    let mara = world.save(Character { avatar_url: Some(format!("/media/{}/thumb", portrait.id)), ..mara }).await;
    store.add_picture(new_picture(&mara, &picture, None), MOST).await.unwrap();
    let talk = world.conversation(&ines, &mara).await;
    store.add_member(&talk.id, &ines.id, &guest.id).await.unwrap();
    let seen_by = async |upload: &Upload| {
        let mut seeing = Vec::new();
        for who in [Some(&tess), Some(&ines), Some(&guest), Some(&zoe), Some(&ada), None] {
            let viewer = who.map(|who| &who.id);
            if store.visible_upload(&upload.id, viewer).await.unwrap().is_some() {
                seeing.push(who.map_or("nobody", |who| who.username.as_str()));
            }
        }
        seeing.join(" ")
    };
    let deed = || Deed { id: world.ambient.id(), operator: None, reason: "As the test wants.".into() };
    let (up, down) = ("tess ines guest zoe ada", "tess ines guest ada");
    assert_eq!((seen_by(&picture).await, seen_by(&portrait).await), (up.into(), format!("{up} nobody")));
    store.set_unlisted(&mara.id, true, &deed()).await.unwrap().unwrap();
    assert_eq!((seen_by(&picture).await, seen_by(&portrait).await), (down.into(), down.into()));
    store.set_unlisted(&mara.id, false, &deed()).await.unwrap().unwrap();
    assert_eq!((seen_by(&picture).await, seen_by(&portrait).await), (up.into(), format!("{up} nobody")));
    store.suspend(&tess.id, Some(world.now().plus(DAY)), &deed()).await.unwrap();
    assert_eq!((seen_by(&picture).await, seen_by(&portrait).await), (down.into(), down.into()));
    assert!(store.delete_conversation(&talk.id, &ines.id).await.unwrap());
    assert_eq!(seen_by(&picture).await, "tess ada", "nobody talks with it any more");
    world.clock.advance(DAY);
    assert_eq!(seen_by(&picture).await, up, "a suspension ends by its time alone");
}

pub async fn faces_of_a_private_character_are_seen_by_those_who_talk_with_it(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let (guest, zoe) = (world.user("guest").await, world.user("zoe").await);
    let mara = owned(&world, &tess, Visibility::Private).await;
    let (face, sketch) = (ready(&world, &tess).await, ready(&world, &tess).await);
    store.add_picture(new_picture(&mara, &face, Some("joy")), MOST).await.unwrap();
    store.add_picture(new_picture(&mara, &sketch, None), MOST).await.unwrap();
    let sees =
        async |who: &User, upload: &Upload| store.visible_upload(&upload.id, Some(&who.id)).await.unwrap().is_some();
    assert!(!sees(&guest, &face).await);
    let talk = world.conversation(&tess, &mara).await;
    store.add_member(&talk.id, &tess.id, &guest.id).await.unwrap();
    assert!(sees(&guest, &face).await && !sees(&guest, &sketch).await && !sees(&zoe, &face).await);
    assert!(sees(&tess, &face).await && sees(&tess, &sketch).await);
    store.remove_member(&talk.id, &tess.id, &guest.id).await.unwrap();
    assert!(!sees(&guest, &face).await);
}

pub async fn what_a_gallery_shows_is_no_orphan_until_its_character_is_gone(world: World) {
    let (store, tess, ines) = (&world.store, world.user("tess").await, world.user("ines").await);
    let mara = owned(&world, &tess, Visibility::Public).await;
    let picture = ready(&world, &tess).await;
    store.add_picture(new_picture(&mara, &picture, None), MOST).await.unwrap();
    world.clock.advance(2 * DAY);
    assert!(store.orphaned_uploads(DAY, None, 10).await.unwrap().is_empty());
    assert_eq!(store.delete_upload(&picture.id, Some(&tess.id)).await.unwrap(), DeleteUpload::InUse);
    let cursor = store.last_change().await.unwrap();
    store.delete_character(&mara.id).await.unwrap();
    let told = store.changes(cursor, 10).await.unwrap();
    assert!(told.iter().any(|(_, change)| *change == Change::Gallery { id: mara.id.clone() }), "{told:?}");
    assert_eq!(store.gallery(&mara.id).await.unwrap(), None);
    assert!(store.visible_upload(&picture.id, Some(&ines.id)).await.unwrap().is_none());
    assert_eq!(store.orphaned_uploads(DAY, None, 10).await.unwrap(), std::slice::from_ref(&picture.id));
    assert_eq!(store.delete_upload(&picture.id, None).await.unwrap(), DeleteUpload::Deleted);
}

pub async fn a_picture_is_shown_when_it_is_ready_and_gone_when_it_failed(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let server = world.server().await;
    let mara = owned(&world, &tess, Visibility::Private).await;
    let (good, bad) = (upload(&world, &tess).await, upload(&world, &tess).await);
    for picture in [&good, &bad] {
        assert_eq!(store.add_picture(new_picture(&mara, picture, None), 2).await.unwrap(), AddPicture::Added);
    }
    let before = store.gallery(&mara.id).await.unwrap().unwrap();
    assert!(before.items.is_empty());
    let cursor = store.last_change().await.unwrap();
    let end = async |upload: &Upload, end| {
        let claim = claim(&world, &upload.id, &server).await;
        store.end_upload(&claim, end).await.unwrap().unwrap()
    };
    end(&good, found()).await;
    let change = Change::Gallery { id: mara.id.clone() };
    assert!(store.changes(cursor, 10).await.unwrap().iter().any(|(_, told)| *told == change));
    assert!(store.gallery(&mara.id).await.unwrap().unwrap().version > before.version);
    end(&bad, UploadEnd::Failed("It is cut off.".into())).await;
    assert_eq!(ids(&**store, &mara).await, [good.id]);
    let another = ready(&world, &tess).await;
    let added = store.add_picture(new_picture(&mara, &another, None), 2).await.unwrap();
    assert_eq!(added, AddPicture::Added, "what failed takes no place");
    assert_eq!(store.add_picture(new_picture(&mara, &bad, None), 9).await.unwrap(), AddPicture::NoUpload);
}

pub async fn an_erased_accounts_pictures_are_gone_from_galleries(world: World) {
    let (store, tess, ines) = (&world.store, world.user("tess").await, world.user("ines").await);
    let mara = owned(&world, &tess, Visibility::Public).await;
    // So that the character stays.
    world.conversation(&ines, &mara).await;
    let picture = ready(&world, &tess).await;
    store.add_picture(new_picture(&mara, &picture, None), MOST).await.unwrap();
    let cursor = store.last_change().await.unwrap();
    store.delete_user(&tess.id).await.unwrap();
    assert!(ids(&**store, &mara).await.is_empty());
    let told = store.changes(cursor, 50).await.unwrap();
    assert!(told.iter().any(|(_, change)| *change == Change::Gallery { id: mara.id.clone() }), "{told:?}");
    assert_eq!(store.deleted_uploads(10).await.unwrap(), [picture.id]);
}
