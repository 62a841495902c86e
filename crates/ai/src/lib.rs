//! Language models and what surrounds them: the contract (`model`), the providers behind it, the prompt a character
//! makes, the clean-up of a reply as it streams, and what can be told of its mood afterwards. Knows neither the store
//! nor Redis; claims, budgets per day and caches are the platform's business.

pub mod cleanup;
pub mod model;
pub mod provider;
pub mod tokens;

mod hosted;
mod openai;
