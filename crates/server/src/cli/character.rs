//! `aim character …`: bringing characters in from files, and taking them out of lists.

use super::offline::{explain, platform};
use super::{complain, say};
use crate::app;
use crate::config::Config;
use aim_domain::{CharacterDraft, CharacterId, UserId, Visibility};
use aim_platform::Platform;
use anyhow::{Context, ensure};
use clap::Subcommand;
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Import characters: cards (PNG, JSON or CHARX; V1, V2, V3, Pygmalion), or JSON files with the fields of the API, each one
    /// character or a list of them
    Import {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Whose they are, by email or username; nobody's unless given
        #[arg(long, value_name = "LOGIN")]
        owner: Option<String>,
        /// Make them public, whatever the files say
        #[arg(long)]
        public: bool,
    },
    /// Take a character out of lists and search, and close it to new conversations; its owner reads why
    Unlist {
        id: CharacterId,
        #[arg(long)]
        reason: String,
    },
    /// Put a character back that was unlisted
    Relist {
        id: CharacterId,
        /// For the audit
        #[arg(long, default_value = "Put back at a terminal.")]
        reason: String,
    },
}

/// What a file may hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum Drafts {
    Many(Vec<CharacterDraft>),
    One(Box<CharacterDraft>),
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let platform = platform(config).await?;
    let (files, owner, public) = match command {
        Command::Import { files, owner, public } => (files, owner, public),
        Command::Unlist { id, reason } => {
            let character = platform.set_unlisted(None, &id, true, &reason).await.map_err(explain)?;
            return say(&format!("{} is out of lists.", character.name));
        }
        Command::Relist { id, reason } => {
            let character = platform.set_unlisted(None, &id, false, &reason).await.map_err(explain)?;
            return say(&format!("{} is back in lists.", character.name));
        }
    };
    platform.take_media(app::media(config)?);
    let owner = match owner {
        None => None,
        Some(login) => {
            let found = platform.store.credentials(login.trim()).await?;
            Some(found.with_context(|| format!("There is no account {login:?}."))?.user.id)
        }
    };
    let mut failed = 0;
    for file in &files {
        if let Err(error) = import(&platform, file, owner.as_ref(), public).await {
            complain(&format!("{}: {error:#}", file.display()));
            failed += 1;
        }
    }
    ensure!(failed == 0, "{failed} of {} files were not imported, or not all of them.", files.len());
    Ok(())
}

async fn import(platform: &Platform, file: &Path, owner: Option<&UserId>, public: bool) -> anyhow::Result<()> {
    let Some(value) = of_the_api(file)? else { return import_card(platform, file, owner, public).await };
    let drafts = match serde_json::from_value(value).context("it holds no character: a name is needed at least")? {
        Drafts::Many(drafts) => drafts,
        Drafts::One(draft) => vec![*draft],
    };
    for mut draft in drafts {
        // A character without an owner that only its owner may see would be nobody's at all.
        if public || owner.is_none() {
            draft.visibility = Visibility::Public;
        }
        let name = draft.name.clone();
        let character = platform.save_new_character(owner.cloned(), draft).await.map_err(explain).context(name)?;
        say(&format!("Imported {} as {}", character.name, character.id))?;
    }
    Ok(())
}

/// The longest file with the fields of the API; a card may be longer.
const LONGEST: u64 = 64 << 20;

/// What is in a file that has the fields of the API; none where it is a card. A card of the first version has a `name` as
/// well, and is known by the names of its other fields.
fn of_the_api(file: &Path) -> anyhow::Result<Option<serde_json::Value>> {
    let mut text = String::new();
    let read = std::fs::File::open(file).context("it cannot be read")?.take(LONGEST).read_to_string(&mut text);
    if read.is_err() || !text.trim_start().starts_with(['{', '[']) {
        return Ok(None);
    }
    let value: serde_json::Value = serde_json::from_str(&text).context("it is not valid JSON")?;
    let is_card =
        ["spec", "char_name", "first_mes", "mes_example", "data"].iter().any(|field| value.get(field).is_some());
    Ok(Some(value).filter(|_| !is_card))
}

async fn import_card(platform: &Platform, file: &Path, owner: Option<&UserId>, public: bool) -> anyhow::Result<()> {
    let visibility = if public || owner.is_none() { Visibility::Public } else { Visibility::Private };
    let imported = platform.import_card_for(owner.cloned(), file, visibility).await.map_err(explain)?;
    say(&format!("Imported {} as {}", imported.character.name, imported.character.id))?;
    imported.warnings.iter().for_each(|warning| complain(&format!("{}: {warning}", file.display())));
    Ok(())
}
