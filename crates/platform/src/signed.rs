//! Addresses of media that need no session, for a while: for whoever cannot send a cookie or a header, such as an `<img>` of
//! another site. Signed with a key that the store keeps, so that every server knows what another has signed.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_domain::upload::media_url;
use aim_domain::{Refusal, Timestamp, UploadId, UploadView};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Duration;

/// How long a signed address holds.
pub const SIGNED_FOR: Duration = Duration::from_secs(3_600);

impl Platform {
    async fn media_key(&self) -> Result<&str, Refusal> {
        let load = async { self.store.secret("media", &self.ambient.token()).await.or_refuse() };
        self.media_key.get_or_try_init(|| load).await.map(String::as_str)
    }

    /// `expires`: seconds since the Unix epoch.
    async fn mac(&self, id: &UploadId, variant: &str, expires: i64) -> Result<Hmac<Sha256>, Refusal> {
        let key = self.media_key().await?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| Refusal::internal())?;
        mac.update(format!("{id}/{variant}/{expires}").as_bytes());
        Ok(mac)
    }

    async fn signed_url(&self, id: &UploadId, variant: &str, expires: i64) -> Result<String, Refusal> {
        let signature = URL_SAFE_NO_PAD.encode(self.mac(id, variant, expires).await?.finalize().into_bytes());
        Ok(format!("{}?expires={expires}&signature={signature}", media_url(id, variant)))
    }

    /// The same upload with addresses that hold for an hour without a session.
    pub async fn signed(&self, mut upload: UploadView) -> Result<UploadView, Refusal> {
        let expires = self.ambient.now().plus(SIGNED_FOR).0 / 1_000;
        upload.url = self.signed_url(&upload.id, upload.kind.shown(), expires).await?;
        for variant in &mut upload.variants {
            variant.url = self.signed_url(&upload.id, &variant.variant.name, expires).await?;
        }
        Ok(upload)
    }

    /// Refuses an address that was not signed here, or whose time is over.
    pub async fn check_signature(
        &self,
        id: &UploadId,
        variant: &str,
        expires: i64,
        signature: &str,
    ) -> Result<(), Refusal> {
        let wrong = || Refusal::forbidden("This address is not valid, or no more. Ask for a new one.");
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| wrong())?;
        self.mac(id, variant, expires).await?.verify_slice(&signature).map_err(|_| wrong())?;
        if Timestamp(expires.saturating_mul(1_000)) <= self.ambient.now() { Err(wrong()) } else { Ok(()) }
    }
}
