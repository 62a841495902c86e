//! Who is in a conversation, and the links by which others come in.

use super::World;
use crate::{AddMember, Admitted, Cancel, Change, Claimed, Deed, MadeInvite, NewInvite, Sent, Stale};
use aim_domain::room::{MAX_INVITES, MAX_MEMBERS};
use aim_domain::{Conversation, Invite, Message, ReplyState, RoomRole, TokenHash, User};
use futures::future::join_all;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

impl World {
    fn new_invite(&self, conversation: &Conversation, token: &str, max_uses: Option<u64>) -> NewInvite {
        self.tick();
        NewInvite {
            id: self.ambient.id(),
            conversation: conversation.id.clone(),
            owner: conversation.owner_id.clone(),
            token: TokenHash::of(token),
            lives: HOUR,
            max_uses,
        }
    }

    async fn invite(&self, conversation: &Conversation, token: &str, max_uses: Option<u64>) -> Invite {
        match self.store.create_invite(self.new_invite(conversation, token, max_uses)).await.unwrap() {
            MadeInvite::Made(invite) => invite,
            other => panic!("{other:?}"),
        }
    }

    async fn accept(&self, token: &str, user: &User) -> Admitted {
        self.tick();
        self.store.accept_invite(&TokenHash::of(token), &user.id).await.unwrap()
    }

