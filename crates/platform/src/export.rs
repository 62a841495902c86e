//! All that somebody left here, as one zip archive: JSON and the files themselves.
//!
//! It is made while it is sent, a page of messages and a piece of a file at a time. A thread writes the archive and waits for
//! whoever reads it: between them lie some pieces of 64 KiB and no more, however much there is.

use crate::faults::OrRefuse;
use crate::media::key_of;
use crate::{CardFile, Platform};
use aim_domain::{Character, CharacterId, Code, Member, Message, Refusal, UploadId};
use aim_store::{ConversationItem, OtherVariant, StoreError};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::Serialize;
use serde_json::json;
use std::io::{self, BufWriter, Write};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

/// Rows that are read at a time.
const PAGE: u32 = 100;
const PIECE: usize = 64 * 1024;
/// Pieces that wait for whoever reads.
const WAITING: usize = 4;
/// Whoever takes nothing for so long has left.
const PATIENCE: Duration = Duration::from_secs(60);
/// Archives that are made at a time in this process.
pub(crate) const AT_A_TIME: usize = 2;

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// A piece of the archive is sent when it is full.
struct Outgoing {
    pieces: Pieces,
    runtime: Handle,
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        let send = async { tokio::time::timeout(PATIENCE, self.pieces.send(Ok(piece))).await };
        match self.runtime.block_on(send) {
            Ok(Ok(())) => Ok(bytes.len()),
            _ => Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the archive any more")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Archive = ZipWriter<StreamWriter<BufWriter<Outgoing>>>;

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn packed() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn as_it_is() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

/// A message as it stands in the archive.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    #[serde(flatten)]
    message: &'a Message,
    /// What its reply says besides the chosen answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_variants: Vec<OtherVariant>,
}

struct Export {
    platform: Platform,
    who: Member,
    runtime: Handle,
    archive: Archive,
}

impl Export {
    fn wait<T>(&self, for_what: impl Future<Output = Result<T, StoreError>>) -> io::Result<T> {
        self.runtime.block_on(for_what).map_err(failed)
    }

    fn begin(&mut self, name: &str, options: SimpleFileOptions) -> io::Result<()> {
        self.archive.start_file(name, options).map_err(failed)
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.archive, value).map_err(failed)
    }

    fn write(mut self) -> io::Result<()> {
        self.account()?;
        self.characters()?;
        self.conversations()?;
        self.uploads()?;
        self.archive.finish().map_err(failed)?.into_inner().flush()
    }

    fn account(&mut self) -> io::Result<()> {
        let (store, id) = (self.platform.store.clone(), self.who.user_id().clone());
        let user = self.wait(store.user(&id))?.ok_or_else(|| failed("the account is gone"))?;
        let standing = self.wait(store.mail_standing(&id))?;
        let sessions = self.wait(store.sessions(&id))?;
        let devices: Vec<_> = sessions
            .iter()
            .map(|one| json!({ "device": one.device, "createdAt": one.created_at, "lastUsedAt": one.last_used_at }))
            .collect();
        let usage = self.wait(store.usages(&id))?;
        let usage: Vec<_> = usage
            .iter()
            .map(|(character, used)| {
                json!({ "characterId": character, "text": used.text, "audio": used.audio, "image": used.image, "since": used.since })
            })
            .collect();
        self.begin("profile.json", packed())?;
        let profile = json!({
            "user": user, "emailConfirmed": standing.confirmed, "unwantedNotices": standing.unwanted,
            "devices": devices, "usage": usage,
        });
        self.json(&profile)?;
        let preferences = self.wait(store.preferences(&id))?.map(|saved| saved.body).unwrap_or_default();
        let blocked: Vec<_> = self
            .wait(store.blocks(&id))?
            .iter()
            .map(|one| json!({ "username": one.user.username, "since": one.created_at }))
            .collect();
        let reported: Vec<_> = self
            .wait(store.own_cases(&id))?
            .iter()
            .map(|case| {
                json!({
                    "kind": case.kind, "id": case.target_id, "reason": case.reason, "note": case.note,
                    "createdAt": case.created_at, "state": case.state,
                })
            })
            .collect();
        self.begin("safety.json", packed())?;
        self.json(&json!({ "blocked": blocked, "reported": reported }))?;
        self.begin("preferences.json", packed())?;
        self.json(&preferences)?;
        self.begin("personas.json", packed())?;
        let personas = self.wait(store.personas(&id))?;
        self.json(&personas)?;
        for draft in self.wait(store.drafts(&id))? {
            self.begin(&format!("drafts/{}.json", draft.key), packed())?;
            self.json(&json!({ "savedAt": draft.saved_at, "expiresAt": draft.expires_at, "data": draft.body }))?;
        }
        Ok(())
    }

