//! `aim user …`: accounts, from the terminal.

use super::offline::{explain, platform};
use super::say;
use crate::config::Config;
use aim_domain::{Role, Tier, Timestamp, User};
use aim_platform::Registration;
use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use std::io::{IsTerminal, Read};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an account
    Create(Create),
    /// Set an account's tier and role; running servers take it up at once
    Set {
        /// The email or the username
        login: String,
        #[command(flatten)]
        standing: Standing,
    },
    /// Give an account a new password, and end all its sessions
    ResetPassword {
        /// The email or the username
        login: String,
        #[command(flatten)]
        password: Password,
    },
    /// Shut somebody out: signed out everywhere within a second, refused at the door, out of lists with their characters
    Suspend {
        /// The email or the username
        login: String,
        /// A day (2026-11-23, in UTC) or a time in RFC 3339; until it is undone unless given
        #[arg(long, value_parser = moment)]
        until: Option<Timestamp>,
        /// They read it when they try to sign in
        #[arg(long)]
        reason: String,
    },
    /// Let somebody in again who was suspended
    Restore {
        /// The email or the username
        login: String,
        /// For the audit
        #[arg(long, default_value = "Restored at a terminal.")]
        reason: String,
    },
    /// Show an account
    Show {
        /// The email or the username
        login: String,
    },
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(super) struct Standing {
    /// free or premium
    #[arg(long)]
    tier: Option<Tier>,
    /// user or admin
    #[arg(long)]
    role: Option<Role>,
}

#[derive(Args)]
pub(super) struct Create {
    /// 3 to 30 of a-z, 0-9 and _
    username: String,
    #[arg(long)]
    email: String,
    /// The username unless given
    #[arg(long)]
    display_name: Option<String>,
    /// free or premium
    #[arg(long, default_value = "free")]
    tier: Tier,
    /// user or admin
    #[arg(long, default_value = "user")]
    role: Role,
    #[command(flatten)]
    password: Password,
}

#[derive(Args)]
pub(super) struct Password {
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl Password {
    fn read(&self) -> anyhow::Result<String> {
        if self.password_stdin {
            let mut text = String::new();
            std::io::stdin().lock().take(4_096).read_to_string(&mut text).context("the password cannot be read")?;
            return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
        }
        if !std::io::stdin().is_terminal() {
            bail!("There is no terminal to ask at: give the password with --password-stdin.");
        }
        let password = rpassword::prompt_password("Password (8 to 256 characters): ")?;
        let again = rpassword::prompt_password("Once more: ")?;
        ensure!(password == again, "The two do not agree; nothing was changed.");
        Ok(password)
    }
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let platform = platform(config).await?;
    match command {
        Command::Create(create) => {
            let form = Registration {
                email: create.email,
                username: create.username,
                password: create.password.read()?,
                display_name: create.display_name,
            };
            let user = platform.create_user(form, create.tier, create.role).await.map_err(explain)?;
            say(&format!("Made {}", line(&user)))
        }
        Command::Set { login, standing: Standing { tier, role } } => {
            let user = platform.set_user(&login, tier, role).await.map_err(explain)?;
            say(&format!("Now {}", line(&user)))
        }
        Command::ResetPassword { login, password } => {
            let user = platform.reset_password(&login, password.read()?).await.map_err(explain)?;
            say(&format!("{} has a new password and is signed out everywhere.", user.username))
        }
        Command::Suspend { login, until, reason } => {
            let user = platform.account(&login).await.map_err(explain)?;
            let suspended = platform.suspend(None, &user.id, until, &reason).await.map_err(explain)?;
            let told = suspended.1.map(|suspension| suspension.told()).unwrap_or_default();
            say(&format!("{} is signed out everywhere. What is said at the door: {told}", user.username))
        }
        Command::Restore { login, reason } => {
            let user = platform.account(&login).await.map_err(explain)?;
            platform.end_suspension(None, &user.id, &reason).await.map_err(explain)?;
            say(&format!("{} may sign in again.", user.username))
        }
        Command::Show { login } => {
            let user = platform.account(&login).await.map_err(explain)?;
            say(&line(&user))?;
            match platform.store.suspension(&user.id).await? {
                Some(suspension) => say(&suspension.told()),
                None => Ok(()),
            }
        }
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let parsed = Timestamp::parse_day(text).or_else(|| Timestamp::parse(text));
    parsed.ok_or_else(|| "a day such as 2026-11-23, or a time such as 2026-11-23T04:00:00Z".to_owned())
}

fn line(user: &User) -> String {
    let User { username, email, tier, role, id, created_at, .. } = user;
    format!("{username} <{email}>: {} tier, role {}, id {id}, since {created_at}", tier.as_str(), role.as_str())
}
