//! Blocks, reports, and what operators do about them.

use super::World;
use super::world::{LEASE, MONTH};
use crate::words::Sought;
use crate::{
    AddMember, Blocked, Case, Change, CharacterQuery, Claimed, Deed, EndReply, Ended, Filed, NewCase, SearchQuery,
    Sort, Stale, Suspended,
};
use aim_domain::{
    Action, CaseState, Character, CharacterId, ReplyState, Reported, Role, Timestamp, User, UserId, Visibility, Wrong,
};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn deed(world: &World, by: Option<&User>, reason: &str) -> Deed {
    world.tick();
    Deed { id: world.ambient.id(), operator: by.map(|by| by.id.clone()), reason: reason.into() }
}

async fn block(world: &World, one: &User, other: &User) {
    world.tick();
    assert_eq!(world.store.block(&one.id, &other.id, 1_000).await.unwrap(), Blocked::Done);
}

/// The ids in every list, in search, and the tags that `viewer` sees; each way shows the same.
async fn seen(world: &World, viewer: &User) -> Vec<CharacterId> {
    let mut all: Option<Vec<CharacterId>> = None;
    for sort in [Sort::New, Sort::Popular, Sort::Name] {
        let query = CharacterQuery {
            viewer: viewer.id.clone(),
            text: None,
            tag: None,
            among: None,
            sort,
            cursor: None,
            limit: 100,
        };
        for query in [query.clone(), CharacterQuery { tag: Some("sea".into()), ..query }] {
            let page = world.store.characters(query).await.unwrap();
            let mut ids: Vec<_> = page.items.into_iter().map(|one| one.id).collect();
            ids.sort();
            assert_eq!(all.get_or_insert(ids.clone()), &ids, "{sort:?}");
        }
    }
    let sought = Sought::parse("lighthouse").unwrap();
    let query = SearchQuery { viewer: viewer.id.clone(), sought, conversation: None, limit: 50 };
    let mut found: Vec<_> =
        world.store.search_characters(&query).await.unwrap().into_iter().map(|one| one.character.id).collect();
    found.sort();
    let all = all.unwrap();
    assert_eq!(found, all, "search");
    all
}

async fn tagged(world: &World, viewer: &User) -> u64 {
    let tags = world.store.character_tags(&viewer.id, 10).await.unwrap();
    tags.iter().find(|tag| tag.tag == "sea").map_or(0, |tag| tag.count)
}

async fn of(world: &World, owner: &User, name: &str) -> Character {
    world.save(world.new_character(name, Some(owner))).await
}

pub async fn people_are_blocked_and_heard_of_again(world: World) {
    let (tess, ines, otto) = (world.user("tess").await, world.user("ines").await, world.user("otto").await);
    assert!(world.store.blocks(&tess.id).await.unwrap().is_empty());
    block(&world, &tess, &ines).await;
    let first = world.now();
    block(&world, &tess, &otto).await;
    block(&world, &tess, &ines).await;
    let blocks = world.another().await.blocks(&tess.id).await.unwrap();
    let names: Vec<_> = blocks.iter().map(|block| block.user.username.as_str()).collect();
    assert_eq!(names, ["otto", "ines"], "the last first; twice is once");
    assert_eq!((blocks[1].created_at, &blocks[1].user.display_name), (first, &ines.display_name));
    assert!(world.store.blocks(&ines.id).await.unwrap().is_empty(), "it goes one way");
    for _ in 0..2 {
        world.store.unblock(&tess.id, &ines.id).await.unwrap();
    }
    assert_eq!(world.store.blocks(&tess.id).await.unwrap().len(), 1);
    assert_eq!(world.store.block(&tess.id, &world.ambient.id(), 9).await.unwrap(), Blocked::NoUser);
    assert!(world.store.delete_user(&otto.id).await.unwrap());
    assert!(world.store.blocks(&tess.id).await.unwrap().is_empty());
}

pub async fn somebody_blocks_so_many(world: World) {
    let tess = world.user("tess").await;
    for (name, expected) in [("ann", Blocked::Done), ("ben", Blocked::Done), ("cem", Blocked::TooMany)] {
        let other = world.user(name).await;
        assert_eq!(world.store.block(&tess.id, &other.id, 2).await.unwrap(), expected);
        if expected == Blocked::Done {
            assert_eq!(world.store.block(&tess.id, &other.id, 2).await.unwrap(), Blocked::Done, "one of them again");
        }
    }
}

