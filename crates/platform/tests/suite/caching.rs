//! Two servers that share a cache: what changes is known to both within a second, whoever died on the way, and whether
//! or not Redis is there.

use crate::world::{Person, Server, World, code, within_a_second};
use aim_domain::{
    CharacterDraft, Code, Incarnation, MediaKind, PictureWords, ReplyState, Role, Tier, TokenHash, UploadDetails,
    Username, Visibility,
};
use aim_store::{
    AccountChange, AddPicture, ClaimedUpload, CreateUser, NewPicture, NewUpload, NewUser, SaveCharacter, UploadEnd,
};
use aim_testkit::{ChaosProxy, RedisServer};
use futures::future::join_all;

/// Two servers, each with a network of its own to one Redis.
struct Pair {
    world: World,
    redis: RedisServer,
    proxies: Vec<ChaosProxy>,
    servers: Vec<Server>,
}

impl Pair {
    async fn new() -> Self {
        let (world, redis) = (World::new().await, RedisServer::start().await.unwrap());
        let (mut proxies, mut servers) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let proxy = ChaosProxy::before(redis.address()).await.unwrap();
            servers.push(world.sharing(&proxy.url()).await);
            proxies.push(proxy);
        }
        Self { world, redis, proxies, servers }
    }

    async fn display_names(&self, ann: &Person) -> Vec<String> {
        let id = ann.who.user_id();
        let names = self.servers.iter().map(async |server| server.platform.profile(id).await.unwrap());
        join_all(names).await.into_iter().map(|profile| profile.display_name.clone()).collect()
    }

    /// A commit whose writer died before it told anyone.
    async fn renamed(&self, ann: &Person, name: &str) {
        let change = AccountChange { display_name: Some(name.into()), ..Default::default() };
        self.world.store().change_user(ann.who.user_id(), change).await.unwrap().unwrap();
    }

    async fn is_in_redis(&self, key: &str) -> bool {
        self.redis.command(&["EXISTS", key]).await.unwrap().number() == Some(1)
    }
}

#[tokio::test]
async fn a_profile_is_loaded_once_for_all_and_its_change_is_known_to_all() {
    let pair = Pair::new().await;
    let ann = pair.servers[0].person("ann").await;
    let key = format!("aim:user:profile:{}", ann.who.user_id());
    // Until the feed has told of her account.
    within_a_second("it is shared", async || {
        pair.display_names(&ann).await;
        pair.is_in_redis(&key).await
    })
    .await;
    assert_eq!(pair.display_names(&ann).await, ["ANN", "ANN"]);
    pair.renamed(&ann, "Annie").await;
    within_a_second("the change", async || pair.display_names(&ann).await == ["Annie", "Annie"]).await;
    let patch = aim_platform::ProfilePatch { display_name: Some("Anna".into()), ..Default::default() };
    pair.servers[1].platform.update_profile(&ann.who, patch).await.unwrap();
    assert_eq!(pair.display_names(&ann).await[1], "Anna", "whoever makes a change sees it at once");
    within_a_second("the change", async || pair.display_names(&ann).await == ["Anna", "Anna"]).await;
}

