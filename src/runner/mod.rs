//! The runner boundary: the only door to the environment, to standard output and to the runner's files.
//! Everything printed passes `log`, which disarms foreign text and knows every secret.

pub mod container;
pub mod env;
pub mod home;
pub mod log;
pub mod oidc;
pub mod signals;
pub mod state;