pub async fn a_blocked_person_brings_nobody_in(world: World) {
    let (owner, _, conversation) = world.pair().await;
    let ines = world.user("ines").await;
    block(&world, &ines, &owner).await;
    let id = &conversation.id;
    assert_eq!(world.store.add_member(id, &owner.id, &ines.id).await.unwrap(), AddMember::NotFound);
    assert!(world.store.conversation(id, &ines.id).await.unwrap().is_none());
    world.store.unblock(&ines.id, &owner.id).await.unwrap();
    block(&world, &owner, &ines).await;
    assert_eq!(
        world.store.add_member(id, &owner.id, &ines.id).await.unwrap(),
        AddMember::Added,
        "whoever blocks may change his mind"
    );
}

pub async fn characters_of_the_blocked_and_the_suspended_are_in_no_list(world: World) {
    let (tess, ines, otto) = (world.user("tess").await, world.user("ines").await, world.user("otto").await);
    let nobodys = world.character("Mara").await.id;
    let hers = of(&world, &ines, "Nora").await.id;
    let own = of(&world, &tess, "Olga").await.id;
    let all = vec![nobodys.clone(), hers.clone(), own.clone()];
    assert_eq!((seen(&world, &tess).await, tagged(&world, &tess).await), (all.clone(), 3));
    block(&world, &tess, &ines).await;
    let without = vec![nobodys, own];
    assert_eq!((seen(&world, &tess).await, tagged(&world, &tess).await), (without.clone(), 2));
    assert_eq!((seen(&world, &otto).await, tagged(&world, &otto).await), (all.clone(), 3), "for others they are there");
    world.store.unblock(&tess.id, &ines.id).await.unwrap();
    assert_eq!(seen(&world, &tess).await, all);

    let until = world.now().plus(DAY);
    let suspended = world.store.suspend(&ines.id, Some(until), &deed(&world, None, "spam")).await.unwrap();
    assert!(matches!(suspended, Suspended::Done { .. }));
    assert_eq!((seen(&world, &otto).await, tagged(&world, &otto).await), (without, 2));
    world.clock.advance(DAY);
    assert_eq!((seen(&world, &otto).await, tagged(&world, &otto).await), (all, 3), "it is over by itself");
}

pub async fn characters_of_a_closed_account_are_in_no_list_until_it_is_had_back(world: World) {
    let (ines, otto) = (world.user("ines").await, world.user("otto").await);
    let nobodys = world.character("Mara").await.id;
    let hers = of(&world, &ines, "Nora").await.id;
    let all = vec![nobodys.clone(), hers];
    assert_eq!((seen(&world, &otto).await, tagged(&world, &otto).await), (all.clone(), 2));
    world.store.close_account(&ines.id, DAY).await.unwrap();
    assert_eq!((seen(&world, &otto).await, tagged(&world, &otto).await), (vec![nobodys], 1));
    assert!(world.store.restore_account(&ines.id).await.unwrap());
    assert_eq!((seen(&world, &otto).await, tagged(&world, &otto).await), (all, 2));
}

pub async fn an_unlisted_character_is_its_owners_alone_in_lists(world: World) {
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let nora = of(&world, &ines, "Nora").await;
    let conversation = world.conversation(&tess, &nora).await;
    let cursor = world.store.last_change().await.unwrap();
    let unlisted = world.store.set_unlisted(&nora.id, true, &deed(&world, None, "a copy")).await.unwrap().unwrap();
    assert!(unlisted.listing.unlisted && unlisted.revision > nora.revision);
    assert_eq!(unlisted.listing.unlisted_reason.as_deref(), Some("a copy"));
    let told = world.store.changes(cursor, 10).await.unwrap();
    assert_eq!(
        told.into_iter().map(|(_, change)| change).collect::<Vec<_>>(),
        [Change::Character { id: nora.id.clone() }]
    );
    assert_eq!((seen(&world, &tess).await, tagged(&world, &tess).await), (vec![], 0));
    assert_eq!((seen(&world, &ines).await, tagged(&world, &ines).await), (vec![nora.id.clone()], 1));
    world.send(&conversation, "we go on").await;

    // Its author may change it, and does not get round it.
    for visibility in [Visibility::Private, Visibility::Public] {
        let now = world.store.character(&nora.id).await.unwrap().unwrap();
        let changed = Character { visibility, revision: now.revision + 1, ..now };
        let crate::SaveCharacter::Saved(saved) = world.store.update_character(changed).await.unwrap() else { panic!() };
        assert!(saved.listing.unlisted);
    }
    assert_eq!(seen(&world, &tess).await, vec![]);
    let listed = world.store.set_unlisted(&nora.id, false, &deed(&world, None, "settled")).await.unwrap().unwrap();
    assert!(!listed.listing.unlisted);
    assert_eq!(seen(&world, &tess).await, vec![nora.id.clone()]);
    let nobody = CharacterId::trusted("nobody");
    assert!(world.store.set_unlisted(&nobody, true, &deed(&world, None, "x")).await.unwrap().is_none());
}

