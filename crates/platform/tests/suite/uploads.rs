//! Uploads are processed whatever is lost on the way, and a model reads what is said in a voice message.

use crate::world::{Person, Server, World};
use aim_backbone::queue::{JobState, MEDIA_PROCESSING};
use aim_domain::upload::ORIGINAL;
use aim_domain::*;
use aim_platform::{Ear, Outgoing, Received, Recording, Unheard, Via};
use aim_store::{ClaimedUpload, NewUpload};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A WAV of a second: 8 kHz, 16 bits, one channel.
fn wav() -> Vec<u8> {
    let tone = (0..8_000).map(|n| ((f64::from(n) * 0.3).sin() * 9_000.0) as i16);
    let data: Vec<u8> = tone.flat_map(i16::to_le_bytes).collect();
    let mut out = b"RIFF".to_vec();
    out.extend_from_slice(&(36 + data.len() as u32).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend_from_slice(&8_000_u32.to_le_bytes());
    out.extend_from_slice(&16_000_u32.to_le_bytes());
    out.extend_from_slice(b"\x02\0\x10\0data");
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(&data);
    out
}

/// Hears always the same, after it failed so many times.
struct Hears {
    fails: AtomicU32,
    retryable: bool,
}

#[async_trait]
impl Ear for Hears {
    async fn transcribe(&self, recording: Recording) -> Result<String, Unheard> {
        assert_eq!(recording.mime_type, "audio/wav");
        if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Unheard { detail: "as the test wants".into(), retryable: self.retryable });
        }
        Ok(" Tell me of the storm. ".into())
    }
}

fn hears(fails: u32, retryable: bool) -> Option<Arc<dyn Ear>> {
    Some(Arc::new(Hears { fails: fails.into(), retryable }))
}

async fn send_file(server: &Server, person: &Person) -> UploadView {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), wav()).unwrap();
    let sniffed = aim_platform::sniff(&wav()[..512]).unwrap();
    let received = Received { path: file.path(), size: wav().len() as u64, sniffed };
    server.platform.create_upload(&person.who, received).await.unwrap()
}

