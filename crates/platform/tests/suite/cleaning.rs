//! Cleanup: what is over goes, by the jobs' schedules and by hand; a dry run only counts.

use crate::world::{World, eventually, settings};
use aim_backbone::queue::{EMAIL, Failure, Handler, NewJob, WorkerSettings};
use aim_domain::{Figures, Incarnation, MediaKind, Timestamp, UploadId};
use aim_platform::Settings;
use aim_platform::jobs::cleanup::Cleaned;
use aim_store::{NewUpload, Part, Sample, Stale, Stretch};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn count(cleaned: &[Cleaned], what: Stale) -> u64 {
    counted(cleaned, what.as_str())
}

fn counted(cleaned: &[Cleaned], what: &str) -> u64 {
    cleaned.iter().find(|of| of.what == what).unwrap().count.unwrap()
}

#[tokio::test]
async fn a_dry_run_says_what_goes_and_the_workers_take_it() {
    let world = World::new().await;
    let settings = Settings { keep_samples: Duration::from_secs(60), ..settings() };
    let mut server = world.made_of(world.store(), Arc::new(world.remote()), settings).await;
    let (platform, id): (_, Incarnation) = (server.platform.clone(), server.platform.ambient.id());
    let old = Timestamp(platform.ambient.now().0 - 120_000);
    let figures = Figures { counts: [("cache-asked".to_owned(), 1)].into(), ..Default::default() };
    for at in [old, Timestamp(old.0 - 60_000), platform.ambient.now()] {
        platform.store.add_sample(Sample { server: id.clone(), at, figures: figures.clone() }).await.unwrap();
    }
    for _ in 0..2 {
        let dry = platform.clean_up(true).await.unwrap();
        let others = dry.iter().filter(|of| Stale::ALL.iter().all(|what| what.as_str() != of.what));
        let others: Vec<_> = others.map(|of| (of.what, of.count)).collect();
        let of_uploads = ["uploads", "deleted-uploads", "expired-parts", "stray-files"].map(|what| (what, Some(0)));
        let told = [
            &[("accounts", Some(0)), ("conversations", Some(0))][..],
            &of_uploads[..],
            &[("search", None), ("jobs", Some(0))],
        ];
        assert_eq!(others, told.concat(), "everything is told of, and what cannot be counted is not called nothing");
        assert_eq!(dry.len(), Stale::ALL.len() + others.len());
        assert_eq!((count(&dry, Stale::Samples), count(&dry, Stale::Changes)), (2, 0), "nothing went");
    }
    server.work().await;
    eventually("the schedule runs at once", || async {
        count(&platform.clean_up(true).await.unwrap(), Stale::Samples) == 0
    })
    .await;
    assert_eq!(count(&platform.clean_up(false).await.unwrap(), Stale::Samples), 0);
    let ever = Stretch { from: Timestamp(0), to: Timestamp(i64::MAX) };
    let kept = platform.store.measured(ever).await.unwrap();
    assert_eq!(kept.count("cache-asked"), 1, "the new one stays");
}

#[tokio::test]
async fn jobs_that_ended_long_ago_go_and_younger_ones_stay() {
    let world = World::new().await;
    let settings = Settings { keep_finished_jobs: Duration::from_secs(3_600), ..settings() };
    let server = world.made_of(world.store(), Arc::new(world.remote()), settings).await;
    let queue = &server.platform.backbone.queue;
    let settings = WorkerSettings { concurrency: 1, stalled_after: Duration::from_secs(5) };
    let answer: Handler = Arc::new(|run| {
        Box::pin(async move { if run.id.contains("bad") { Err(Failure::Final("no".into())) } else { Ok(json!({})) } })
    });
    queue.work(EMAIL, settings, answer).await.unwrap();
    let end = async |id: &str| {
        let job = NewJob {
            queue: EMAIL,
            name: "m",
            id: id.to_owned(),
            data: json!({}),
            attempts: 1,
            backoff: Duration::ZERO,
            delay: Duration::ZERO,
            priority: 0,
        };
        queue.add(job).await.unwrap();
        eventually("it ends", || async { queue.job(EMAIL, id).await.unwrap().unwrap().finished_at.is_some() }).await;
    };
    end("old-good").await;
    end("old-bad").await;
    world.clock.advance(Duration::from_secs(3_601));
    end("new-good").await;
    end("new-bad").await;
    let jobs = async |dry_run| {
        let cleaned = server.platform.clean_up(dry_run).await.unwrap();
        counted(&cleaned, "jobs")
    };
    assert_eq!((jobs(true).await, jobs(false).await, jobs(true).await), (2, 2, 0));
    assert!(queue.job(EMAIL, "old-bad").await.unwrap().is_none());
    assert!(queue.job(EMAIL, "new-good").await.unwrap().is_some());
}

/// Stores a file and lets it have lain there for so long.
async fn lies(world: &World, key: &str, age: Duration) {
    world.files().put(key, "bytes".into()).await.unwrap();
    let_lie(world, key, age);
}

fn let_lie(world: &World, key: &str, age: Duration) {
    let at = world.ambient.now().0 - age.as_millis() as i64;
    let file = std::fs::File::options().append(true).open(world.media_folder().join(key)).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_millis(at as u64)).unwrap();
}