pub async fn whom_somebody_talks_with_is_known(world: World) {
    let (owner, mara, conversation) = world.pair().await;
    let (guest, stranger) = (world.user("guest").await, world.user("stranger").await);
    assert_eq!(world.store.add_member(&conversation.id, &owner.id, &guest.id).await.unwrap(), AddMember::Added);
    for (user, began, takes_part) in [(&owner, true, true), (&guest, false, true), (&stranger, false, false)] {
        assert_eq!(world.store.talks_with(&user.id, &mara.id, false).await.unwrap(), began);
        assert_eq!(world.store.talks_with(&user.id, &mara.id, true).await.unwrap(), takes_part);
    }
}

pub async fn the_suspended_are_signed_out_until_their_time_is_over(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let session = world.session(&tess, "phone").await;
    assert_eq!(store.suspension(&tess.id).await.unwrap(), None);
    let until = world.now().plus(DAY);
    let cursor = store.last_change().await.unwrap();
    let done = store.suspend(&tess.id, Some(until), &deed(&world, None, "spam")).await.unwrap();
    let Suspended::Done { changes, withdrawn } = done else { panic!("{done:?}") };
    assert!(withdrawn.is_empty());
    let told: Vec<_> = store.changes(cursor, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    for change in [
        Change::User { id: tess.id.clone(), username: "tess".into() },
        Change::Session { token: session.token_hash.clone(), id: session.id.clone(), user: tess.id.clone() },
    ] {
        assert!(changes.contains(&change) && told.contains(&change), "{change:?} in {told:?}");
    }
    let suspension = store.suspension(&tess.id).await.unwrap().unwrap();
    assert_eq!((suspension.until, suspension.reason.as_str()), (Some(until), "spam"));
    // A sign-in that was under way gets nowhere.
    let late = world.session(&tess, "late").await;
    assert!(store.member(&late.token_hash).await.unwrap().is_none());
    world.clock.advance(DAY);
    assert!(store.member(&late.token_hash).await.unwrap().is_some());
    assert_eq!(store.suspension(&tess.id).await.unwrap(), None);

    assert!(matches!(store.suspend(&tess.id, None, &deed(&world, None, "x")).await.unwrap(), Suspended::Done { .. }));
    world.clock.advance(12 * MONTH);
    assert_eq!(store.suspension(&tess.id).await.unwrap().unwrap().until, None);
    assert!(store.end_suspension(&tess.id, &deed(&world, None, "sorry")).await.unwrap());
    assert_eq!(store.suspension(&tess.id).await.unwrap(), None);
    let nobody: UserId = world.ambient.id();
    assert!(!store.end_suspension(&nobody, &deed(&world, None, "x")).await.unwrap());
    assert_eq!(store.suspend(&nobody, None, &deed(&world, None, "x")).await.unwrap(), Suspended::NoUser);
}

pub async fn what_the_suspended_wait_for_is_cancelled(world: World) {
    let (owner, mara, conversation) = world.pair().await;
    let guest = world.user("guest").await;
    assert_eq!(world.store.add_member(&conversation.id, &owner.id, &guest.id).await.unwrap(), AddMember::Added);
    let say = async |user: &User, text: &str| {
        let sent = world.store.send_message(world.message(&conversation, &user.id, text)).await.unwrap();
        let crate::Sent::Accepted { message, .. } = sent else { panic!("{sent:?}") };
        message
    };
    let first = say(&guest, "under way").await;
    let theirs = say(&owner, "stays").await;
    let waits = say(&guest, "waits").await;
    let server = world.server().await;
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(claim.message.id, first.id);
    let cursor = world.store.last_change().await.unwrap();
    let done = world.store.suspend(&guest.id, None, &deed(&world, None, "spam")).await.unwrap();
    let Suspended::Done { changes, withdrawn } = done else { panic!("{done:?}") };
    let gone = Change::Withdrawn { conversation: conversation.id.clone() };
    assert!(changes.contains(&gone), "rooms hear of it: {changes:?}");
    let fed = world.store.changes(cursor, 20).await.unwrap();
    assert_eq!(fed.into_iter().map(|(_, change)| change).collect::<Vec<_>>(), changes);
    let cancel = Change::Cancel { conversation: conversation.id.clone(), fence: claim.fence };
    assert!(changes.contains(&cancel), "the reply under way is told to stop: {changes:?}");
    let [one] = withdrawn.as_slice() else { panic!("{withdrawn:?}") };
    assert_eq!((&one.conversation, &one.character), (&conversation.id, &mara.id));
    let cancelled: Vec<_> = one.messages.iter().map(|message| (&message.id, message.reply_state)).collect();
    assert_eq!(cancelled, [(&waits.id, Some(ReplyState::Cancelled))]);
    assert_eq!(world.stored(&conversation, &waits.id).await.reply_state, Some(ReplyState::Cancelled));
    assert_eq!(world.stored(&conversation, &theirs.id).await.reply_state, Some(ReplyState::Due));

    let end = EndReply {
        conversation: conversation.id.clone(),
        fence: claim.fence,
        message: first.id.clone(),
        state: ReplyState::Cancelled,
        tokens: None,
    };
    assert!(matches!(world.store.end_reply(end).await.unwrap(), Ended::Ended(_)));
    let next = world.claimed(&conversation, &server).await;
    assert_eq!(next.message.id, theirs.id, "others are answered");
    world.commit(&next, "Here.").await;
    assert!(matches!(world.claim(&conversation, &server).await, Claimed::NothingDue));
    world.assert_seq_without_a_gap(&conversation).await;
}

pub async fn what_the_suspended_send_late_is_not_taken_in(world: World) {
    let (owner, _, conversation) = world.pair().await;
    let guest = world.user("guest").await;
    world.store.add_member(&conversation.id, &owner.id, &guest.id).await.unwrap();
    let say = async |user: &User, text: &str| {
        world.store.send_message(world.message(&conversation, &user.id, text)).await.unwrap()
    };
    assert!(matches!(say(&guest, "before").await, crate::Sent::Accepted { .. }));
    let asleep = world.server().await;
    let claim = world.claimed(&conversation, &asleep).await;
    world.clock.advance(LEASE * 2);
    let until = Timestamp(world.now().0 + DAY.as_millis() as i64);
    world.store.suspend(&guest.id, Some(until), &deed(&world, None, "spam")).await.unwrap();
    assert_eq!(world.stored(&conversation, &claim.message.id).await.reply_state, Some(ReplyState::Cancelled));

    // Who held it has slept, and wakes too late.
    let end = EndReply {
        conversation: conversation.id.clone(),
        fence: claim.fence,
        message: claim.message.id.clone(),
        state: ReplyState::Failed,
        tokens: None,
    };
    assert_eq!(world.store.end_reply(end).await.unwrap(), Ended::Stale);
    assert_eq!(say(&guest, "late").await, crate::Sent::NotFound);
    let crate::Sent::Accepted { due, .. } = say(&owner, "mine").await else { panic!() };
    assert_eq!(due, 1, "nothing else waits");

    world.clock.advance(DAY * 2);
    assert!(matches!(say(&guest, "again").await, crate::Sent::Accepted { .. }));
}

async fn admin(world: &World, name: &str) -> User {
    let user = world.user(name).await;
    let change = crate::AccountChange { role: Some(Role::Admin), ..Default::default() };
    world.store.change_user(&user.id, change).await.unwrap().unwrap()
}

pub async fn the_last_admin_is_not_suspended(world: World) {
    let store = &world.store;
    let ada = admin(&world, "ada").await;
    assert_eq!(store.suspend(&ada.id, None, &deed(&world, None, "x")).await.unwrap(), Suspended::LastAdmin);
    assert_eq!(store.suspension(&ada.id).await.unwrap(), None);
    let bea = admin(&world, "bea").await;
    assert!(matches!(store.suspend(&ada.id, None, &deed(&world, None, "x")).await.unwrap(), Suspended::Done { .. }));
    let last = store.suspend(&bea.id, None, &deed(&world, None, "x")).await.unwrap();
    assert_eq!(last, Suspended::LastAdmin, "who is suspended is no help");
    assert!(store.end_suspension(&ada.id, &deed(&world, None, "x")).await.unwrap());
    store.close_account(&ada.id, DAY).await.unwrap();
    assert_eq!(store.suspend(&bea.id, None, &deed(&world, None, "x")).await.unwrap(), Suspended::LastAdmin);
}

pub async fn two_admins_do_not_shut_each_other_out(world: World) {
    let (ada, bea) = (admin(&world, "ada").await, admin(&world, "bea").await);
    let other = world.another().await;
    let (one, two) = (deed(&world, Some(&ada), "x"), deed(&world, Some(&bea), "x"));
    let (one, two) = tokio::join!(world.store.suspend(&bea.id, None, &one), other.suspend(&ada.id, None, &two));
    let outcomes = [one.unwrap(), two.unwrap()];
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Suspended::Done { .. })).count();
    assert_eq!((done, outcomes.contains(&Suspended::LastAdmin)), (1, true), "{outcomes:?}");
}

