//! See the codemap in `lib.rs`.