#[tokio::test]
async fn words_that_a_server_said_before_are_not_analysed_there_again_and_redis_is_not_asked() {
    let mut pair = Pair::new().await;
    let (ann, mara) = (pair.servers[0].person("ann").await, pair.servers[0].character("Mara").await);
    for (n, name) in ["bob", "cid"].into_iter().enumerate() {
        pair.servers[n].work().await;
        let person = pair.servers[n].person(name).await;
        within_a_second("each server shares what it reads", async || {
            pair.servers[n].platform.profile(person.who.user_id()).await.unwrap();
            pair.is_in_redis(&format!("aim:user:profile:{}", person.who.user_id())).await
        })
        .await;
    }
    let talk = pair.servers[0].talk(&ann, &mara).await;
    let mood = async |server: &Server| {
        let asked = server.send(&ann, &talk, "Good evening").await;
        server.until(&ann, &asked, ReplyState::Done).await;
        server.replies_to(&ann, &asked).await.remove(0).personality.unwrap().mood
    };
    // What is analysed is written to Redis, beside the commit.
    let kept = async || pair.redis.command(&["KEYS", "aim:personality:*"]).await.unwrap().texts();
    let found = mood(&pair.servers[0]).await;
    within_a_second("it is kept for all", async || kept().await.len() == 1).await;
    let key = kept().await.remove(0);
    let left = pair.redis.command(&["PTTL", &key]).await.unwrap().number().unwrap();
    assert!((3_590_000..=3_600_000).contains(&left), "an hour: {left}");
    // What no analysis would find in those words would tell that it was read there.
    let text = pair.redis.command(&["GET", &key]).await.unwrap().text();
    let other = text.replace(&format!("\"mood\":\"{found}\""), "\"mood\":\"fear\"");
    assert!(found != "fear" && other != text, "{text}");
    pair.redis.command(&["SET", &key, &other, "KEEPTTL"]).await.unwrap();
    for _ in 0..3 {
        assert_eq!(mood(&pair.servers[0]).await, found, "near, where it was found");
    }
    // By the third reply whatever was written beside the first two is there.
    assert_eq!(pair.redis.command(&["GET", &key]).await.unwrap().text(), other, "it was not analysed again");
    assert_eq!(mood(&pair.servers[1]).await, found, "another analyses it, and does not ask for it");
    let is_written = async || pair.redis.command(&["GET", &key]).await.unwrap().text() != other;
    within_a_second("what another found is kept for all", is_written).await;
}

