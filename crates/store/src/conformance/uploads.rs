//! Uploads: due until one living server has processed them, seen by those who may, and deleted when nothing shows them.

use super::World;
use super::world::LEASE;
use crate::{
    AccountChange, Change, ClaimedUpload, DeleteUpload, LeftOver, NewUpload, Part, Sent, UploadBytes, UploadClaim,
    UploadEnd,
};
use aim_domain::{
    Conversation, Incarnation, Kind, MediaKind, Message, Upload, UploadDetails, UploadId, UploadStatus, UploadVariant,
    User, Visibility,
};
use futures::future::join_all;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn new_upload(world: &World, owner: &User, kind: MediaKind) -> NewUpload {
    world.tick();
    let mime_type = match kind {
        MediaKind::Image => "image/png",
        MediaKind::Audio => "audio/ogg",
    };
    NewUpload { id: world.ambient.id(), owner: owner.id.clone(), kind, mime_type: mime_type.into(), size: 4_000 }
}

pub(super) async fn upload(world: &World, owner: &User) -> Upload {
    world.store.create_upload(new_upload(world, owner, MediaKind::Image), None).await.unwrap()
}

pub(super) async fn claim(world: &World, id: &UploadId, holder: &Incarnation) -> UploadClaim {
    match world.store.claim_upload(id, holder).await.unwrap() {
        ClaimedUpload::Claimed(claim) => *claim,
        other => panic!("{other:?}"),
    }
}

pub(super) fn found() -> UploadEnd {
    let variant = |name: &str, width| UploadVariant {
        name: name.into(),
        mime_type: "image/webp".into(),
        size: 900,
        width: Some(width),
        height: Some(200),
    };
    let details =
        UploadDetails { width: Some(800), height: Some(200), blur_hash: Some("L00".into()), ..Default::default() };
    UploadEnd::Ready { variants: vec![variant("thumb", 200), variant("display", 800)], details }
}

/// An upload that is ready.
pub(super) async fn ready(world: &World, owner: &User) -> Upload {
    let (upload, server) = (upload(world, owner).await, world.server().await);
    let claim = claim(world, &upload.id, &server).await;
    world.store.end_upload(&claim, found()).await.unwrap().unwrap()
}