fn new_case(world: &World, reporter: &User, author: Option<&User>, target: &str) -> NewCase {
    world.tick();
    NewCase {
        id: world.ambient.id(),
        reporter: reporter.id.clone(),
        kind: Reported::Message,
        target: target.into(),
        conversation: Some(world.ambient.id()),
        author: author.map(|author| author.id.clone()),
        character: None,
        wrong: Wrong::Harassment,
        note: "a\u{0}b".into(),
        snapshot: json!({ "text": "nasty words" }),
    }
}

async fn file(world: &World, new: NewCase) -> Case {
    match world.store.file_case(new, 20, DAY).await.unwrap() {
        Filed::New(case) => *case,
        other => panic!("{other:?}"),
    }
}

pub async fn a_report_keeps_what_it_was_of(world: World) {
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let new = new_case(&world, &tess, Some(&ines), "m1");
    let case = file(&world, new.clone()).await;
    assert_eq!(
        (&case.id, case.kind, case.reason, case.state),
        (&new.id, Reported::Message, Wrong::Harassment, CaseState::Open)
    );
    assert_eq!((case.target_id.as_str(), &case.conversation_id), ("m1", &new.conversation));
    assert_eq!((case.note.as_str(), &case.snapshot), ("a\u{FFFD}b", &new.snapshot));
    assert_eq!((case.created_at, case.closed_at, &case.resolution), (world.now(), None, &None));
    let name = |party: &Option<crate::Party>| party.as_ref().map(|party| party.username.clone()).unwrap();
    assert_eq!((name(&case.reporter).as_str(), name(&case.author).as_str()), ("tess", "ines"));
    assert_eq!(world.another().await.case(&case.id).await.unwrap(), Some(case.clone()));
    assert!(!case.suspended && !case.unlisted);
    world.store.suspend(&ines.id, None, &deed(&world, None, "x")).await.unwrap();
    assert!(world.store.case(&case.id).await.unwrap().unwrap().suspended);

    let nora = of(&world, &ines, "Nora").await;
    let of_character = NewCase {
        kind: Reported::Character,
        conversation: None,
        character: Some(nora.id.clone()),
        ..new_case(&world, &tess, Some(&ines), nora.id.as_str())
    };
    let case = file(&world, of_character).await;
    world.store.set_unlisted(&nora.id, true, &deed(&world, None, "x")).await.unwrap();
    assert!(world.store.case(&case.id).await.unwrap().unwrap().unlisted);
    assert_eq!(world.store.open_cases().await.unwrap(), 2);
}

