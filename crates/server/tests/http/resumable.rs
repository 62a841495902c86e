//! Uploads in parts, by the tus protocol.

use crate::app::{Answer, Person, TestApp};
use crate::media::{png, wav};
use aim_domain::Tier;
use reqwest::Method;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

impl TestApp {
    async fn begin(&self, who: &Person, length: usize) -> Answer {
        let call = self.post("/api/uploads/tus").by(who).header("tus-resumable", "1.0.0");
        call.header("upload-length", &length.to_string()).header("upload-metadata", "filename YS5leGU=").send().await
    }

    async fn part(&self, who: &Person, at: &str, offset: usize, bytes: &[u8]) -> Answer {
        let call = self.patch(at).by(who).header("tus-resumable", "1.0.0").header("upload-offset", &offset.to_string());
        call.raw("application/offset+octet-stream", bytes.to_vec()).send().await
    }

    async fn stand(&self, who: &Person, at: &str) -> Answer {
        self.call(Method::HEAD, at).by(who).header("tus-resumable", "1.0.0").send().await
    }
}

fn id_of(at: &str) -> String {
    at.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_add_up_to_an_upload() {
    let app = TestApp::with(&[("AIM_LIMITS__MULTIPLIER", "10")]).await;
    let (tess, ines) = (app.person("tess").await, app.person("ines").await);
    let sound = wav(Duration::from_secs(4));
    let begun = app.begin(&tess, sound.len()).await.expect(201);
    assert_eq!(begun.remaining("upload"), 199);
    assert_eq!((begun.header("tus-resumable"), begun.header("upload-offset")), ("1.0.0", "0"));
    assert!(begun.header("upload-expires").ends_with(" GMT"));
    let at = begun.header("location").to_owned();
    let mut offset = 0;
    for part in sound.chunks(30_000) {
        let stand = app.stand(&tess, &at).await.expect(200);
        assert_eq!(stand.header("upload-offset"), offset.to_string());
        assert_eq!(stand.header("upload-length"), sound.len().to_string());
        assert_eq!(stand.header("cache-control"), "no-store");
        let added = app.part(&tess, &at, offset, part).await.expect(204);
        assert!(added.header("ratelimit").is_empty(), "parts count no api");
        offset += part.len();
        assert_eq!(added.header("upload-offset"), offset.to_string());
    }
    assert_eq!(app.stand(&tess, &at).await.expect(200).header("upload-offset"), sound.len().to_string());
    let upload = app.processed(&tess, &id_of(&at)).await;
    assert_eq!((upload["status"].as_str(), upload["lengthMs"].as_u64()), (Some("ready"), Some(4_000)));
    let served = app.get(upload["url"].as_str().unwrap()).by(&tess).send().await.expect(200);
    assert_eq!(served.bytes, sound);
    app.stand(&ines, &at).await.expect(404);
    let parts = app.data.path().join("media/parts").join(id_of(&at));
    assert!(!parts.exists() || std::fs::read_dir(parts).unwrap().next().is_none(), "parts are gone");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_a_cut_is_kept() {
    let app = TestApp::with(&[("AIM_LIMITS__MULTIPLIER", "10")]).await;
    let tess = app.person("tess").await;
    let sound = wav(Duration::from_secs(10));
    let at = app.begin(&tess, sound.len()).await.expect(201).header("location").to_owned();
    let mut line = tokio::net::TcpStream::connect(app.running.address).await.unwrap();
    let head = format!(
        "PATCH {at} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: {}\r\n\r\n",
        tess.token,
        sound.len()
    );
    line.write_all(head.as_bytes()).await.unwrap();
    line.write_all(&sound[..70_000]).await.unwrap();
    line.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(line);
    let mut kept = 0;
    for _ in 0..200 {
        kept = app.stand(&tess, &at).await.expect(200).header("upload-offset").parse().unwrap();
        if kept > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(kept, 70_000);
    app.part(&tess, &at, kept, &sound[kept..]).await.expect(204);
    let upload = app.processed(&tess, &id_of(&at)).await;
    assert_eq!(upload["lengthMs"], 10_000);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_protocol_is_kept_to() {
    let app = TestApp::with(&[("AIM_LIMITS__MULTIPLIER", "10")]).await;
    let (tess, ines) = (app.person("tess").await, app.person("ines").await);
    let told = app.call(Method::OPTIONS, "/api/uploads/tus").send().await.expect(204);
    assert_eq!(
        (told.header("tus-version"), told.header("tus-extension")),
        ("1.0.0", "creation,expiration,termination")
    );
    assert_eq!(told.header("tus-max-size"), (50 << 20).to_string());
    let old = app.post("/api/uploads/tus").by(&tess).header("upload-length", "5").send().await.expect(412);
    assert_eq!(old.header("tus-version"), "1.0.0");
    app.begin(&tess, 0).await.problem(422, "validation");
    app.begin(&tess, (50 << 20) + 1).await.problem(413, "payload_too_large");
    let nothing = app.post("/api/uploads/tus").by(&tess).header("tus-resumable", "1.0.0").send().await;
    nothing.problem(422, "validation");
    let picture = png(64, 64);
    let at = app.begin(&tess, picture.len()).await.expect(201).header("location").to_owned();
    app.part(&ines, &at, 0, &picture).await.problem(404, "not_found");
    app.part(&tess, &at, 5, &picture).await.problem(409, "conflict");
    let long = [picture.as_slice(), &[0; 9]].concat();
    app.part(&tess, &at, 0, &long).await.problem(413, "payload_too_large");
    let typed = app.patch(&at).by(&tess).header("tus-resumable", "1.0.0").header("upload-offset", "0");
    typed.raw("image/png", picture.clone()).send().await.problem(415, "unsupported_media_type");
    app.part(&tess, "/api/uploads/tus/nothing", 0, &picture).await.problem(404, "not_found");
    let end = |who| app.delete(&at).by(who).header("tus-resumable", "1.0.0");
    end(&ines).send().await.problem(404, "not_found");
    app.part(&tess, &at, 0, &picture[..100]).await.expect(204);
    end(&tess).send().await.expect(204);
    app.stand(&tess, &at).await.expect(404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_become_an_upload_is_refused_early_and_late() {
    let app = TestApp::with(&[("AIM_LIMITS__MULTIPLIER", "10")]).await;
    let tess = app.person("tess").await;
    let at = app.begin(&tess, 5_000).await.expect(201).header("location").to_owned();
    app.part(&tess, &at, 0, &[7; 1_000]).await.problem(415, "unsupported_media_type");
    // Too short to tell at first.
    let at = app.begin(&tess, 600).await.expect(201).header("location").to_owned();
    app.part(&tess, &at, 0, &[7; 300]).await.expect(204);
    app.part(&tess, &at, 300, &[7; 300]).await.problem(415, "unsupported_media_type");
    app.stand(&tess, &at).await.expect(404);
    // A picture that says it is as large as audio may be.
    let at = app.begin(&tess, 30 << 20).await.expect(201).header("location").to_owned();
    app.part(&tess, &at, 0, &png(64, 64)).await.problem(413, "payload_too_large");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_message_in_parts_counts_its_transcript_once() {
    let app = TestApp::with(&[
        ("AIM_TRANSCRIPTION__BASE_URL", "http://127.0.0.1:9/v1"),
        ("AIM_TRANSCRIPTION__MODEL", "none"),
        ("AIM_LIMITS__PREMIUM__AI", "1"),
    ])
    .await;
    let tess = app.person("tess").await;
    // Five times as many uploads as transcripts, so that it is these that run out.
    app.running.platform.set_user("tess", Some(Tier::Premium), None).await.unwrap();
    let is_premium = async {
        while app.get("/api/auth/me").by(&tess).send().await.header("ratelimit-policy") != "\"api\";q=500;w=900" {}
    };
    tokio::time::timeout(Duration::from_secs(5), is_premium).await.unwrap();
    let sound = wav(Duration::from_millis(200));
    let begin = async || app.begin(&tess, sound.len()).await.expect(201).header("location").to_owned();
    for n in 0..20 {
        let at = begin().await;
        // By turns the first part tells what it is, or is too short to.
        let first = if n % 2 == 0 { 2_000 } else { 100 };
        app.part(&tess, &at, 0, &sound[..first]).await.expect(204);
        app.part(&tess, &at, first, &sound[first..]).await.expect(204);
    }
    let at = begin().await;
    let refused = app.part(&tess, &at, 0, &sound[..2_000]).await;
    assert!(refused.header("retry-after").parse::<u64>().is_ok());
    refused.problem(429, "rate_limited");
    assert_eq!(app.stand(&tess, &at).await.expect(200).header("upload-offset"), "0");
    let at = begin().await;
    app.part(&tess, &at, 0, &sound[..100]).await.expect(204);
    app.part(&tess, &at, 100, &sound[100..]).await.problem(429, "rate_limited");
    let picture = png(20, 20);
    let at = app.begin(&tess, picture.len()).await.expect(201).header("location").to_owned();
    app.part(&tess, &at, 0, &picture).await.expect(204);
    app.stop().await;
}
