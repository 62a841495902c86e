//! Password hashes: Argon2id with 19 MiB, two passes and one lane (OWASP's recommendation), a few at a time on threads
//! of their own, so that a flood of sign-ins takes neither the memory nor the replies.

use aim_domain::{Ambient, Refusal};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a request waits for its turn to hash before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The PHC string of a password, under a fresh salt. Takes some 20 ms: call it on a thread that may block.
pub fn hash_password(password: &str, ambient: &Ambient) -> Result<String, Refusal> {
    let mut salt = [0; 16];
    ambient.random.fill(&mut salt);
    argon2id()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| Refusal::internal())
}

impl Passwords {
    pub fn new(at_a_time: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(at_a_time.max(1))) }
    }

    pub async fn hash(&self, password: String, ambient: &Ambient) -> Result<String, Refusal> {
        let ambient = ambient.clone();
        self.run(move || hash_password(&password, &ambient)).await?
    }

    /// Takes as long for an account that does not exist or has no password, so that time tells nothing.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Refusal> {
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            let fits = PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2id().verify_password(password.as_bytes(), &hash).is_ok());
            known && fits
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let slot = tokio::time::timeout(PATIENCE, self.slots.clone().acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            return Err(Refusal::unavailable("Many people are signing in right now. Try again in a moment.")
                .retry_after(Duration::from_secs(5)));
        };
        // The slot goes with the work: it is taken until the memory is free, also when whoever asked has gone away.
        let work = move || {
            let _slot = slot;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::internal())
    }
}

/// A hash under the same parameters that no password is known for.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$3GgTMSuFbCPXDJSQgyTWnAhrNHMmuF2eyqo1oOBNyKk";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let (ambient, passwords) = (Ambient::system(), Passwords::new(1));
        let hash = passwords.hash("correct horse".into(), &ambient).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("battery staple".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_that_nobody_waits_for_any_more_keeps_its_slot() {
        let passwords = Passwords::new(1);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let gone = passwords.run(move || wait.recv().is_ok());
        assert!(tokio::time::timeout(Duration::from_millis(20), gone).await.is_err());
        assert_eq!(passwords.slots.available_permits(), 0);
        go.send(()).unwrap();
        assert!(passwords.run(|| true).await.unwrap());
    }

    #[test]
    fn the_hash_of_nobody_is_as_dear_as_any() {
        let hash = PasswordHash::new(NOBODY).unwrap();
        assert_eq!(hash.params.to_string(), "m=19456,t=2,p=1");
    }
}
