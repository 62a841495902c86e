//! Language models and what surrounds them: the contract (`model`), the providers behind it, the prompt a character
//! makes, the clean-up of a reply as it streams, what can be told of its mood afterwards, and transcripts of speech. Knows neither the store
//! nor Redis; claims, daily budgets and caches are the platform's business.

pub mod cleanup;
#[cfg(feature = "local-model")]
pub mod local;
pub mod lore;
pub mod macros;
pub mod model;
pub mod people;
pub mod personality;
pub mod prompt;
pub mod provider;
pub mod tokens;
pub mod transcription;

mod hosted;
mod openai;

pub use model::{
    ErrorKind, LanguageModel, ModelError, ModelName, Picture, Piece, ReplyStream, Request, Role, StopReason,
    TokenCount, Turn,
};
pub use provider::{ApiKey, Provider, ProviderSettings};
pub use tokens::{Ceiling, TokenBudget};

use aim_domain::Ambient;
use std::path::PathBuf;
use std::sync::Arc;

/// Which model answers: `[ai]` of the configuration.
#[derive(Clone, Debug, Default)]
pub struct ModelSettings {
    /// `provider` decides; with `local` the rest of it is not used.
    pub remote: ProviderSettings,
    /// The built-in model's file, as `make model` leaves it: `models/demo.gguf`.
    pub local_file: PathBuf,
}

/// The model that the settings name. Reaches for nothing yet, but begins to load the built-in model in the background.
pub fn from_settings(settings: &ModelSettings, ambient: Ambient) -> Result<Arc<dyn LanguageModel>, ModelError> {
    match settings.remote.provider {
        Provider::Local => local(settings, ambient),
        _ => Ok(Arc::new(provider::Remote::new(settings.remote.clone(), ambient)?)),
    }
}

#[cfg(feature = "local-model")]
fn local(settings: &ModelSettings, ambient: Ambient) -> Result<Arc<dyn LanguageModel>, ModelError> {
    Ok(Arc::new(local::LocalModel::start(local::LocalSettings::new(settings.local_file.clone()), ambient)?))
}

#[cfg(not(feature = "local-model"))]
fn local(_: &ModelSettings, _: Ambient) -> Result<Arc<dyn LanguageModel>, ModelError> {
    Err(ModelError::bad(
        "this build has no built-in model: build it with `--features local-model`, as `make run` does, or set \
         AIM_AI__PROVIDER (with AIM_AI__BASE_URL and AIM_AI__MODEL) to one that answers elsewhere",
    ))
}

#[cfg(all(test, not(feature = "local-model")))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_the_built_in_model_says_how_to_get_one() {
        let remote = ProviderSettings { provider: Provider::Local, ..Default::default() };
        let settings = ModelSettings { remote, local_file: PathBuf::from("models/demo.gguf") };
        let error = from_settings(&settings, Ambient::system()).err().map(|error| error.detail).unwrap_or_default();
        assert!(error.contains("--features local-model") && error.contains("AIM_AI__PROVIDER"), "{error}");
    }
}
