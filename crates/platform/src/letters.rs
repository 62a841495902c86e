//! What each kind of mail says, and when there is no need for it any more.
//!
//! Whoever registers with somebody else's address may choose names: an unconfirmed address gets none of them, so that nobody
//! can send his own words through this server.

use crate::Platform;
use crate::mail::Post;
use aim_domain::{
    CharacterId, ConversationId, MailKind, MailState, Notice, Purpose, Suspension, Tier, Timestamp, TokenHash, User,
};
use aim_mail::{Letter, Unsubscribe};
use aim_store::{MailStanding, NewToken, Result, StoredMail};
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub(crate) const CONFIRM_LIVES: Duration = Duration::from_secs(3 * 24 * 3_600);
pub(crate) const RESET_LIVES: Duration = Duration::from_secs(3_600);
/// A link that ends notices works for as long as mails are looked through.
const UNSUBSCRIBE_LIVES: Duration = Duration::from_secs(400 * 24 * 3_600);

/// A reply that somebody has not seen.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Waiting {
    pub conversation_id: ConversationId,
    pub since: Timestamp,
}

/// An allowance that is used up.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UsedUp {
    /// `text`, `audio` or `image`.
    pub kind: String,
    pub limit: u64,
    pub resets_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct NewTier {
    pub tier: Tier,
}

/// What became of a character.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Relisted {
    pub character_id: CharacterId,
    pub unlisted: bool,
    pub reason: String,
}

/// A letter with the tokens in it, or why there is no need for it.
type Composed = std::result::Result<(Letter, Vec<NewToken>), &'static str>;

/// What a letter is made with.
struct Draft<'a> {
    platform: &'a Platform,
    post: &'a Post,
    mail: &'a StoredMail,
    user: User,
    standing: MailStanding,
    tokens: Vec<NewToken>,
}

impl Platform {
    /// The letter of a mail as things are now. Its tokens are made here, so that no row ever holds one.
    pub(crate) async fn compose(&self, post: &Post, mail: &StoredMail) -> Result<Composed> {
        let Some(user) = self.store.user(&mail.user).await? else { return Ok(Err("the account is gone")) };
        let of_the_end = matches!(mail.kind, MailKind::Reset | MailKind::Closed);
        if user.erase_at.is_some() && !of_the_end && !mail.kind.is_warning() {
            return Ok(Err("the account is closed"));
        }
        let standing = self.store.mail_standing(&mail.user).await?;
        if mail.kind.notice().is_some_and(|notice| !standing.wants(notice)) {
            return Ok(Err("it is not wanted"));
        }
        debug_assert_eq!(mail.state, MailState::Due);
        let mut draft = Draft { platform: self, post, mail, user, standing, tokens: Vec::new() };
        let letter = match mail.kind {
            MailKind::Welcome => draft.welcome(),
            MailKind::Confirm => draft.confirm(),
            MailKind::Reset => draft.reset(),
            MailKind::ReplyWaiting => draft.reply_waiting().await?,
            MailKind::Usage => draft.usage(),
            MailKind::Tier => draft.tier(),
            MailKind::AddressChanged => draft.address_changed(),
            MailKind::PasswordChanged => Ok(draft.password_changed()),
            MailKind::Closed => draft.closed(),
            MailKind::Listing => draft.listing().await?,
            MailKind::Suspended => draft.suspended().await?,
        };
        Ok(letter.map(|letter| (letter, draft.tokens)))
    }
}