#[tokio::test]
async fn a_change_that_nobody_could_tell_is_known_to_all_once_redis_is_back() {
    let pair = Pair::new().await;
    let ann = pair.servers[0].person("ann").await;
    let key = format!("aim:user:profile:{}", ann.who.user_id());
    within_a_second("it is shared", async || {
        pair.display_names(&ann).await;
        pair.is_in_redis(&key).await
    })
    .await;
    for proxy in &pair.proxies {
        proxy.cut().await;
    }
    pair.renamed(&ann, "Annie").await;
    within_a_second("the change", async || pair.display_names(&ann).await == ["Annie", "Annie"]).await;
    assert!(pair.is_in_redis(&key).await, "what is stale lies there");
    for proxy in &pair.proxies {
        proxy.heal().await;
    }
    // One that was not there when it changed: all it can know is what Redis says.
    let newcomer = pair.world.sharing(&pair.redis.url()).await;
    for _ in 0..40 {
        let seen = newcomer.platform.profile(ann.who.user_id()).await.unwrap();
        assert_eq!(seen.display_name, "Annie");
        assert_eq!(pair.display_names(&ann).await, ["Annie", "Annie"]);
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn a_session_that_was_revoked_while_redis_was_away_is_unknown_to_those_who_start_when_it_is_back() {
    let mut pair = Pair::new().await;
    let (ann, bob) = (pair.servers[0].person("ann").await, pair.servers[0].person("bob").await);
    let key = |person: &Person| format!("aim:session:{}", TokenHash::of(&person.token).as_str());
    let copy = async |person: &Person| pair.redis.command(&["GET", &key(person)]).await.unwrap().text();
    let feed = pair.servers[0].platform.feed_position().await.unwrap();
    let heard = async || pair.servers.iter().all(|server| server.platform.backbone.fleet.position() == feed);
    within_a_second("the accounts, which are changes too", heard).await;
    let third = pair.world.sharing(&pair.redis.url()).await;
    within_a_second("a third", async || third.platform.backbone.fleet.since() == Some(feed)).await;
    for person in [&ann, &bob] {
        // The mark of a change stays for a minute.
        pair.redis.command(&["DEL", &key(person)]).await.unwrap();
        let shared = async || {
            third.platform.authenticate(&person.token).await.unwrap();
            copy(person).await.split(' ').nth(1) == Some(&feed.to_string())
        };
        within_a_second("it shares what it reads", shared).await;
    }
    drop(third);
    assert!(pair.servers[1].platform.authenticate(&ann.token).await.is_ok());

    for proxy in &pair.proxies {
        proxy.cut().await;
    }
    let kept = copy(&ann).await;
    pair.servers[0].platform.logout(&ann.who).await.unwrap();
    assert_eq!(copy(&ann).await, kept, "Redis was not told");
    assert_eq!(code(pair.servers[0].platform.authenticate(&ann.token).await), Code::Unauthenticated);
    pair.servers.clear();
    let url = pair.redis.url();
    let (one, other) = (pair.world.sharing(&url).await, pair.world.sharing(&url).await);
    for _ in 0..20 {
        for server in [&one, &other] {
            assert_eq!(code(server.platform.authenticate(&ann.token).await), Code::Unauthenticated);
            assert!(server.platform.authenticate(&bob.token).await.is_ok());
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(copy(&ann).await, kept, "it lies there still");
}

#[tokio::test]
async fn what_was_sent_on_one_server_shows_in_the_usage_that_the_other_tells() {
    let pair = Pair::new().await;
    let (ann, mara) = (pair.servers[0].person("ann").await, pair.servers[0].character("Mara").await);
    let talk = pair.servers[0].talk(&ann, &mara).await;
    let used = async |server: &Server| {
        let report = server.platform.usage(&ann.who).await.unwrap();
        report.characters.get(mara.id.as_str()).map(|usage| usage.text.used)
    };
    assert_eq!(used(&pair.servers[1]).await, None);
    for sent in 1..=3 {
        pair.servers[0].send(&ann, &talk, "Hello?").await;
        assert_eq!(used(&pair.servers[1]).await, Some(sent));
    }
    assert!(pair.is_in_redis(&format!("aim:user:usages:{}:whole", ann.who.user_id())).await);
    pair.proxies[0].cut().await;
    pair.servers[0].send(&ann, &talk, "Hello?").await;
    assert_eq!(used(&pair.servers[0]).await, Some(4), "who was cut off reads the store");
    pair.proxies[0].heal().await;
    let began = std::time::Instant::now();
    while used(&pair.servers[1]).await != Some(4) {
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "the other hears when the network is back");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    pair.redis.flush().await.unwrap();
    for server in &pair.servers {
        assert_eq!(used(server).await, Some(4), "and without any copy it is the store's");
    }
}

#[tokio::test]
async fn a_name_that_was_free_is_known_to_be_taken_and_a_freed_one_to_be_free() {
    let pair = Pair::new().await;
    let owner = async |server: &Server| server.platform.profile_by_username("zoe").await;
    for server in &pair.servers {
        assert_eq!(code(owner(server).await), Code::NotFound);
    }
    let zoe = NewUser {
        id: pair.world.ambient.id(),
        email: "zoe@example.test".into(),
        username: Username::parse("zoe").unwrap(),
        display_name: "Zoe".into(),
        password_hash: None,
        tier: Tier::Free,
        role: Role::User,
    };
    let CreateUser::Created(zoe) = pair.world.store().create_user(zoe).await.unwrap() else { panic!("it is free") };
    within_a_second("she is found", async || {
        join_all(pair.servers.iter().map(owner)).await.iter().all(|found| found.is_ok())
    })
    .await;
    assert!(pair.world.store().delete_user(&zoe.id).await.unwrap());
    within_a_second("she is not", async || {
        join_all(pair.servers.iter().map(owner)).await.iter().all(|found| found.is_err())
    })
    .await;
}

#[tokio::test]
async fn a_changed_character_and_a_removed_one_are_known_to_all() {
    let pair = Pair::new().await;
    let (ann, mara) = (pair.servers[0].person("ann").await, pair.servers[0].character("Mara").await);
    let names = async || {
        let seen = pair.servers.iter().map(async |server| server.platform.character(&ann.who, &mara.id).await);
        let seen = join_all(seen).await.into_iter();
        seen.map(|seen| seen.ok().map(|character| character.name.clone())).collect::<Vec<_>>()
    };
    let both = |name: &str| vec![Some(name.to_owned()); 2];
    assert_eq!(names().await, both("Mara"));
    let mut changed = mara.clone();
    (changed.name, changed.revision, changed.visibility) = ("Mara II".into(), mara.revision + 1, Visibility::Public);
    let saved = pair.world.store().update_character(changed).await.unwrap();
    assert!(matches!(saved, SaveCharacter::Saved(_)));
    within_a_second("the change", async || names().await == both("Mara II")).await;
    assert!(pair.world.store().delete_character(&mara.id).await.unwrap());
    within_a_second("it is gone", async || names().await == [None, None]).await;
}

#[tokio::test]
async fn a_pair_finds_its_conversation_and_begins_another_when_that_is_gone() {
    let pair = Pair::new().await;
    let (ann, mara) = (pair.servers[0].person("ann").await, pair.servers[0].character("Mara").await);
    let open = async |server: &Server| {
        let (item, is_new) = server.platform.open_conversation(&ann.who, &mara.id).await.unwrap();
        (item.conversation.id, is_new)
    };
    let (first, is_new) = open(&pair.servers[0]).await;
    assert!(is_new);
    for server in &pair.servers {
        assert_eq!(open(server).await, (first.clone(), false));
    }
    let window = format!("aim:conversation:context:{first}");
    pair.redis.command(&["SET", &window, "what was said"]).await.unwrap();
    assert!(pair.world.store().delete_conversation(&first, ann.who.user_id()).await.unwrap());
    let (second, is_new) = open(&pair.servers[1]).await;
    assert!(is_new && second != first);
    assert_eq!(open(&pair.servers[0]).await, (second, false));
    within_a_second("what was said is kept nowhere", async || !pair.is_in_redis(&window).await).await;
}

#[tokio::test]
async fn a_gallery_is_read_once_for_all_an_empty_one_too_and_its_change_is_known_to_all() {
    let pair = Pair::new().await;
    let ann = pair.servers[0].person("ann").await;
    let draft = CharacterDraft { name: "Mara".into(), visibility: Visibility::Public, ..Default::default() };
    let mara = pair.servers[0].platform.create_character(&ann.who, draft).await.unwrap();
    let key = format!("aim:character:gallery:{}", mara.id);
    let sizes = async || {
        let galleries = pair.servers.iter().map(async |server| server.platform.gallery(&ann.who, &mara.id).await);
        join_all(galleries).await.into_iter().map(|gallery| gallery.unwrap().len()).collect::<Vec<_>>()
    };
    within_a_second("it is shared", async || sizes().await == [0, 0] && pair.is_in_redis(&key).await).await;
    // A commit whose writer died before it told anyone: of an upload that is ready.
    let store = pair.world.store();
    let new = NewUpload {
        id: pair.world.ambient.id(),
        owner: ann.who.user_id().clone(),
        kind: MediaKind::Image,
        mime_type: "image/png".into(),
        size: 10,
    };
    let upload = store.create_upload(new, None).await.unwrap();
    let server = pair.world.ambient.id::<Incarnation>();
    store.renew_lease(&server, std::time::Duration::from_secs(60), false).await.unwrap();
    let ClaimedUpload::Claimed(claim) = store.claim_upload(&upload.id, &server).await.unwrap() else { panic!() };
    let end = UploadEnd::Ready { variants: Vec::new(), details: UploadDetails::default() };
    store.end_upload(&claim, end).await.unwrap().unwrap();
    let (character, owner) = (mara.id.clone(), ann.who.user_id().clone());
    let new = NewPicture { character, upload: upload.id.clone(), owner, words: PictureWords::default() };
    assert_eq!(store.add_picture(new, 10).await.unwrap(), AddPicture::Added);
    within_a_second("the picture", async || sizes().await == [1, 1]).await;
    pair.servers[1].platform.remove_picture(&ann.who, &mara.id, &upload.id).await.unwrap();
    assert_eq!(sizes().await[1], 0, "whoever makes a change sees it at once");
    within_a_second("that it is gone", async || sizes().await == [0, 0]).await;
}
