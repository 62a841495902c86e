//! With whom the character talks in one reply.

use crate::Platform;
use crate::window::Window;
use aim_ai::people::{People, Person, SOMEBODY};
use aim_domain::{Author, Refusal, Speaker};
use aim_store::Claim;
use std::sync::Arc;

fn present(speaker: &Speaker) -> Person {
    Person {
        id: speaker.user.as_str().into(),
        name: speaker.name().into(),
        about: speaker.about().into(),
        present: true,
    }
}

fn left(id: Arc<str>, name: &str) -> Person {
    Person { id, name: name.into(), about: "".into(), present: false }
}

impl Platform {
    /// The one who asked alone, as the claim says, unless somebody else said something in the window: then everybody who is in
    /// the conversation, and those who said something and have left. Names and personas are read anew each time, since people
    /// change them.
    pub(crate) async fn people(&self, claim: &Claim, window: &Window, character: &str) -> Result<People, Refusal> {
        let asking = claim.message.sender_id.as_str();
        let mut spoke: Vec<Arc<str>> = Vec::new();
        for said in window.said.iter().filter(|said| said.author == Author::User && &*said.sender != asking) {
            if !spoke.contains(&said.sender) {
                spoke.push(said.sender.clone());
            }
        }
        if spoke.is_empty() {
            return Ok(People::alone(character, present(&claim.sender)));
        }
        let speakers = self.store.speakers(&claim.conversation).await.map_err(|error| {
            tracing::error!(%error, "the people of a conversation could not be read");
            Refusal::unavailable("The database does not answer. Try again in a moment.")
        })?;
        let asker = speakers.iter().find(|one| one.user.as_str() == asking);
        let asker = asker.map_or_else(|| left(asking.into(), claim.sender.name()), present);
        let mut others: Vec<Person> = speakers.iter().filter(|one| one.user.as_str() != asking).map(present).collect();
        for id in spoke {
            if !others.iter().any(|person| person.id == id) {
                let profile = match id.parse() {
                    Ok(user) => self.profile(&user).await.ok(),
                    Err(_) => None,
                };
                let name = profile.as_ref().map_or(SOMEBODY, |profile| profile.display_name.as_str());
                others.push(left(id, name));
            }
        }
        Ok(People::several(character, asker, others))
    }
}