impl Draft<'_> {
    fn link(&self, path: &str) -> String {
        format!("{}{path}", self.post.public_url)
    }

    fn token(&mut self, purpose: Purpose, lives: Duration) -> String {
        let token = self.platform.ambient.token();
        self.tokens.push(NewToken { hash: TokenHash::of(&token), purpose, lives });
        token
    }

    fn letter(&self, subject: &str, paragraphs: &[&str], button: Option<(&str, String)>) -> Letter {
        let username = &self.user.username;
        Letter {
            to: self.mail.address.clone(),
            subject: subject.to_owned(),
            heading: subject.to_owned(),
            paragraphs: paragraphs.iter().map(|text| (*text).to_owned()).collect(),
            button: button.map(|(label, url)| (label.to_owned(), url)),
            closing: vec![format!(
                "This letter is for {username}, whose account at {} has this address.",
                self.post.public_url
            )],
            unsubscribe: None,
        }
    }

    /// With a way to have no more of its kind.
    fn notice(&mut self, notice: Notice, mut letter: Letter) -> Letter {
        let token = self.token(Purpose::without(notice), UNSUBSCRIBE_LIVES);
        letter.unsubscribe = Some(Unsubscribe {
            one_click: self.link(&format!("/api/mail/unsubscribe?token={token}")),
            page: self.link(&format!("/unsubscribe?token={token}")),
        });
        letter
    }

    fn confirming(&mut self) -> (&'static str, String) {
        let token = self.token(Purpose::Confirm, CONFIRM_LIVES);
        ("Confirm this address", self.link(&format!("/confirm?token={token}")))
    }

    fn welcome(&mut self) -> std::result::Result<Letter, &'static str> {
        let button = self.confirming();
        let greeting = format!("Good to have you here, {}. Your account is ready.", self.user.username);
        let paragraphs = [
            greeting.as_str(),
            "Please confirm that this address is yours: it is where we send a link if you ever forget your password. The \
             button works for three days.",
            "If you did not make this account, somebody mistyped an address, and you need do nothing.",
        ];
        Ok(self.letter("Welcome to aim", &paragraphs, Some(button)))
    }

    fn confirm(&mut self) -> std::result::Result<Letter, &'static str> {
        if self.standing.confirmed {
            return Err("the address is confirmed already");
        }
        let button = self.confirming();
        let paragraphs = ["Press the button to confirm that this address is yours. It works for three days."];
        Ok(self.letter("Confirm your address", &paragraphs, Some(button)))
    }

    fn reset(&mut self) -> std::result::Result<Letter, &'static str> {
        if self.platform.ambient.now().since(self.mail.created_at) > RESET_LIVES {
            return Err("it was asked for too long ago");
        }
        let token = self.token(Purpose::Reset, RESET_LIVES);
        let button = ("Choose a new password", self.link(&format!("/reset?token={token}")));
        let paragraphs = [
            "Somebody, we think you, asked for a new password. The button works once, within an hour, and signs out every \
             device.",
            "If it was not you, do nothing: your password stays as it is.",
        ];
        Ok(self.letter("Choose a new password", &paragraphs, Some(button)))
    }

    async fn reply_waiting(&mut self) -> Result<std::result::Result<Letter, &'static str>> {
        let Ok(Waiting { conversation_id, since }) = serde_json::from_value(self.mail.data.clone()) else {
            return Ok(Err("its data cannot be read"));
        };
        let store = &self.platform.store;
        let presence = store.presence(&self.user.id).await?;
        if self.platform.is_present(&self.user.id)
            || presence.is_some_and(|presence| presence.is_here || presence.seen_at >= since)
        {
            return Ok(Err("the reader was there"));
        }
        let Some(item) = store.conversation(&conversation_id, &self.user.id).await? else {
            return Ok(Err("the conversation is gone"));
        };
        let who = if self.standing.confirmed { item.character.name.as_str() } else { "A character" };
        let subject = format!("{who} has answered you");
        let text = format!("{who} has answered your message while you were away. The reply waits for you.");
        let button = ("Read the reply", self.link(&format!("/c/{conversation_id}")));
        let letter = self.letter(&subject, &[&text], Some(button));
        Ok(Ok(self.notice(Notice::ReplyWaiting, letter)))
    }

    fn usage(&mut self) -> std::result::Result<Letter, &'static str> {
        let Ok(UsedUp { kind, limit, resets_at }) = serde_json::from_value(self.mail.data.clone()) else {
            return Err("its data cannot be read");
        };
        if self.user.tier == Tier::Premium {
            return Err("premium has no such limit");
        }
        let until = match resets_at {
            Some(at) if at <= self.platform.ambient.now() => return Err("the limit is over"),
            Some(at) => format!("You can send more from {} (UTC) on.", minute(at)),
            None => "You can send more within a day.".to_owned(),
        };
        let text = format!(
            "You have used all {limit} {kind} messages to a character that the free tier has in 24 hours. {until}"
        );
        let letter = self.letter("Your messages of the day are used up", &[&text], Some(("Open aim", self.link("/"))));
        Ok(self.notice(Notice::Usage, letter))
    }

    fn tier(&mut self) -> std::result::Result<Letter, &'static str> {
        let Ok(NewTier { tier }) = serde_json::from_value(self.mail.data.clone()) else {
            return Err("its data cannot be read");
        };
        if tier != self.user.tier {
            return Err("the tier changed again");
        }
        let button = Some(("Open aim", self.link("/")));
        Ok(match tier {
            Tier::Premium => self.letter(
                "You are premium now",
                &["Your account is premium from now on: no daily limit on messages, and more of everything that is counted."],
                button,
            ),
            Tier::Free => self.letter(
                "Your account is on the free tier",
                &["Your premium time is over. Everything you have stays; the free tier's daily limits apply from now on."],
                button,
            ),
        })
    }
    fn address_changed(&self) -> std::result::Result<Letter, &'static str> {
        if self.user.email == self.mail.address {
            return Err("the account has this address again");
        }
        // The other address in short: whoever is written to here may have nothing to do with the account.
        let (username, url, now) = (&self.user.username, &self.post.public_url, in_short(&self.user.email));
        let changed =
            format!("From now on letters for {username} go to another address, {now}. This is the last one here.");
        let otherwise = format!(
            "If it was not you, somebody knows your password. Where you are still signed in, choose another password and put \
             your own address back, in the settings. Where that fails, write to whoever runs {url}, at once."
        );
        let paragraphs = [changed.as_str(), "If it was you, there is nothing to do.", &otherwise];
        let button = Some(("Open the settings", self.link("/settings")));
        let letter = self.letter("The address of your account was changed", &paragraphs, button);
        let closing =
            vec![format!("This letter is for {username}, whose account at {url} had this address until now.")];
        Ok(Letter { closing, ..letter })
    }

    fn password_changed(&self) -> Letter {
        let changed = format!(
            "The password of your account was changed, at {} (UTC), and whoever else was signed in was signed out.",
            minute(self.mail.created_at)
        );
        let paragraphs = [
            changed.as_str(),
            "If it was you, there is nothing to do.",
            "If it was not, choose a new one now: the button leads to where you can have a link sent to your address.",
        ];
        self.letter("Your password was changed", &paragraphs, Some(("It was not me", self.link("/forgot"))))
    }

    fn closed(&self) -> std::result::Result<Letter, &'static str> {
        let Some(erase_at) = self.user.erase_at else { return Err("the account was had back") };
        let closed = format!(
            "Your account was closed, and signed out everywhere. At {} (UTC) it is erased for good.",
            minute(erase_at)
        );
        let paragraphs = [
            closed.as_str(),
            "Until then you can have it back as it was: sign in as ever, and say that you want it back.",
            "If it was not you who closed it, do that, and choose another password.",
        ];
        Ok(self.letter("Your account was closed", &paragraphs, Some(("Sign in", self.link("/login")))))
    }

    async fn listing(&self) -> Result<std::result::Result<Letter, &'static str>> {
        let Ok(Relisted { character_id, unlisted, reason }) = serde_json::from_value(self.mail.data.clone()) else {
            return Ok(Err("its data cannot be read"));
        };
        let Some(character) = self.platform.store.character(&character_id).await? else {
            return Ok(Err("the character is gone"));
        };
        if character.listing.unlisted != unlisted || !character.is_owned_by(&self.user.id) {
            return Ok(Err("that changed again"));
        }
        let which = if self.standing.confirmed { character.name.as_str() } else { "One of your characters" };
        let (subject, what) = if unlisted {
            let what = "was taken out of lists and search by an operator of this server, and others can begin no \
                        conversation with it. You have it as before, and conversations with it go on.";
            ("A character of yours was taken out of the lists", what)
        } else {
            (
                "A character of yours is in the lists again",
                "was put back into lists and search by an operator of this server.",
            )
        };
        let paragraphs = [format!("{which} {what}"), format!("The reason given: {reason}")];
        let button = Some(("Open the character", self.link(&format!("/characters/{character_id}"))));
        Ok(Ok(self.letter(subject, &[&paragraphs[0], &paragraphs[1]], button)))
    }

    async fn suspended(&self) -> Result<std::result::Result<Letter, &'static str>> {
        let Ok(told) = serde_json::from_value::<Suspension>(self.mail.data.clone()) else {
            return Ok(Err("its data cannot be read"));
        };
        if self.platform.store.suspension(&self.user.id).await?.as_ref() != Some(&told) {
            return Ok(Err("the suspension is another, or over"));
        }
        let Suspension { until, reason } = told;
        let until = match until {
            Some(until) => format!("until {} (UTC)", minute(until)),
            None => "until an operator ends that".to_owned(),
        };
        let paragraphs = [
            format!("Your account was suspended, {until}: nobody can sign in with it. What you have here stays."),
            format!("The reason given: {reason}"),
            format!("If you think that this is wrong, write to whoever runs {}.", self.post.public_url),
        ];
        let paragraphs = [paragraphs[0].as_str(), &paragraphs[1], &paragraphs[2]];
        Ok(Ok(self.letter("Your account is suspended", &paragraphs, None)))
    }
}

/// `a…@e…`: enough for its owner to know it by, and too little to say anything with.
fn in_short(address: &str) -> String {
    let (name, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first = |part: &str| part.chars().next().filter(|first| first.is_alphanumeric());
    let shortened = |part: &str| first(part).map_or("…".to_owned(), |first| format!("{first}…"));
    format!("{}@{}", shortened(name), shortened(domain))
}

/// `2026-11-23 04:25`.
pub(crate) fn minute(at: Timestamp) -> String {
    at.to_string().get(..16).unwrap_or_default().replace('T', " ")
}
