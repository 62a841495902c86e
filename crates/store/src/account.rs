//! Commands and rows of accounts and sessions.

use aim_domain::{Role, Session, Tier, User, UserId, Username};

#[derive(Clone, Debug)]
pub struct NewUser {
    pub id: UserId,
    pub email: String,
    pub username: Username,
    pub display_name: String,
    /// In PHC form; none for an account that signs in elsewhere.
    pub password_hash: Option<String>,
    pub tier: Tier,
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateUser {
    Created(User),
    EmailTaken,
    UsernameTaken,
    IdTaken,
}

#[derive(Clone, Debug)]
pub struct Credentials {
    pub user: User,
    pub password_hash: Option<String>,
}

/// What is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    pub display_name: Option<String>,
    /// `Some(None)` takes the picture away.
    pub avatar_url: Option<Option<String>>,
    pub tier: Option<Tier>,
    pub role: Option<Role>,
    pub password_hash: Option<String>,
}

pub type NewSession = Session;
