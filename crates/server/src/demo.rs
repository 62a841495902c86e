//! The characters that come with the server, built into the binary: `demo/characters/*.json`.

use aim_domain::CharacterDraft;
use aim_platform::DemoCharacter;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../demo/characters"]
struct Sheets;

/// All of them, by file name. A sheet that cannot be read is a fault of the build: it is logged and left out.
pub fn characters() -> Vec<DemoCharacter> {
    let mut names: Vec<_> = Sheets::iter().collect();
    names.sort();
    let read = |name: &str| {
        let file = Sheets::get(name)?;
        match serde_json::from_slice::<CharacterDraft>(&file.data) {
            Ok(draft) => Some(DemoCharacter(draft)),
            Err(error) => {
                tracing::error!(%error, name, "a demo character cannot be read");
                None
            }
        }
    };
    names.iter().filter_map(|name| read(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sheet_makes_a_character_with_a_fixed_id() {
        let characters = characters();
        assert_eq!(characters.len(), Sheets::iter().count());
        assert!(characters.len() >= 6);
        for DemoCharacter(draft) in characters {
            assert!(draft.id.is_some(), "{}", draft.name);
            assert!(
                !draft.greeting.is_empty() && !draft.example_dialogue.is_empty() && draft.avatar_url.is_some(),
                "{}",
                draft.name
            );
            assert!(draft.clone().checked().is_ok(), "{}", draft.name);
        }
    }
}
