//! Pictures and voice messages: sent whole, processed, shown in messages, served to those who may see them.

use crate::app::{Answer, Person, TestApp};
use aim_domain::{ManualClock, Timestamp};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

/// A PNG of stripes.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    fn chunk(out: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(data);
        out.extend_from_slice(&(data.len() as u32).to_be_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(data);
        out.extend_from_slice(&crc.sum().to_be_bytes());
    }
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::fast());
    for y in 0..height {
        rows.write_all(&[0]).unwrap();
        for x in 0..width {
            rows.write_all(&[(x * 7) as u8, (y * 5) as u8, if x / 8 % 2 == 0 { 200 } else { 40 }]).unwrap();
        }
    }
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(&mut out, b"IHDR", &[head.as_slice(), &[8, 2, 0, 0, 0]].concat());
    chunk(&mut out, b"IDAT", &rows.finish().unwrap());
    chunk(&mut out, b"IEND", &[]);
    out
}

/// A WAV of a tone, 8 kHz, 16 bits, one channel.
pub fn wav(length: Duration) -> Vec<u8> {
    let samples = length.as_millis() as u32 * 8;
    let data: Vec<u8> = (0..samples)
        .flat_map(|n| {
            let loud = 30_000.0 * f64::from(n) / f64::from(samples);
            (((f64::from(n) * 0.3).sin() * loud) as i16).to_le_bytes()
        })
        .collect();
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

impl TestApp {
    pub async fn upload(&self, who: &Person, bytes: Vec<u8>) -> Value {
        self.post("/api/uploads").by(who).file(bytes).send().await.expect(201).json()["upload"].clone()
    }

    /// The upload once it is processed.
    pub async fn processed(&self, who: &Person, id: &str) -> Value {
        let began = Instant::now();
        loop {
            let body = self.get(&format!("/api/uploads/{id}")).by(who).send().await.expect(200).json();
            if body["upload"]["status"] != "processing" {
                return body["upload"].clone();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it is still {body}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub async fn ready(&self, who: &Person, bytes: Vec<u8>) -> Value {
        let upload = self.upload(who, bytes).await;
        let upload = self.processed(who, text(&upload["id"])).await;
        assert_eq!(upload["status"], "ready", "{upload}");
        upload
    }

    async fn show(&self, who: &Person, conversation: &str, body: Value) -> Answer {
        self.post(&format!("/api/conversations/{conversation}/messages")).by(who).body(body).send().await
    }

    /// Waits for the reply to a message, and answers what the model was asked last.
    pub async fn answered(&self, who: &Person, conversation: &str, message: &Value) -> Value {
        let began = Instant::now();
        loop {
            let path = format!("/api/conversations/{conversation}/messages");
            let page = self.get(&path).by(who).send().await.expect(200).json();
            let items = page["items"].as_array().unwrap();
            if items.iter().any(|item| item["inReplyTo"] == message["id"]) {
                return items.iter().find(|item| item["id"] == message["id"]).unwrap().clone();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no reply: {page}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_processed_shown_and_answered() {
    let app = TestApp::lifted().await;
    let tess = app.person("tess").await;
    let upload = app.upload(&tess, png(1_600, 400)).await;
    assert_eq!(
        (&upload["kind"], &upload["status"], &upload["variants"]),
        (&json!("image"), &json!("processing"), &json!([]))
    );
    let id = text(&upload["id"]).to_owned();
    let ready = app.processed(&tess, &id).await;
    assert_eq!((&ready["width"], &ready["height"], &ready["status"]), (&json!(1_600), &json!(400), &json!("ready")));
    assert_eq!(ready["url"], format!("/media/{id}/display"));
    let names: Vec<_> = ready["variants"].as_array().unwrap().iter().map(|variant| text(&variant["name"])).collect();
    assert_eq!(names, ["thumb", "display", "full"]);
    let blur = text(&ready["blurHash"]);
    assert!(blur.len() > 6, "{blur}");

    let character = app.character(&tess, "Mara").await;
    let conversation = app.conversation(&tess, &character).await;
    let body = json!({ "type": "image", "uploadId": id, "text": "look at lg#1", "clientId": "c1" });
    let sent = app.show(&tess, &conversation, body.clone()).await.expect(202).json();
    let media = &sent["message"]["media"];
    assert_eq!((&media["uploadId"], &media["mimeType"]), (&json!(id), &json!("image/webp")));
    assert_eq!((&media["width"], &media["height"], &media["blurHash"]), (&json!(1_280), &json!(320), &json!(blur)));
    assert_eq!(sent["usage"]["image"]["used"], 1);
    let again = app.show(&tess, &conversation, body).await.expect(202).json();
    assert_eq!((&again["message"]["id"], &again["usage"]["image"]["used"]), (&sent["message"]["id"], &json!(1)));
    let stored = app.answered(&tess, &conversation, &sent["message"]).await;
    assert_eq!(&stored["media"], media);
    let asked = app.model.asked().last().unwrap().messages.last().unwrap().clone();
    assert!(asked.content.starts_with("[picture attached]\nlook at lg#1"), "{asked:?}");
    assert!(asked.pictures.is_empty(), "this model sees none");

    let bytes = app.get(text(&media["url"])).by(&tess).send().await.expect(200);
    assert_eq!(&bytes.bytes[..4], b"RIFF");
    assert_eq!(&bytes.bytes[8..12], b"WEBP");
    // What was sent is kept nowhere: it may hold more than its picture.
    app.get(&format!("/media/{id}/original")).by(&tess).send().await.problem(404, "not_found");
    assert!(!app.data.path().join(format!("media/uploads/{id}/original")).exists());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_sees_is_shown_the_picture() {
    let lifted = [("AIM_AI__VISION", "true"), ("AIM_LIMITS__MULTIPLIER", "1000")];
    let app = TestApp::with(&lifted).await;
    let tess = app.person("tess").await;
    let upload = app.ready(&tess, png(40, 30)).await;
    let character = app.character(&tess, "Mara").await;
    let conversation = app.conversation(&tess, &character).await;
    let body = json!({ "type": "image", "uploadId": upload["id"], "clientId": "c1" });
    let sent = app.show(&tess, &conversation, body).await.expect(202).json();
    app.answered(&tess, &conversation, &sent["message"]).await;
    let shown = app.model.asked().last().unwrap().messages.last().unwrap().pictures.clone();
    assert_eq!(shown.len(), 1);
    assert!(shown[0].starts_with("data:image/webp;base64,UklGR"), "{}", &shown[0][..60]);
    // It is still before its eyes with the next message.
    let sent = app.show(&tess, &conversation, json!({ "type": "text", "text": "And?", "clientId": "c2" })).await.json();
    app.answered(&tess, &conversation, &sent["message"]).await;
    let asked = app.model.asked().last().unwrap().messages.clone();
    let with: Vec<_> = asked.iter().map(|message| message.pictures.len()).collect();
    assert_eq!(with.iter().sum::<usize>(), 1, "{with:?}");
    assert_eq!(asked[with.iter().position(|count| *count == 1).unwrap()].content, "[picture attached]");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_message_has_its_length_and_waveform_and_is_served_in_ranges() {
    let app = TestApp::lifted().await;
    let tess = app.person("tess").await;
    let sound = wav(Duration::from_millis(2_500));
    let upload = app.ready(&tess, sound.clone()).await;
    assert_eq!((&upload["kind"], &upload["lengthMs"]), (&json!("audio"), &json!(2_500)));
    let wave = upload["waveform"].as_array().unwrap();
    assert!(wave.len() > 20 && wave.first().unwrap().as_u64() < wave.last().unwrap().as_u64(), "{wave:?}");
    let character = app.character(&tess, "Mara").await;
    let conversation = app.conversation(&tess, &character).await;
    let body = json!({ "type": "audio", "uploadId": upload["id"], "clientId": "c1" });
    let sent = app.show(&tess, &conversation, body).await.expect(202).json();
    let media = &sent["message"]["media"];
    assert_eq!((&media["lengthMs"], &media["waveform"]), (&upload["lengthMs"], &upload["waveform"]));
    app.answered(&tess, &conversation, &sent["message"]).await;
    let asked = app.model.asked().last().unwrap().messages.last().unwrap().content.clone();
    assert_eq!(asked, "[voice message without a transcript]");

    let url = text(&upload["url"]);
    let whole = app.get(url).by(&tess).send().await.expect(200);
    assert_eq!((whole.header("content-type"), whole.header("accept-ranges")), ("audio/wav", "bytes"));
    assert_eq!(whole.header("cache-control"), "private, max-age=31536000, immutable");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert!(whole.header("content-disposition").starts_with("inline; filename="));
    assert!(whole.header("ratelimit").is_empty(), "media count no api");
    assert_eq!(whole.bytes, sound);
    let etag = whole.header("etag").to_owned();
    let last = sound.len() - 1;
    let part = app.get(url).by(&tess).header("range", "bytes=100-199").send().await.expect(206);
    assert_eq!(part.header("content-range"), format!("bytes 100-199/{}", sound.len()));
    assert_eq!(part.bytes, sound[100..200]);
    let end = app.get(url).by(&tess).header("range", "bytes=-10").send().await.expect(206);
    assert_eq!((end.bytes.as_slice(), end.header("content-length")), (&sound[last - 9..], "10"));
    let none = app.get(url).by(&tess).header("range", &format!("bytes={}-", sound.len())).send().await.expect(416);
    assert_eq!(none.header("content-range"), format!("bytes */{}", sound.len()));
    let other =
        app.get(url).by(&tess).header("range", "bytes=0-9").header("if-range", "\"x\"").send().await.expect(200);
    assert_eq!(other.bytes.len(), sound.len());
    let same = app.get(url).by(&tess).header("if-none-match", &etag).send().await.expect(304);
    assert!(same.bytes.is_empty());
    let head = app.call(reqwest::Method::HEAD, url).by(&tess).send().await.expect(200);
    assert_eq!(head.header("content-length"), sound.len().to_string());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_are_served_to_those_who_may_see_them() {
    let app = TestApp::lifted().await;
    let (tess, ines, zoe) = (app.person("tess").await, app.person("ines").await, app.person("zoe").await);
    let upload = app.ready(&tess, png(30, 30)).await;
    let url = format!("/media/{}/thumb", text(&upload["id"]));
    let character = app.character(&tess, "Mara").await;
    let conversation = app.conversation(&tess, &character).await;
    let add = json!({ "userId": ines.id });
    app.post(&format!("/api/conversations/{conversation}/members")).by(&tess).body(add).send().await.expect(200);
    app.get(&url).by(&ines).send().await.problem(404, "not_found");
    let body = json!({ "type": "image", "uploadId": upload["id"], "clientId": "c1" });
    app.show(&tess, &conversation, body).await.expect(202);
    app.get(&url).by(&ines).send().await.expect(200);
    app.get(&url).cookie(&ines).send().await.expect(200);
    app.get(&url).by(&zoe).send().await.problem(404, "not_found");
    app.get(&url).send().await.problem(401, "unauthenticated");
    app.get("/media/nothing/thumb").send().await.problem(401, "unauthenticated");
    app.get("/media/nothing/thumb").by(&zoe).send().await.problem(404, "not_found");
    app.get("/media/..%2f..%2fetc/passwd").by(&zoe).send().await.problem(404, "not_found");
    let id = text(&upload["id"]);
    app.get(&format!("/media/{id}/huge")).by(&tess).send().await.problem(404, "not_found");
    app.get(&format!("/api/uploads/{id}")).by(&ines).send().await.problem(404, "not_found");
    app.delete(&format!("/api/uploads/{id}")).by(&ines).send().await.problem(404, "not_found");
    app.delete(&format!("/api/uploads/{id}")).by(&tess).send().await.problem(409, "conflict");
    // Another's upload is no picture of one's own, neither in a message nor on a profile.
    let other = app.conversation(&zoe, &character).await;
    let stolen = json!({ "type": "image", "uploadId": id, "clientId": "c1" });
    app.show(&zoe, &other, stolen).await.problem(422, "validation");
    app.patch("/api/users/me").by(&zoe).body(json!({ "avatarUrl": url })).send().await.expect(200);
    app.get(&url).by(&zoe).send().await.problem(404, "not_found");
    app.patch("/api/users/me").by(&tess).body(json!({ "avatarUrl": url })).send().await.expect(200);
    app.get(&url).by(&zoe).send().await.expect(200);
    app.get(&url).send().await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_address_needs_no_session_for_an_hour() {
    let clock = ManualClock::at(Timestamp(1_795_408_728_120));
    let app = TestApp::at(clock.clone()).await;
    let tess = app.person("tess").await;
    let upload = app.ready(&tess, png(30, 30)).await;
    let id = text(&upload["id"]);
    let signed = app.get(&format!("/api/uploads/{id}?signed=1")).by(&tess).send().await.expect(200).json();
    let urls: Vec<&str> =
        signed["upload"]["variants"].as_array().unwrap().iter().map(|one| text(&one["url"])).collect();
    for url in &urls {
        app.get(url).send().await.expect(200);
    }
    assert!(!text(&upload["url"]).contains("signature"), "signed is what was asked to be");
    app.get(&urls[0].replace("/thumb", "/full")).send().await.problem(403, "forbidden");
    app.get(&urls[0].replace("expires=1", "expires=2")).send().await.problem(403, "forbidden");
    app.get(&format!("{}x", urls[0])).send().await.problem(403, "forbidden");
    clock.advance(Duration::from_secs(3_601));
    app.get(urls[0]).send().await.problem(403, "forbidden");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_upload_is_refused_with_its_reason() {
    let app = TestApp::lifted().await;
    let tess = app.person("tess").await;
    let send = async |bytes: &[u8]| app.post("/api/uploads").by(&tess).file(bytes).send().await;
    send(b"").await.problem(422, "validation");
    send(b"just words, called any.exe").await.problem(415, "unsupported_media_type");
    let svg = send(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>").await;
    assert!(text(&svg.problem(415, "unsupported_media_type")["detail"]).contains("SVG"));
    let mut long = png(8, 8);
    long.resize(25 * 1024 * 1024 + 1, 7);
    send(&long).await.problem(413, "payload_too_large");
    let mut loud = wav(Duration::from_millis(100));
    loud.resize(51 * 1024 * 1024, 7);
    send(&loud).await.problem(413, "payload_too_large");
    app.post("/api/uploads").by(&tess).body(json!({})).send().await.problem(415, "unsupported_media_type");
    let form = "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b--\r\n";
    let missing = app.post("/api/uploads").by(&tess).raw("multipart/form-data; boundary=b", form).send().await;
    assert_eq!(missing.problem(422, "validation")["errors"][0]["field"], "file");
    let cut = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nGIF89a";
    app.post("/api/uploads")
        .by(&tess)
        .raw("multipart/form-data; boundary=b", cut)
        .send()
        .await
        .problem(422, "validation");
    app.post("/api/uploads").file(png(8, 8)).send().await.problem(401, "unauthenticated");
    let left: Vec<_> = std::fs::read_dir(app.data.path().join("incoming")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    // What only its processing finds.
    let mut cut_off = png(200, 200);
    cut_off.truncate(cut_off.len() / 2);
    let upload = app.upload(&tess, cut_off).await;
    let failed = app.processed(&tess, text(&upload["id"])).await;
    assert_eq!(failed["status"], "failed");
    assert!(text(&failed["error"]).contains("PNG"), "{failed}");
    let character = app.character(&tess, "Mara").await;
    let conversation = app.conversation(&tess, &character).await;
    let body = json!({ "type": "image", "uploadId": failed["id"], "clientId": "c1" });
    let refused = app.show(&tess, &conversation, body).await.problem(422, "validation");
    assert_eq!(refused["errors"][0]["field"], "uploadId");
    let fine = app.ready(&tess, png(9, 9)).await;
    for body in [
        json!({ "type": "audio", "uploadId": fine["id"], "clientId": "c2" }),
        json!({ "type": "image", "clientId": "c3" }),
        json!({ "type": "text", "text": "x", "uploadId": fine["id"], "clientId": "c4" }),
        json!({ "type": "image", "uploadId": "nothing", "clientId": "c5" }),
    ] {
        app.show(&tess, &conversation, body).await.problem(422, "validation");
    }
    app.delete(&format!("/api/uploads/{}", text(&fine["id"]))).by(&tess).send().await.expect(204);
    app.get(&format!("/api/uploads/{}", text(&fine["id"]))).by(&tess).send().await.problem(404, "not_found");
    assert!(!app.data.path().join(format!("media/uploads/{}/thumb", text(&fine["id"]))).exists());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_count_upload_and_api() {
    let app = TestApp::start().await;
    let tess = app.person("tess").await;
    let picture = png(8, 8);
    for n in (0..20).rev() {
        let answer = app.post("/api/uploads").by(&tess).file(picture.clone()).send().await.expect(201);
        assert_eq!(answer.remaining("upload"), n);
    }
    let refused = app.post("/api/uploads").by(&tess).file(picture).send().await;
    assert!(!refused.header("retry-after").is_empty());
    refused.problem(429, "rate_limited");
    app.stop().await;
}