pub async fn the_same_report_is_filed_once_while_it_is_open(world: World) {
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let store = &world.store;
    let first = file(&world, new_case(&world, &tess, None, "m1")).await;
    let again = store.file_case(new_case(&world, &tess, None, "m1"), 20, DAY).await.unwrap();
    assert_eq!(again, Filed::Known(Box::new(first.clone())));
    let hers = file(&world, new_case(&world, &ines, None, "m1")).await;
    assert_ne!(hers.id, first.id, "another person's is another");
    let closed = store.decide_case(&first.id, CaseState::Closed, &deed(&world, Some(&ines), "done")).await.unwrap();
    let closed = closed.unwrap();
    assert_eq!((closed.state, closed.resolution.as_deref()), (CaseState::Closed, Some("done")));
    assert_eq!(closed.closed_at, Some(world.now()));
    let anew = file(&world, new_case(&world, &tess, None, "m1")).await;
    let reopen = store.decide_case(&first.id, CaseState::Open, &deed(&world, None, "again")).await.unwrap();
    assert_eq!(reopen, None, "there is an open one");
    store.decide_case(&anew.id, CaseState::Closed, &deed(&world, None, "done")).await.unwrap().unwrap();
    let reopened = store.decide_case(&first.id, CaseState::Open, &deed(&world, None, "again")).await.unwrap().unwrap();
    assert_eq!((reopened.state, reopened.closed_at), (CaseState::Open, None));
    let nothing = store.decide_case(&world.ambient.id(), CaseState::Closed, &deed(&world, None, "x")).await.unwrap();
    assert_eq!(nothing, None);
}