async fn settled(server: &Server, person: &Person, id: &UploadId) -> UploadView {
    let began = Instant::now();
    loop {
        let upload = server.platform.upload(&person.who, id).await.unwrap();
        if upload.status != UploadStatus::Processing {
            return upload;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it is not processed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_reads_what_is_said_in_a_voice_message() {
    let mut world = World::new().await;
    world.ear = hears(1, true);
    let server = world.server().await;
    let (tess, mara) = (server.person("tess").await, server.character("Mara").await);
    let talk = server.talk(&tess, &mara).await;
    let upload = send_file(&server, &tess).await;
    let upload = settled(&server, &tess, &upload.id).await;
    assert_eq!(upload.details.transcript.as_deref(), Some("Tell me of the storm."), "at the second attempt");
    assert_eq!(upload.details.length_ms, Some(1_000));
    let outgoing = Outgoing {
        conversation: talk.clone(),
        client_id: "c1".into(),
        kind: Kind::Audio,
        text: None,
        upload_id: Some(upload.id.clone()),
    };
    let origin = aim_backbone::bus::Origin { server: Incarnation::trusted("elsewhere"), socket: "none".into() };
    let sent = server.platform.send_message(&tess.who, outgoing, Via::Socket { origin }).await.outcome.unwrap();
    server.until(&tess, &sent.message, ReplyState::Done).await;
    assert_eq!(world.model.asked().last().unwrap().messages.last().unwrap().content, "Tell me of the storm.");
    assert_eq!(sent.message.media.unwrap().transcript.as_deref(), Some("Tell me of the storm."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_message_that_cannot_be_transcribed_is_ready_without() {
    let mut world = World::new().await;
    world.ear = hears(9, false);
    let server = world.server().await;
    let tess = server.person("tess").await;
    let upload = send_file(&server, &tess).await;
    let upload = settled(&server, &tess, &upload.id).await;
    assert_eq!((upload.status, upload.details.transcript), (UploadStatus::Ready, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_whose_job_was_lost_is_processed() {
    let world = World::new().await;
    let server = world.server().await;
    let tess = server.person("tess").await;
    let id: UploadId = world.ambient.id();
    world.files().put(&format!("uploads/{id}/{ORIGINAL}"), wav().into()).await.unwrap();
    let new = NewUpload {
        id: id.clone(),
        owner: tess.who.user_id().clone(),
        kind: MediaKind::Audio,
        mime_type: "audio/wav".into(),
        size: wav().len() as u64,
    };
    // As after a crash between the commit and the job.
    server.platform.store.create_upload(new, None).await.unwrap();
    assert_eq!(settled(&server, &tess, &id).await.status, UploadStatus::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_a_dead_server_held_is_processed_by_another() {
    let world = World::new().await;
    let server = world.idle(crate::world::settings()).await;
    let tess = server.person("tess").await;
    let upload = send_file(&server, &tess).await;
    let dead: Incarnation = world.ambient.id();
    let store = &server.platform.store;
    assert!(store.renew_lease(&dead, Duration::from_secs(1), true).await.unwrap());
    assert!(matches!(store.claim_upload(&upload.id, &dead).await.unwrap(), ClaimedUpload::Claimed(_)));
    let living = world.server().await;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(living.platform.upload(&tess.who, &upload.id).await.unwrap().status, UploadStatus::Processing);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(settled(&living, &tess, &upload.id).await.status, UploadStatus::Ready);
}

/// Writes down that it was asked.
#[derive(Default)]
struct Counts(AtomicU32);

#[async_trait]
impl Ear for Counts {
    async fn transcribe(&self, _: Recording) -> Result<String, Unheard> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok("Ahoy.".into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_brought_down_three_workers_is_given_up_without_another_look() {
    let (mut world, counts) = (World::new().await, Arc::new(Counts::default()));
    world.ear = Some(counts.clone());
    let server = world.idle(crate::world::settings()).await;
    let (tess, store) = (server.person("tess").await, &server.platform.store);
    let (twice, thrice) = (send_file(&server, &tess).await.id, send_file(&server, &tess).await.id);
    for n in 1..=3 {
        let dead: Incarnation = world.ambient.id();
        assert!(store.renew_lease(&dead, Duration::from_secs(1), true).await.unwrap());
        for id in [&twice, &thrice].into_iter().skip(usize::from(n == 3)) {
            let ClaimedUpload::Claimed(claim) = store.claim_upload(id, &dead).await.unwrap() else {
                panic!("{n}: {id}")
            };
            assert_eq!(claim.attempt, n);
        }
        world.clock.advance(Duration::from_secs(2));
    }
    let living = world.server().await;
    let given_up = settled(&living, &tess, &thrice).await;
    assert_eq!(given_up.status, UploadStatus::Failed);
    assert_eq!(given_up.details.error.as_deref(), Some("The file could not be processed."), "its owner is told");
    let ready = settled(&living, &tess, &twice).await;
    assert_eq!((ready.status, ready.details.transcript.as_deref()), (UploadStatus::Ready, Some("Ahoy.")));
    assert_eq!(counts.0.load(Ordering::SeqCst), 1, "nobody looked at the other one a fourth time");
    let files = world.files();
    assert!(files.get(&format!("uploads/{thrice}/{ORIGINAL}")).await.unwrap().is_none(), "its bytes are gone");
}

#[tokio::test]
async fn premium_files_go_first_but_pass_none_that_has_waited_for_long() {
    let world = World::new().await;
    let server = world.server().await;
    server.platform.backbone.queue.pause(MEDIA_PROCESSING).await.unwrap();
    let (ann, mut pam) = (server.person("ann").await, server.person("pam").await);
    pam.who = Arc::new(Member { tier: Tier::Premium, ..(*pam.who).clone() });
    let mut files = Vec::new();
    for who in [&ann, &ann, &pam] {
        files.push(send_file(&server, who).await.id);
    }
    world.clock.advance(Duration::from_secs(180));
    for who in [&ann, &pam] {
        files.push(send_file(&server, who).await.id);
    }
    let line = server.platform.backbone.queue.jobs(MEDIA_PROCESSING, JobState::Waiting, 0, 10).await.unwrap();
    let line: Vec<_> = line.iter().map(|job| job.data["uploadId"].as_str().unwrap().to_owned()).collect();
    let expected = [2, 0, 1, 4, 3].map(|n: usize| files[n].to_string());
    assert_eq!(line, expected);
}
