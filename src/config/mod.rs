//! Settings as written (inputs, `touchdown.yml`, flags) → a valid plan. Every mistake is reported at once, before any network call.

pub mod plan;
