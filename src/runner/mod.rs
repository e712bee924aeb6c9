//! The runner boundary: the only door to the environment, to standard output and to the runner's files.
//! Everything printed passes `log`, which disarms foreign text and knows every secret.

pub mod env;
pub mod log;
