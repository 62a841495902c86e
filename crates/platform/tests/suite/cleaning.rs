//! Cleanup: what is over goes, by the jobs' schedules and by hand; a dry run only counts.

use crate::world::{World, eventually, settings};
use aim_domain::{Figures, Incarnation, Timestamp};
use aim_platform::Settings;
use aim_platform::jobs::cleanup::Cleaned;
use aim_store::{Sample, Stale, Stretch};
use std::sync::Arc;
use std::time::Duration;

fn count(cleaned: &[Cleaned], what: Stale) -> u64 {
    cleaned.iter().find(|of| of.what == what.as_str()).unwrap().count
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
        assert_eq!(dry.len(), Stale::ALL.len() + 3, "everything is told of: uploads, accounts and words too");
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