async fn is_there(world: &World, key: &str) -> bool {
    world.files().get(key).await.unwrap().is_some()
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[tokio::test]
async fn bytes_whose_server_died_before_their_row_go_after_a_day() {
    let world = World::new().await;
    let server = world.idle(settings()).await;
    let (platform, tess) = (&server.platform, server.person("tess").await);
    let new = |id: UploadId| NewUpload {
        id,
        owner: tess.who.user_id().clone(),
        kind: MediaKind::Audio,
        mime_type: "audio/wav".into(),
        size: 5,
    };
    let [known, resumed, stray, young]: [UploadId; 4] = std::array::from_fn(|_| world.ambient.id());
    platform.store.create_upload(new(known.clone()), None).await.unwrap();
    platform.store.create_resumable(&resumed, tess.who.user_id(), 100, 3).await.unwrap();
    let keys = |id: &UploadId| [format!("uploads/{id}/original"), format!("parts/{id}/0-{id}")];
    let (old, fresh) = (DAY + Duration::from_secs(60), DAY - Duration::from_secs(60));
    for key in [keys(&known), keys(&resumed), keys(&stray)].concat() {
        lies(&world, &key, old).await;
    }
    for key in keys(&young) {
        lies(&world, &key, fresh).await;
    }
    // A file that was being stored when its server died, one that is being stored, and what is nobody's business here.
    let cut = [format!("uploads/{stray}/original#1"), format!("uploads/{stray}/original#2")];
    for (name, age) in [(&cut[0], old), (&cut[1], fresh), (&"uploads/notes.md".to_owned(), old)] {
        std::fs::write(world.media_folder().join(name), "half").unwrap();
        let_lie(&world, name, age);
    }

    for (dry_run, strays) in [(true, 4), (true, 4), (false, 4), (true, 0)] {
        assert_eq!(counted(&platform.clean_up(dry_run).await.unwrap(), "stray-files"), strays, "{dry_run}");
    }
    for (key, stays) in [
        (&keys(&known)[0], true),
        // Of an upload that is whole: its parts were to go when it became so.
        (&keys(&known)[1], false),
        (&keys(&resumed)[0], true),
        (&keys(&resumed)[1], true),
        (&keys(&stray)[0], false),
        (&keys(&stray)[1], false),
        (&keys(&young)[0], true),
        (&keys(&young)[1], true),
    ] {
        assert_eq!(is_there(&world, key).await, stays, "{key}");
    }
    let lies = |name: &str| world.media_folder().join(name).exists();
    assert_eq!((lies(&cut[0]), lies(&cut[1]), lies("uploads/notes.md")), (false, true, true));
}

#[tokio::test]
async fn what_another_database_may_know_is_left_alone() {
    let world = World::new().await;
    let server = world.idle(settings()).await;
    let (platform, tess) = (&server.platform, server.person("tess").await);
    let strays = async |act| platform.remove_strays(DAY, act).await.unwrap();
    let [unknown, known]: [UploadId; 2] = std::array::from_fn(|_| world.ambient.id());
    let key = |id: &UploadId| format!("uploads/{id}/original");
    lies(&world, &key(&unknown), DAY * 2).await;
    assert_eq!((strays(false).await, strays(true).await), (0, 0), "none is known: is this the right database?");
    assert!(is_there(&world, &key(&unknown)).await);

    let (owner, mime_type) = (tess.who.user_id().clone(), "audio/wav".to_owned());
    let new = NewUpload { id: known.clone(), owner, kind: MediaKind::Audio, mime_type, size: 5 };
    platform.store.create_upload(new, None).await.unwrap();
    lies(&world, &key(&known), DAY * 2).await;
    // Somebody else's, in a place that is shared.
    for theirs in ["uploads/u1/photo", "uploads/2024/original", &format!("uploads/{unknown}/photo.jpg")] {
        lies(&world, theirs, DAY * 2).await;
    }
    assert_eq!((strays(false).await, strays(true).await, strays(true).await), (1, 1, 0));
    assert!(is_there(&world, "uploads/u1/photo").await && is_there(&world, &key(&known)).await);
    assert!(!is_there(&world, &key(&unknown)).await);
}

#[tokio::test]
async fn a_dry_run_tells_of_uploads_whose_bytes_wait_and_a_run_takes_them() {
    let world = World::new().await;
    let settings = Settings { resumable_age: Duration::from_secs(60), ..settings() };
    let server = world.idle(settings).await;
    let (platform, tess) = (&server.platform, server.person("tess").await);
    let [deleted, parts]: [UploadId; 2] = std::array::from_fn(|_| world.ambient.id());
    let (owner, mime_type) = (tess.who.user_id().clone(), "audio/wav".to_owned());
    let new = NewUpload { id: deleted.clone(), owner: owner.clone(), kind: MediaKind::Audio, mime_type, size: 5 };
    platform.store.create_upload(new, None).await.unwrap();
    // As when the storage does not answer: the row says what is left to do.
    platform.store.delete_upload(&deleted, None).await.unwrap();
    let (original, part) = (format!("uploads/{deleted}/original"), format!("parts/{parts}/0-a"));
    for key in [&original, &part] {
        world.files().put(key, "bytes".into()).await.unwrap();
    }
    platform.store.create_resumable(&parts, &owner, 100, 3).await.unwrap();
    platform.store.add_part(&parts, &owner, 0, &Part { key: part.clone(), size: 5 }).await.unwrap();
    world.clock.advance(Duration::from_secs(61));
    for (dry_run, left) in [(true, 1), (true, 1), (false, 1), (true, 0)] {
        let cleaned = platform.clean_up(dry_run).await.unwrap();
        assert_eq!(
            (counted(&cleaned, "deleted-uploads"), counted(&cleaned, "expired-parts")),
            (left, left),
            "{dry_run}"
        );
        assert_eq!(counted(&cleaned, "stray-files"), 0);
    }
    assert!(!is_there(&world, &original).await && !is_there(&world, &part).await);
}