pub async fn somebody_reports_so_much_in_a_day(world: World) {
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let begun = world.now();
    for n in 0..3 {
        let filed = world.store.file_case(new_case(&world, &tess, None, &format!("m{n}")), 3, DAY).await.unwrap();
        assert!(matches!(filed, Filed::New(_)));
    }
    let known = world.store.file_case(new_case(&world, &tess, None, "m1"), 3, DAY).await.unwrap();
    assert!(matches!(known, Filed::Known(_)), "the same again counts nothing");
    let full = world.store.file_case(new_case(&world, &tess, None, "m9"), 3, DAY).await.unwrap();
    let Filed::TooMany(wait) = full else { panic!("{full:?}") };
    assert!(wait < DAY && wait >= DAY - world.now().since(begun), "{wait:?}");
    assert!(matches!(world.store.file_case(new_case(&world, &ines, None, "m9"), 3, DAY).await.unwrap(), Filed::New(_)));
    world.clock.advance(wait);
    assert!(matches!(world.store.file_case(new_case(&world, &tess, None, "m9"), 3, DAY).await.unwrap(), Filed::New(_)));
}

pub async fn reports_come_in_pages_the_last_first(world: World) {
    let tess = world.user("tess").await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(file(&world, new_case(&world, &tess, None, &format!("m{n}"))).await.id);
    }
    world.store.decide_case(&made[2], CaseState::Closed, &deed(&world, None, "x")).await.unwrap();
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = world.store.cases(CaseState::Open, cursor.as_deref(), 3).await.unwrap();
        found.extend(page.items.into_iter().map(|case| case.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let own = world.store.own_cases(&tess.id).await.unwrap();
    assert_eq!(own.iter().map(|case| &case.id).collect::<Vec<_>>(), made.iter().rev().collect::<Vec<_>>());
    assert_eq!(found, [&made[4], &made[3], &made[1], &made[0]].map(Clone::clone));
    let closed = world.store.cases(CaseState::Closed, Some("strange"), 3).await.unwrap();
    assert_eq!(closed.items.iter().map(|case| &case.id).collect::<Vec<_>>(), [&made[2]]);
}

pub async fn old_closed_reports_are_swept(world: World) {
    let tess = world.user("tess").await;
    let open = file(&world, new_case(&world, &tess, None, "m1")).await;
    let closed = file(&world, new_case(&world, &tess, None, "m2")).await;
    world.store.decide_case(&closed.id, CaseState::Closed, &deed(&world, None, "x")).await.unwrap();
    world.clock.advance(180 * DAY);
    assert_eq!(world.store.count_stale(Stale::Cases, 180 * DAY).await.unwrap(), 0);
    world.tick();
    assert_eq!(world.store.count_stale(Stale::Cases, 180 * DAY).await.unwrap(), 1);
    assert_eq!(world.store.sweep(Stale::Cases, 180 * DAY).await.unwrap(), 1);
    assert!(world.store.case(&closed.id).await.unwrap().is_none());
    assert!(world.store.case(&open.id).await.unwrap().is_some(), "an open one waits for as long as it takes");
}

pub async fn the_audit_says_who_did_what(world: World) {
    let (ada, ines) = (admin(&world, "ada").await, world.user("ines").await);
    let nora = of(&world, &ines, "Nora").await;
    let case = file(&world, new_case(&world, &ada, None, "m1")).await;
    let until = Timestamp(world.now().0 + 90_000);
    world.store.set_unlisted(&nora.id, true, &deed(&world, Some(&ada), "a copy")).await.unwrap();
    world.store.suspend(&ines.id, Some(until), &deed(&world, Some(&ada), "spam")).await.unwrap();
    world.store.end_suspension(&ines.id, &deed(&world, None, "sorry")).await.unwrap();
    world.store.decide_case(&case.id, CaseState::Closed, &deed(&world, Some(&ada), "done")).await.unwrap();
    world.store.set_unlisted(&nora.id, false, &deed(&world, Some(&ada), "fine")).await.unwrap();
    let first = world.store.deeds(None, 3).await.unwrap();
    let rest = world.store.deeds(first.next_cursor.as_deref(), 3).await.unwrap();
    assert_eq!(rest.next_cursor, None);
    let all: Vec<_> = first.items.into_iter().chain(rest.items).collect();
    let brief: Vec<_> = all
        .iter()
        .map(|one| {
            let by = one.operator.as_ref().map(|by| by.username.as_str());
            (by, one.action, one.target.name.as_deref(), one.reason.as_str())
        })
        .collect();
    assert_eq!(
        brief,
        [
            (Some("ada"), Action::ListCharacter, Some("Nora"), "fine"),
            (Some("ada"), Action::CloseReport, None, "done"),
            (None, Action::RestoreUser, Some("ines"), "sorry"),
            (Some("ada"), Action::SuspendUser, Some("ines"), "spam"),
            (Some("ada"), Action::UnlistCharacter, Some("Nora"), "a copy"),
        ]
    );
    assert_eq!((all[3].until, all[4].until), (Some(until), None));
    assert_eq!((all[4].target.kind.as_str(), all[4].target.id.as_str()), ("character", nora.id.as_str()));
}

pub async fn an_erased_account_is_forgotten_in_reports_and_the_audit(world: World) {
    let (ada, tess, ines) = (admin(&world, "ada").await, world.user("tess").await, world.user("ines").await);
    let of_ines = file(&world, new_case(&world, &tess, Some(&ines), "m1")).await;
    let of_ada = file(&world, new_case(&world, &tess, Some(&ada), "m2")).await;
    world.store.suspend(&ines.id, None, &deed(&world, Some(&ada), "she said so")).await.unwrap();
    assert!(world.store.delete_user(&ines.id).await.unwrap());
    assert!(world.store.case(&of_ines.id).await.unwrap().is_none(), "her words are gone with her");
    let [line] = &world.store.deeds(None, 10).await.unwrap().items[..] else { panic!() };
    assert_eq!((line.target.id.as_str(), line.reason.as_str()), (crate::personal::ERASED, ""));
    assert!(line.operator.is_some());

    assert!(world.store.delete_user(&tess.id).await.unwrap());
    let case = world.store.case(&of_ada.id).await.unwrap().unwrap();
    assert_eq!((case.reporter, case.note.as_str(), case.state), (None, "", CaseState::Open));
    assert_eq!(case.author.map(|author| author.id), Some(ada.id.clone()));

    // What a character answered goes with whom it answered, in whosever conversation, be it deleted.
    let (zoe, guest) = (world.user("zoe").await, world.user("guest").await);
    let character = world.character("Mara").await;
    let talk = world.conversation(&zoe, &character).await;
    world.store.add_member(&talk.id, &zoe.id, &guest.id).await.unwrap();
    let server = world.server().await;
    let mut cases = Vec::new();
    for user in [&guest, &zoe] {
        world.store.send_message(world.message(&talk, &user.id, "hello")).await.unwrap();
        let reply = world.answer(&talk, &server, "nasty words").await;
        let case = new_case(&world, &ada, None, reply.id.as_str());
        let case = NewCase { kind: Reported::Reply, conversation: Some(talk.id.clone()), ..case };
        cases.push(file(&world, case).await.id);
    }
    assert!(world.store.delete_user(&guest.id).await.unwrap());
    assert!(world.store.case(&cases[0]).await.unwrap().is_none());
    assert!(world.store.case(&cases[1]).await.unwrap().is_some());
    assert!(world.store.delete_conversation(&talk.id, &zoe.id).await.unwrap());
    assert!(world.store.delete_user(&zoe.id).await.unwrap());
    assert!(world.store.case(&cases[1]).await.unwrap().is_none());

    admin(&world, "bea").await;
    assert!(world.store.delete_user(&ada.id).await.unwrap());
    let [line] = &world.store.deeds(None, 10).await.unwrap().items[..] else { panic!() };
    assert_eq!(line.operator, None);
    assert!(world.store.case(&of_ada.id).await.unwrap().is_none());
}
