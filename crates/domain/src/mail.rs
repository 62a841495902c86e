//! Mails as values: what they are about, where they stand, and which of them a person can do without.

use crate::account::words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a mail is about; it decides what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailKind {
    /// A new account: a greeting, and a link that confirms the address.
    Welcome,
    /// Another link that confirms the address.
    Confirm,
    /// A link that sets a new password.
    Reset,
    ReplyWaiting,
    /// The day's allowance is used up.
    Usage,
    /// The tier changed.
    Tier,
    /// The account has another address; to the one that it had.
    AddressChanged,
    PasswordChanged,
    /// The account was closed, and can be had back for some days.
    Closed,
    /// Operators took a character out of lists, or put it back; to its owner.
    Listing,
    Suspended,
}

words!(MailKind {
    "welcome" => MailKind::Welcome,
    "confirm" => MailKind::Confirm,
    "reset" => MailKind::Reset,
    "reply-waiting" => MailKind::ReplyWaiting,
    "usage" => MailKind::Usage,
    "tier" => MailKind::Tier,
    "address-changed" => MailKind::AddressChanged,
    "password-changed" => MailKind::PasswordChanged,
    "closed" => MailKind::Closed,
    "listing" => MailKind::Listing,
    "suspended" => MailKind::Suspended,
});

impl MailKind {
    /// The notice that a mail is, if a person can do without it.
    pub fn notice(self) -> Option<Notice> {
        match self {
            Self::ReplyWaiting => Some(Notice::ReplyWaiting),
            Self::Usage => Some(Notice::Usage),
            Self::Welcome
            | Self::Confirm
            | Self::Reset
            | Self::Tier
            | Self::AddressChanged
            | Self::PasswordChanged
            | Self::Closed
            | Self::Listing
            | Self::Suspended => None,
        }
    }

    /// Whether it tells of what may be somebody else's doing. Such a mail goes to the address that it was queued for and is sent
    /// all the same when another address, or the account's end, comes after it: that may be the next thing they do.
    pub fn is_warning(self) -> bool {
        matches!(self, Self::AddressChanged | Self::PasswordChanged)
    }
}

/// Where a mail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailState {
    /// It is to be sent, and was certainly not handed over.
    Due,
    /// It is being handed over.
    Sending,
    Sent,
    /// It was refused, given up, or nobody knows whether it arrived.
    Failed,
    /// There was no need for it any more.
    Dropped,
}

words!(MailState {
    "due" => MailState::Due,
    "sending" => MailState::Sending,
    "sent" => MailState::Sent,
    "failed" => MailState::Failed,
    "dropped" => MailState::Dropped,
});

/// Why a letter is not where it was to go, as its reader is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Undelivered {
    /// A mail server said that it never takes it: the address may be wrong.
    Refused,
    /// It could not be handed over, however often it was tried.
    GivenUp,
    /// It may have arrived.
    InDoubt,
}

/// Mails that a person can have no more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    ReplyWaiting,
    Usage,
}

words!(Notice { "reply-waiting" => Notice::ReplyWaiting, "usage" => Notice::Usage });

/// What a token from a mail is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To confirm the address; once.
    Confirm,
    /// To set a new password; once.
    Reset,
    /// To have no more notices of a kind; as often as one likes.
    NoReplyWaiting,
    NoUsage,
}

words!(Purpose {
    "confirm" => Purpose::Confirm,
    "reset" => Purpose::Reset,
    "no-reply-waiting" => Purpose::NoReplyWaiting,
    "no-usage" => Purpose::NoUsage,
});

impl Purpose {
    /// To have no more of this notice.
    pub fn without(notice: Notice) -> Self {
        match notice {
            Notice::ReplyWaiting => Self::NoReplyWaiting,
            Notice::Usage => Self::NoUsage,
        }
    }

    /// The notice that it ends.
    pub fn ends(self) -> Option<Notice> {
        match self {
            Self::NoReplyWaiting => Some(Notice::ReplyWaiting),
            Self::NoUsage => Some(Notice::Usage),
            Self::Confirm | Self::Reset => None,
        }
    }
}