/// Shows it in a conversation of its owner's.
async fn show(world: &World, conversation: &Conversation, upload: &Upload) -> Message {
    let mut send = world.message(conversation, &upload.owner, "look");
    (send.kind, send.media) = (Kind::Image, Some(upload.media()));
    match world.store.send_message(send).await.unwrap() {
        Sent::Accepted { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

async fn due(world: &World) -> Vec<(UploadId, u32)> {
    let due = world.store.due_uploads(None, 10).await.unwrap();
    due.into_iter().map(|due| (due.id, due.attempts)).collect()
}

pub async fn an_upload_is_made_once_and_due(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let cursor = store.last_change().await.unwrap();
    let new = new_upload(&world, &tess, MediaKind::Audio);
    let made = store.create_upload(new.clone(), None).await.unwrap();
    assert_eq!((made.kind, made.status, made.size), (MediaKind::Audio, UploadStatus::Processing, 4_000));
    assert_eq!((made.created_at, made.variants.len()), (world.now(), 0));
    world.tick();
    assert_eq!(store.create_upload(new, None).await.unwrap(), made);
    assert_eq!(store.upload(&made.id).await.unwrap().as_ref(), Some(&made));
    let told = store.changes(cursor, 10).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1, Change::Upload { id: made.id.clone(), user: tess.id.clone() });
    let later = upload(&world, &tess).await;
    assert_eq!(due(&world).await, [(made.id.clone(), 0), (later.id.clone(), 0)]);
    let rest = store.due_uploads(Some(&made.id), 10).await.unwrap();
    assert_eq!(rest.into_iter().map(|due| due.id).collect::<Vec<_>>(), [later.id]);
}

pub async fn one_living_server_processes_an_upload(world: World) {
    let store = &world.store;
    let tess = world.user("tess").await;
    let made = upload(&world, &tess).await;
    let another = world.another().await;
    let servers = [world.server().await, world.server().await];
    let claims = join_all((0..8).map(|n| {
        let (store, server) = (if n % 2 == 0 { store } else { &another }, &servers[n % 2]);
        let id = &made.id;
        async move { store.claim_upload(id, server).await.unwrap() }
    }))
    .await;
    let holders: std::collections::HashSet<_> = claims
        .iter()
        .filter_map(|claim| match claim {
            ClaimedUpload::Claimed(claim) => Some(claim.holder.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(holders.len(), 1, "{claims:?}");
    assert!(due(&world).await.is_empty(), "somebody has it");
    let (holder, other) =
        if holders.contains(&servers[0]) { (&servers[0], &servers[1]) } else { (&servers[1], &servers[0]) };
    assert_eq!(store.claim_upload(&made.id, other).await.unwrap(), ClaimedUpload::Held);

    world.clock.advance(LEASE / 2);
    store.renew_lease(other, LEASE, true).await.unwrap();
    world.clock.advance(LEASE / 2);
    assert_eq!(due(&world).await.len(), 1, "its holder is dead");
    assert_eq!(store.claim_upload(&made.id, holder).await.unwrap(), ClaimedUpload::NoLease);
    let claim = claim(&world, &made.id, other).await;
    assert!(claim.attempt >= 2);
    store.end_lease(other).await.unwrap();
    assert_eq!(due(&world).await, [(made.id, claim.attempt)], "it ended with its lease");
}

pub async fn a_claim_that_was_lost_ends_nothing(world: World) {
    let store = &world.store;
    let tess = world.user("tess").await;
    let (made, old) = (upload(&world, &tess).await, world.server().await);
    let lost = claim(&world, &made.id, &old).await;
    let again = claim(&world, &made.id, &old).await;
    assert_eq!((lost.attempt, again.attempt), (1, 2));
    assert_eq!(store.end_upload(&lost, found()).await.unwrap(), None, "its holder claimed it anew");
    world.clock.advance(LEASE);
    let young = world.server().await;
    let claim = claim(&world, &made.id, &young).await;
    assert_eq!(store.end_upload(&again, found()).await.unwrap(), None);
    assert_eq!(store.end_upload(&again, UploadEnd::Due).await.unwrap(), None);
    assert_eq!(store.upload(&made.id).await.unwrap().unwrap().status, UploadStatus::Processing);
    assert!(store.end_upload(&claim, UploadEnd::Due).await.unwrap().is_some());
    assert_eq!(due(&world).await, [(made.id, 3)], "given back");
}

pub async fn an_ended_upload_says_what_was_found(world: World) {
    let store = &world.store;
    let tess = world.user("tess").await;
    let server = world.server().await;
    let (good, bad) = (upload(&world, &tess).await, upload(&world, &tess).await);
    let cursor = store.last_change().await.unwrap();
    let first = claim(&world, &good.id, &server).await;
    assert_eq!(store.last_change().await.unwrap(), cursor, "who has it is nobody's business");
    let ended = store.end_upload(&first, found()).await.unwrap().unwrap();
    assert_eq!(ended.status, UploadStatus::Ready);
    assert_eq!(UploadEnd::Ready { variants: ended.variants.clone(), details: ended.details.clone() }, found());
    assert!(ended.version > good.version);
    assert_eq!(store.last_change().await.unwrap(), cursor + 1);
    assert_eq!(store.end_upload(&first, UploadEnd::Failed("late".into())).await.unwrap(), None);
    assert_eq!(store.claim_upload(&good.id, &server).await.unwrap(), ClaimedUpload::NotDue(Box::new(ended.clone())));
    assert_eq!(store.upload(&good.id).await.unwrap(), Some(ended));

    let second = claim(&world, &bad.id, &server).await;
    let failed = store.end_upload(&second, UploadEnd::Failed("It is cut off.\0".into())).await.unwrap().unwrap();
    assert_eq!(failed.status, UploadStatus::Failed);
    assert!(failed.details.error.unwrap().starts_with("It is cut off."));
    assert!(due(&world).await.is_empty());
    let nobody = UploadId::parse("nobody").unwrap();
    assert_eq!(store.claim_upload(&nobody, &server).await.unwrap(), ClaimedUpload::NotFound);
}

pub async fn an_upload_is_seen_by_its_owner_and_by_members_of_its_conversation(world: World) {
    let store = &world.store;
    let (tess, _, conversation) = world.pair().await;
    let (ines, zoe) = (world.user("ines").await, world.user("zoe").await);
    let picture = ready(&world, &tess).await;
    let sees = async |user: &User| store.visible_upload(&picture.id, Some(&user.id)).await.unwrap().is_some();
    store.add_member(&conversation.id, &tess.id, &ines.id).await.unwrap();
    assert!(sees(&tess).await && !sees(&ines).await && !sees(&zoe).await);
    show(&world, &conversation, &picture).await;
    assert!(sees(&tess).await && sees(&ines).await && !sees(&zoe).await);
    assert!(store.visible_upload(&picture.id, None).await.unwrap().is_none());
    store.remove_member(&conversation.id, &tess.id, &ines.id).await.unwrap();
    assert!(!sees(&ines).await, "who left sees no more");
    store.delete_conversation(&conversation.id, &tess.id).await.unwrap();
    assert!(sees(&tess).await);
}

pub async fn a_portrait_of_its_owners_is_seen_by_everyone(world: World) {
    let store = &world.store;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let (of_profile, of_character, taken) =
        (ready(&world, &tess).await, ready(&world, &tess).await, ready(&world, &tess).await);
    let url = |upload: &Upload| Some(format!("/media/{}/thumb", upload.id));
    let change = |upload| AccountChange { avatar_url: Some(url(upload)), ..Default::default() };
    store.change_user(&tess.id, change(&of_profile)).await.unwrap();
    let mut character = world.new_character("Mara", Some(&tess));
    (character.avatar_url, character.visibility) = (url(&of_character), Visibility::Private);
    world.save(character).await;
    // Whoever names another's upload as their own picture lets nobody see it.
    store.change_user(&ines.id, change(&taken)).await.unwrap();
    for (upload, public) in [(&of_profile, true), (&of_character, true), (&taken, false)] {
        assert_eq!(store.visible_upload(&upload.id, None).await.unwrap().is_some(), public);
        assert_eq!(store.visible_upload(&upload.id, Some(&ines.id)).await.unwrap().is_some(), public);
    }
    assert_eq!(store.delete_upload(&of_profile.id, Some(&tess.id)).await.unwrap(), DeleteUpload::InUse);
    assert_eq!(store.delete_upload(&of_character.id, Some(&tess.id)).await.unwrap(), DeleteUpload::InUse);
}

pub async fn what_is_shown_is_not_deleted(world: World) {
    let store = &world.store;
    let (tess, _, conversation) = world.pair().await;
    let ines = world.user("ines").await;
    let (shown, unused) = (ready(&world, &tess).await, ready(&world, &tess).await);
    show(&world, &conversation, &shown).await;
    assert_eq!(store.delete_upload(&shown.id, Some(&tess.id)).await.unwrap(), DeleteUpload::InUse);
    assert_eq!(store.delete_upload(&unused.id, Some(&ines.id)).await.unwrap(), DeleteUpload::NotFound);
    let cursor = store.last_change().await.unwrap();
    assert_eq!(store.delete_upload(&unused.id, Some(&tess.id)).await.unwrap(), DeleteUpload::Deleted);
    assert_eq!(store.last_change().await.unwrap(), cursor + 1);
    assert_eq!(store.delete_upload(&unused.id, Some(&tess.id)).await.unwrap(), DeleteUpload::NotFound);
    assert!(store.visible_upload(&unused.id, Some(&tess.id)).await.unwrap().is_none());
    assert_eq!(store.deleted_uploads(10).await.unwrap(), std::slice::from_ref(&unused.id), "until its bytes are gone");
    store.forget_upload(&unused.id).await.unwrap();
    store.forget_upload(&shown.id).await.unwrap();
    assert!(store.deleted_uploads(10).await.unwrap().is_empty());
    assert!(store.upload(&shown.id).await.unwrap().is_some(), "it was not deleted");
}

pub async fn orphans_are_old_and_shown_nowhere(world: World) {
    let store = &world.store;
    let (tess, _, conversation) = world.pair().await;
    let (shown, unused, later) = (ready(&world, &tess).await, ready(&world, &tess).await, ready(&world, &tess).await);
    let under_way = upload(&world, &tess).await;
    show(&world, &conversation, &shown).await;
    world.clock.advance(DAY);
    let young = ready(&world, &tess).await;
    let orphans = store.orphaned_uploads(DAY / 2, None, 10).await.unwrap();
    assert_eq!(orphans, [unused.id.clone(), later.id.clone()], "neither {young:?} nor {under_way:?}");
    assert_eq!(store.orphaned_uploads(DAY / 2, None, 1).await.unwrap(), std::slice::from_ref(&unused.id));
    assert_eq!(store.orphaned_uploads(DAY / 2, Some(&unused.id), 10).await.unwrap(), [later.id]);
    assert_eq!(store.delete_upload(&shown.id, None).await.unwrap(), DeleteUpload::InUse);
    assert_eq!(store.delete_upload(&unused.id, None).await.unwrap(), DeleteUpload::Deleted);
}

pub async fn an_erased_accounts_uploads_are_deleted(world: World) {
    let store = &world.store;
    let (ines, _, conversation) = world.pair().await;
    let tess = world.user("theo").await;
    store.add_member(&conversation.id, &ines.id, &tess.id).await.unwrap();
    let (shown, under_way) = (ready(&world, &tess).await, upload(&world, &tess).await);
    show(&world, &conversation, &shown).await;
    let parts = store.create_resumable(&world.ambient.id(), &tess.id, 100, 5).await.unwrap().unwrap();
    let cursor = store.last_change().await.unwrap();
    store.delete_user(&tess.id).await.unwrap();
    assert!(store.visible_upload(&shown.id, Some(&ines.id)).await.unwrap().is_none());
    assert!(due(&world).await.is_empty());
    assert_eq!(store.deleted_uploads(10).await.unwrap(), [shown.id.clone(), under_way.id]);
    let expired = store.expired_resumables(DAY, 10).await.unwrap();
    assert_eq!(expired.into_iter().map(|one| one.id).collect::<Vec<_>>(), [parts.id]);
    let told = store.changes(cursor, 50).await.unwrap();
    let change = Change::Upload { id: shown.id, user: tess.id };
    assert!(told.iter().any(|(_, told)| *told == change), "{told:?}");
}

fn part(key: &str, size: u64) -> Part {
    Part { key: key.into(), size }
}

pub async fn parts_are_added_in_order_and_once(world: World) {
    let store = &world.store;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let id: UploadId = world.ambient.id();
    let made = store.create_resumable(&id, &tess.id, 100, 5).await.unwrap().unwrap();
    assert_eq!((made.length, made.received, made.created_at), (100, 0, world.now()));
    assert_eq!(store.create_resumable(&id, &tess.id, 100, 5).await.unwrap().as_ref(), Some(&made));
    assert_eq!(store.add_part(&id, &tess.id, 10, &part("a", 10)).await.unwrap(), None, "it begins elsewhere");
    assert_eq!(store.add_part(&id, &ines.id, 0, &part("a", 10)).await.unwrap(), None, "it is another's");
    let parts = ["a", "b", "c", "d"].map(|key| part(key, 60));
    let another = world.another().await;
    let added = join_all(parts.iter().enumerate().map(|(n, part)| {
        let (store, id, owner) = (if n % 2 == 0 { store } else { &another }, &id, &tess.id);
        async move { store.add_part(id, owner, 0, part).await.unwrap() }
    }))
    .await;
    assert_eq!(added.iter().flatten().count(), 1, "one of those that came at once");
    let now = store.resumable(&id).await.unwrap().unwrap();
    assert_eq!((now.received, now.parts.len()), (60, 1));
    assert_eq!(store.add_part(&id, &tess.id, 60, &part("e", 41)).await.unwrap(), None, "longer than was said");
    let whole = store.add_part(&id, &tess.id, 60, &part("e", 40)).await.unwrap().unwrap();
    assert_eq!((whole.received, whole.parts.last()), (100, Some(&part("e", 40))));
    let new = NewUpload { id: id.clone(), ..new_upload(&world, &tess, MediaKind::Image) };
    store.create_upload(new, Some(&id)).await.unwrap();
    assert_eq!(store.resumable(&id).await.unwrap(), None, "it is whole, and an upload by now");
}

pub async fn a_user_sends_so_many_in_parts_at_a_time(world: World) {
    let store = &world.store;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let ids: Vec<UploadId> = (0..4).map(|_| world.ambient.id()).collect();
    let made = join_all(ids.iter().map(|id| store.create_resumable(id, &tess.id, 10, 3))).await;
    assert_eq!(made.iter().filter(|made| made.as_ref().unwrap().is_some()).count(), 3);
    assert!(store.create_resumable(&world.ambient.id(), &ines.id, 10, 3).await.unwrap().is_some());
    let first = made.into_iter().find_map(Result::unwrap).unwrap();
    assert!(store.delete_resumable(&first.id).await.unwrap());
    assert!(!store.delete_resumable(&first.id).await.unwrap());
    assert!(store.create_resumable(&world.ambient.id(), &tess.id, 10, 3).await.unwrap().is_some());
}

pub async fn parts_that_nobody_goes_on_with_expire(world: World) {
    let store = &world.store;
    let tess = world.user("tess").await;
    let old: UploadId = world.ambient.id();
    store.create_resumable(&old, &tess.id, 10, 3).await.unwrap();
    store.add_part(&old, &tess.id, 0, &part("a", 4)).await.unwrap();
    world.clock.advance(DAY + Duration::from_secs(1));
    store.create_resumable(&world.ambient.id(), &tess.id, 10, 3).await.unwrap();
    let expired = store.expired_resumables(DAY, 10).await.unwrap();
    assert_eq!(expired.len(), 1);
    assert_eq!((&expired[0].id, &expired[0].parts), (&old, &vec![part("a", 4)]));
}

pub async fn what_is_left_over_is_counted_and_what_has_no_row_is_named(world: World) {
    let store = &world.store;
    let tess = world.user("tess").await;
    let (kept, deleted) = (ready(&world, &tess).await.id, ready(&world, &tess).await.id);
    assert_eq!(store.delete_upload(&deleted, None).await.unwrap(), DeleteUpload::Deleted);
    let (in_parts, nobodys): (UploadId, UploadId) = (world.ambient.id(), world.ambient.id());
    store.create_resumable(&in_parts, &tess.id, 10, 3).await.unwrap();
    assert_eq!(store.left_over(DAY).await.unwrap(), LeftOver { deleted: 1, expired: 0 });
    world.clock.advance(DAY * 2);
    assert_eq!(store.left_over(DAY).await.unwrap(), LeftOver { deleted: 1, expired: 1 });

    let ids = [kept.clone(), deleted.clone(), in_parts, nobodys.clone()];
    let unknown = async |of| {
        let mut unknown = store.unknown_uploads(&ids, of).await.unwrap();
        unknown.sort();
        unknown
    };
    assert_eq!(unknown(UploadBytes::Whole).await, std::slice::from_ref(&nobodys), "it may be put together just now");
    assert_eq!(unknown(UploadBytes::Parts).await, [kept, deleted, nobodys], "what is whole needs no parts");
    assert_eq!(store.unknown_uploads(&[], UploadBytes::Whole).await.unwrap(), []);
}

pub async fn a_secret_is_the_same_for_every_server(world: World) {
    let another = world.another().await;
    let (one, other) = tokio::join!(world.store.secret("media", "fresh-1"), another.secret("media", "fresh-2"));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one, other);
    assert!(one.starts_with("fresh-"));
    assert_eq!(world.store.secret("media", "fresh-3").await.unwrap(), one);
    assert_eq!(world.store.secret("another", "fresh-3").await.unwrap(), "fresh-3");
}
