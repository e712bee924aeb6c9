//! Images: from wherever they are to any registry, pinned by digest.

pub mod configuration;
pub mod content;
pub mod hashing;
pub mod manifest;
pub mod platform;
pub mod push;
pub mod reference;
pub mod registry;
pub mod source;
pub mod tags;