    async fn says(&self, conversation: &Conversation, who: &User, text: &str) -> Message {
        match self.store.send_message(self.message(conversation, &who.id, text)).await.unwrap() {
            Sent::Accepted { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }
}

pub async fn a_link_lets_people_in_until_it_is_over(world: World) {
    let store = &world.store;
    let (owner, character, conversation) = world.pair().await;
    let id = &conversation.id;
    let (ines, ona) = (world.user("ines").await, world.user("ona").await);
    let made = world.invite(&conversation, "one", None).await;
    assert_eq!((made.uses, made.max_uses, made.created_at.plus(HOUR)), (0, None, made.expires_at));

    let cursor = store.last_change().await.unwrap();
    let seen = store.invite(&TokenHash::of("one"), &ines.id).await.unwrap().unwrap();
    assert_eq!((&seen.conversation.id, &seen.conversation.character_id), (id, &character.id));
    assert_eq!((&seen.invited_by.id, seen.invited_by.username.as_str()), (&owner.id, "tess"));
    assert_eq!((seen.is_member, seen.expires_at), (false, made.expires_at));
    assert!(store.changes(cursor, 10).await.unwrap().is_empty(), "a look changes nothing");

    assert_eq!(world.accept("one", &ines).await, Admitted::Joined(id.clone()));
    assert_eq!(world.accept("one", &ines).await, Admitted::Already(id.clone()));
    assert_eq!(world.accept("one", &owner).await, Admitted::Already(id.clone()));
    let told: Vec<_> = store.changes(cursor, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    let came = Change::Member { conversation: id.clone(), user: ines.id.clone() };
    assert_eq!(told, [Change::Conversation { id: id.clone() }, came], "once, for the one who came");
    let item = store.conversation(id, &ines.id).await.unwrap().unwrap();
    assert_eq!(item.conversation.member_ids, [owner.id.clone(), ines.id.clone()]);
    assert!(store.invite(&TokenHash::of("one"), &ines.id).await.unwrap().unwrap().is_member);

    // By its owner alone.
    assert_eq!(store.invites(id, &ines.id).await.unwrap(), None);
    let foreign = NewInvite { owner: ines.id.clone(), ..world.new_invite(&conversation, "foreign", None) };
    assert_eq!(store.create_invite(foreign).await.unwrap(), MadeInvite::NotFound);
    assert!(!store.revoke_invite(id, &ines.id, &made.id).await.unwrap());
    let listed = store.invites(id, &owner.id).await.unwrap().unwrap();
    assert_eq!(listed, [Invite { uses: 1, ..made.clone() }]);

    assert!(store.revoke_invite(id, &owner.id, &made.id).await.unwrap());
    assert!(!store.revoke_invite(id, &owner.id, &made.id).await.unwrap());
    assert_eq!(world.accept("one", &ona).await, Admitted::NotFound, "withdrawn");
    assert_eq!(store.invite(&TokenHash::of("one"), &ona.id).await.unwrap(), None);
    assert_eq!(world.accept("never", &ona).await, Admitted::NotFound);

    world.invite(&conversation, "two", None).await;
    world.clock.advance(HOUR);
    assert_eq!(world.accept("two", &ona).await, Admitted::NotFound, "over");
    assert_eq!(store.invite(&TokenHash::of("two"), &ona.id).await.unwrap(), None);
    assert_eq!(store.invites(id, &owner.id).await.unwrap(), Some(vec![]));
    assert_eq!(store.count_stale(Stale::Invites, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(store.sweep(Stale::Invites, Duration::ZERO).await.unwrap(), 1);
}

pub async fn a_link_is_used_exactly_as_often_as_it_may(world: World) {
    let (owner, _, conversation) = world.pair().await;
    let another = world.another().await;
    let stores = [&world.store, &another];
    world.invite(&conversation, "five", Some(5)).await;
    let mut people = Vec::new();
    for n in 0..12 {
        people.push(world.user(&format!("guest{n}")).await);
    }
    let token = TokenHash::of("five");
    // Each of them twice at once, over two servers.
    let all = people.iter().chain(&people).enumerate();
    let came = join_all(all.map(|(n, user)| stores[n % 2].accept_invite(&token, &user.id))).await;
    let came: Vec<_> = came.into_iter().map(Result::unwrap).collect();
    let joined = came.iter().filter(|one| matches!(one, Admitted::Joined(_))).count();
    assert_eq!(joined, 5, "{came:?}");
    let now = world.store.room(&conversation.id).await.unwrap().unwrap();
    assert_eq!(now.member_ids.len(), 6);
    assert_eq!(world.store.invites(&conversation.id, &owner.id).await.unwrap(), Some(vec![]), "it is used up");
    let late = world.user("late").await;
    assert_eq!(world.accept("five", &late).await, Admitted::NotFound);

    // Who goes and comes back counts once.
    let made = world.invite(&conversation, "many", Some(2)).await;
    for _ in 0..3 {
        assert_eq!(world.accept("many", &late).await, Admitted::Joined(conversation.id.clone()));
        assert!(world.store.remove_member(&conversation.id, &late.id, &late.id).await.unwrap());
    }
    let listed = world.store.invites(&conversation.id, &owner.id).await.unwrap().unwrap();
    assert_eq!(listed, [Invite { uses: 1, ..made }]);
}

pub async fn a_conversation_has_so_many_people_and_links(world: World) {
    let (owner, _, conversation) = world.pair().await;
    let id = &conversation.id;
    let made = (0..MAX_INVITES + 3).map(|n| world.new_invite(&conversation, &format!("token{n}"), None));
    let made = join_all(made.map(|new| world.store.create_invite(new))).await;
    let made = made.into_iter().filter(|one| matches!(one, Ok(MadeInvite::Made(_)))).count() as u64;
    assert_eq!(made, MAX_INVITES);
    let listed = world.store.invites(id, &owner.id).await.unwrap().unwrap();
    assert!(listed.is_sorted_by(|one, next| one.created_at >= next.created_at));
    assert!(world.store.revoke_invite(id, &owner.id, &listed[0].id).await.unwrap());
    world.invite(&conversation, "door", None).await;

    let mut people = Vec::new();
    for n in 0..MAX_MEMBERS + 3 {
        people.push(world.user(&format!("guest{n}")).await);
    }
    let token = TokenHash::of("door");
    let came = join_all(people.iter().map(|user| world.store.accept_invite(&token, &user.id))).await;
    let came: Vec<_> = came.into_iter().map(Result::unwrap).collect();
    assert_eq!(came.iter().filter(|one| matches!(one, Admitted::Joined(_))).count() as u64, MAX_MEMBERS - 1);
    assert_eq!(came.iter().filter(|one| **one == Admitted::Full).count(), 4);
    let out = people.iter().zip(&came).find(|(_, came)| **came == Admitted::Full).unwrap().0;
    assert_eq!(world.store.add_member(id, &owner.id, &out.id).await.unwrap(), AddMember::Full);
    let inside = people.iter().zip(&came).find(|(_, came)| **came != Admitted::Full).unwrap().0;
    assert_eq!(world.store.add_member(id, &owner.id, &inside.id).await.unwrap(), AddMember::Added, "they are in");
    let listed = world.store.invites(id, &owner.id).await.unwrap().unwrap();
    assert_eq!(listed[0].uses, MAX_MEMBERS - 1, "who found no room was not counted");
}

pub async fn whom_the_owner_took_out_comes_in_by_a_newer_link_alone(world: World) {
    let store = &world.store;
    let (owner, _, conversation) = world.pair().await;
    let id = &conversation.id;
    let (ines, ona) = (world.user("ines").await, world.user("ona").await);
    world.invite(&conversation, "old", None).await;
    for user in [&ines, &ona] {
        assert_eq!(world.accept("old", user).await, Admitted::Joined(id.clone()));
    }
    assert!(store.remove_member(id, &owner.id, &ines.id).await.unwrap());
    assert!(store.remove_member(id, &ona.id, &ona.id).await.unwrap());
    assert_eq!(world.accept("old", &ines).await, Admitted::NotFound);
    assert_eq!(store.invite(&TokenHash::of("old"), &ines.id).await.unwrap(), None);
    assert_eq!(world.accept("old", &ona).await, Admitted::Joined(id.clone()), "who left may come back");
    world.invite(&conversation, "new", None).await;
    assert_eq!(world.accept("new", &ines).await, Admitted::Joined(id.clone()));

    assert!(store.remove_member(id, &owner.id, &ines.id).await.unwrap());
    assert_eq!(store.add_member(id, &owner.id, &ines.id).await.unwrap(), AddMember::Added);
    assert!(store.remove_member(id, &ines.id, &ines.id).await.unwrap());
    assert_eq!(world.accept("old", &ines).await, Admitted::Joined(id.clone()), "the owner had them back");
}

pub async fn a_block_or_a_suspension_closes_a_link_to_who_is_not_in(world: World) {
    let store = &world.store;
    let (owner, _, conversation) = world.pair().await;
    let id = &conversation.id;
    let (ines, ona, inside) = (world.user("ines").await, world.user("ona").await, world.user("inside").await);
    world.invite(&conversation, "door", None).await;
    assert_eq!(world.accept("door", &inside).await, Admitted::Joined(id.clone()));
    // Whichever of the two blocked the other.
    store.block(&owner.id, &ines.id, 10).await.unwrap();
    store.block(&ona.id, &owner.id, 10).await.unwrap();
    store.block(&owner.id, &inside.id, 10).await.unwrap();
    let token = TokenHash::of("door");
    for user in [&ines, &ona] {
        assert_eq!(store.invite(&token, &user.id).await.unwrap(), None, "{}", user.username);
        assert_eq!(world.accept("door", user).await, Admitted::NotFound, "{}", user.username);
    }
    assert_eq!(world.accept("door", &inside).await, Admitted::Already(id.clone()));
    assert_eq!(store.invites(id, &owner.id).await.unwrap().unwrap()[0].uses, 1);
    store.unblock(&ona.id, &owner.id).await.unwrap();
    assert_eq!(world.accept("door", &ona).await, Admitted::Joined(id.clone()));
    store.unblock(&owner.id, &ines.id).await.unwrap();

    let deed = |reason: &str| Deed { id: world.ambient.id(), operator: None, reason: reason.into() };
    store.suspend(&owner.id, Some(world.now().plus(HOUR / 2)), &deed("spam")).await.unwrap();
    assert_eq!(store.invite(&token, &ines.id).await.unwrap(), None);
    assert_eq!(world.accept("door", &ines).await, Admitted::NotFound);
    assert!(store.invite(&token, &ona.id).await.unwrap().unwrap().is_member, "who is in finds it still");
    world.clock.advance(HOUR / 2);
    assert!(store.invite(&token, &ines.id).await.unwrap().is_some());
    assert_eq!(world.accept("door", &ines).await, Admitted::Joined(id.clone()), "its time is over");
}

pub async fn people_are_listed_with_their_roles(world: World) {
    let store = &world.store;
    let (owner, _, conversation) = world.pair().await;
    let id = &conversation.id;
    let (ines, ona, closed) = (world.user("ines").await, world.user("ona").await, world.user("closed").await);
    for user in [&ona, &ines, &closed] {
        world.tick();
        store.add_member(id, &owner.id, &user.id).await.unwrap();
    }
    store.close_account(&closed.id, HOUR).await.unwrap();
    let listed = store.members(id, &ines.id).await.unwrap().unwrap();
    let roles: Vec<_> = listed.iter().map(|one| (one.user.id.clone(), one.role)).collect();
    let expected = [(owner.id, RoomRole::Owner), (ona.id, RoomRole::Guest), (ines.id.clone(), RoomRole::Guest)];
    assert_eq!(roles, expected);
    assert!(listed.is_sorted_by_key(|one| one.joined_at));
    assert_eq!((listed[1].user.username.as_str(), listed[1].user.display_name.as_str()), ("ona", "ona the First"));
    let stranger = world.user("stranger").await;
    assert_eq!(store.members(id, &stranger.id).await.unwrap(), None);
    assert_eq!(store.members(&world.ambient.id(), &ines.id).await.unwrap(), None);
    // An account that is about to be erased invites nobody, and is brought in nowhere.
    world.invite(&conversation, "door", None).await;
    assert_eq!(world.accept("door", &closed).await, Admitted::Already(id.clone()));
    store.remove_member(id, &closed.id, &closed.id).await.unwrap();
    assert_eq!(world.accept("door", &closed).await, Admitted::NotFound);
    store.close_account(&conversation.owner_id, HOUR).await.unwrap();
    assert_eq!(world.accept("door", &stranger).await, Admitted::NotFound);
}

pub async fn a_guest_stops_what_is_theirs_alone(world: World) {
    let store = &world.store;
    let (owner, _, conversation) = world.pair().await;
    let (ines, server) = (world.user("ines").await, world.server().await);
    store.add_member(&conversation.id, &owner.id, &ines.id).await.unwrap();
    let first = world.says(&conversation, &owner, "first").await;
    let hers = world.says(&conversation, &ines, "hers").await;
    let last = world.says(&conversation, &owner, "last").await;

    // What another asked is under way: it goes on, and what waits of hers is cancelled.
    let claim = world.claimed(&conversation, &server).await;
    let Cancel::Cancelled(cancelled) = store.cancel_own(&conversation, &ines.id).await.unwrap() else {
        panic!("the reply under way is another's")
    };
    assert_eq!(
        cancelled.iter().map(|one| (&one.id, one.reply_state)).collect::<Vec<_>>(),
        [(&hers.id, Some(ReplyState::Cancelled))]
    );
    assert_eq!(store.cancel_own(&conversation, &ines.id).await.unwrap(), Cancel::Cancelled(vec![]));
    assert_eq!(world.stored(&conversation, &first.id).await.reply_state, Some(ReplyState::Due));
    assert!(matches!(world.commit(&claim, "Aye.").await, crate::Committed::Committed { .. }));
    assert_eq!(world.claimed(&conversation, &server).await.message.id, last.id, "the line goes on behind it");
    world.clock.advance(super::world::LEASE);
    let server = world.server().await;
    let claim = world.claimed(&conversation, &server).await;
    world.commit(&claim, "And aye.").await;

    // Her own is told to stop.
    let again = world.says(&conversation, &ines, "again").await;
    let claim = world.claimed(&conversation, &server).await;
    let stopping = Cancel::Stopping { message: again.id.clone(), holder: server.clone(), fence: claim.fence };
    assert_eq!(store.cancel_own(&conversation, &ines.id).await.unwrap(), stopping);
    world.end(&claim, ReplyState::Cancelled).await;
    assert!(matches!(world.claim(&conversation, &server).await, Claimed::NothingDue));

    // A claim of a server that died is free to whose message it is.
    let (theirs, hers) = (world.says(&conversation, &owner, "x").await, world.says(&conversation, &ines, "y").await);
    world.claimed(&conversation, &server).await;
    world.clock.advance(super::world::LEASE);
    assert!(
        matches!(store.cancel_own(&conversation, &ines.id).await.unwrap(), Cancel::Cancelled(all) if all[0].id == hers.id)
    );
    let server = world.server().await;
    assert_eq!(world.claimed(&conversation, &server).await.message.id, theirs.id);
    world.clock.advance(super::world::LEASE);
    assert!(
        matches!(store.cancel_own(&conversation, &owner.id).await.unwrap(), Cancel::Cancelled(all) if all[0].id == theirs.id)
    );
    let server = world.server().await;
    assert!(matches!(world.claim(&conversation, &server).await, Claimed::NothingDue));
    assert!(store.due_replies(None, 10).await.unwrap().is_empty());
}

pub async fn links_go_with_their_conversation_and_uses_with_their_person(world: World) {
    let store = &world.store;
    let (owner, _, conversation) = world.pair().await;
    let (ines, ona) = (world.user("ines").await, world.user("ona").await);
    world.invite(&conversation, "door", Some(3)).await;
    world.accept("door", &ines).await;
    store.remove_member(&conversation.id, &owner.id, &ines.id).await.unwrap();
    assert!(store.delete_user(&ines.id).await.unwrap());
    let listed = store.invites(&conversation.id, &owner.id).await.unwrap().unwrap();
    assert_eq!(listed[0].uses, 1, "a place that was used is not free again");
    assert!(store.delete_conversation(&conversation.id, &owner.id).await.unwrap());
    assert_eq!(world.accept("door", &ona).await, Admitted::NotFound);
    assert_eq!(store.room(&conversation.id).await.unwrap(), None);
    assert_eq!(store.invites(&conversation.id, &owner.id).await.unwrap(), None);
}
