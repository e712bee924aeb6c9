//! Signing in: an identity token in, a short-lived session out. One folder per cloud; none knows a target.

pub mod aws;