    fn characters(&mut self) -> io::Result<()> {
        let (store, id) = (self.platform.store.clone(), self.who.user_id().clone());
        let mut after: Option<CharacterId> = None;
        loop {
            let page = self.wait(store.own_characters(&id, after.as_ref(), PAGE))?;
            for character in &page {
                self.character(character)?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some(last.id.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// One character as a card, which other programs take as well. One that was deleted meanwhile is left out.
    fn character(&mut self, character: &Character) -> io::Result<()> {
        let card = match self.runtime.block_on(self.platform.export_card(&self.who, &character.id, CardFile::Json)) {
            Ok(card) => card,
            Err(refusal) if refusal.code == Code::NotFound => return Ok(()),
            Err(refusal) => return Err(failed(refusal.detail)),
        };
        self.begin(&format!("characters/{}.json", character.id), packed())?;
        self.archive.write_all(&card.bytes)?;
        // The pictures themselves are among the uploads, under the same ids.
        let store = self.platform.store.clone();
        let gallery = self.wait(store.gallery(&character.id))?;
        match gallery.map(|gallery| gallery.items).filter(|items| !items.is_empty()) {
            Some(items) => {
                self.begin(&format!("characters/{}.gallery.json", character.id), packed())?;
                self.json(&items)
            }
            None => Ok(()),
        }
    }

    fn conversations(&mut self) -> io::Result<()> {
        let (store, id) = (self.platform.store.clone(), self.who.user_id().clone());
        let mut cursor: Option<String> = None;
        loop {
            let page = self.wait(store.conversations(&id, cursor.as_deref(), PAGE))?;
            page.items.iter().try_for_each(|item| self.conversation("conversations", item))?;
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        // In a folder of its own: one may be deleted while this goes on, and stand in both lists.
        loop {
            let keep = self.platform.settings.keep_deleted_conversations;
            let page = self.wait(store.deleted_conversations(&id, keep, cursor.as_deref(), PAGE))?;
            page.items.iter().try_for_each(|item| self.conversation("deleted-conversations", item))?;
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    fn conversation(&mut self, folder: &str, item: &ConversationItem) -> io::Result<()> {
        let (store, user) = (self.platform.store.clone(), self.who.user_id().clone());
        let (talk, keep) = (&item.conversation.id, self.platform.settings.keep_deleted_conversations);
        self.begin(&format!("{folder}/{talk}.json"), packed())?;
        write!(self.archive, "{{\"conversation\":{},\n\"messages\":[", serde_json::to_string(item)?)?;
        let mut after = 0;
        // Gone, or left, since the list was read: what is there so far is what there is.
        while let Some(page) = self.wait(store.own_messages(talk, &user, keep, after, PAGE))? {
            for message in &page.items {
                let other_variants = match message.variants {
                    Some(_) => self.wait(store.other_variants(talk, &user, keep, message.seq))?,
                    None => Vec::new(),
                };
                let line = serde_json::to_string(&Said { message, other_variants })?;
                write!(self.archive, "{}\n{line}", if after == 0 { "" } else { "," })?;
                after = message.seq;
            }
            if !page.has_more {
                break;
            }
        }
        self.archive.write_all(b"\n]}\n")
    }

    fn uploads(&mut self) -> io::Result<()> {
        let (store, id) = (self.platform.store.clone(), self.who.user_id().clone());
        let mut after: Option<UploadId> = None;
        loop {
            let page = self.wait(store.own_uploads(&id, after.as_ref(), PAGE))?;
            for upload in &page {
                self.begin(&format!("media/{}/upload.json", upload.id), packed())?;
                self.json(upload)?;
                for variant in &upload.variants {
                    let extension = variant.mime_type.rsplit('/').next().unwrap_or_default();
                    let name = format!("media/{}/{}.{extension}", upload.id, variant.name);
                    self.file(&name, &key_of(&upload.id, &variant.name))?;
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some(last.id.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// One that was deleted meanwhile is left out.
    fn file(&mut self, name: &str, key: &str) -> io::Result<()> {
        let Ok(media) = self.platform.media() else { return Ok(()) };
        let files = media.files.clone();
        let Some(found) = self.runtime.block_on(files.get(key)).map_err(failed)? else { return Ok(()) };
        let mut pieces = self.runtime.block_on(files.read(key, 0..found.size)).map_err(failed)?;
        self.begin(name, as_it_is())?;
        while let Some(piece) = self.runtime.block_on(pieces.next()) {
            self.archive.write_all(&piece.map_err(failed)?)?;
        }
        Ok(())
    }
}

impl Platform {
    /// One's own account as a zip archive, as it comes. A stream that ends with an error is no whole archive.
    pub async fn export(
        &self,
        who: &Member,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static + use<>, Refusal> {
        let Ok(place) = self.exports.clone().try_acquire_owned() else {
            let busy = "Others are having their data packed just now. Try again in a minute.";
            return Err(Refusal::unavailable(busy).retry_after(PATIENCE));
        };
        // Before the answer begins: what fails here is told as a problem.
        self.store.user(who.user_id()).await.or_refuse()?.ok_or_else(|| Refusal::not_found("user"))?;
        let (pieces, taken) = mpsc::channel(WAITING);
        let (platform, who, runtime) = (self.clone(), who.clone(), Handle::current());
        tokio::task::spawn_blocking(move || {
            let _place = place;
            let outgoing = Outgoing { pieces: pieces.clone(), runtime: runtime.clone() };
            let archive = ZipWriter::new_stream(BufWriter::with_capacity(PIECE, outgoing));
            let export = Export { platform, who, runtime: runtime.clone(), archive };
            if let Err(error) = export.write() {
                tracing::warn!(%error, "an export broke off");
                // The reader sees the break, if it is still there.
                let _ = pieces.try_send(Err(error));
            }
        });
        Ok(futures::stream::unfold(taken, async |mut taken| taken.recv().await.map(|piece| (piece, taken))))
    }
}
