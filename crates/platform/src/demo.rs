//! The characters that come with the server: they make the first run a conversation, not an empty list.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_domain::{CharacterDraft, Refusal};

/// One of them, as its file says.
#[derive(Clone, Debug)]
pub struct DemoCharacter(pub CharacterDraft);

impl Platform {
    /// Saves those that were never there; one that an operator changed or removed is left alone. Answers how many are new.
    pub async fn seed_demo(&self, characters: Vec<DemoCharacter>) -> Result<usize, Refusal> {
        let mut saved = 0;
        for DemoCharacter(draft) in characters {
            let Some(id) = draft.id.clone() else { continue };
            if self.store.character(&id).await.or_refuse()?.is_some() {
                continue;
            }
            match self.save_new_character(None, draft).await {
                Ok(_) => saved += 1,
                Err(refusal) if refusal.code == aim_domain::Code::Conflict => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(saved)
    }
}
