//! The runner boundary: the only door to the environment, to standard output and to the runner's files.
//! Everything printed passes `log`, which disarms foreign text and knows every secret.

mod command_file;
pub mod container;
pub mod docker_config;
pub mod env;
pub mod escape;
pub mod hold;
pub mod home;
pub mod inputs;
pub mod log;
mod masks;
pub mod mistake;
pub mod oidc;
pub mod origin;
pub mod outputs;
pub mod random;
pub mod report_file;
mod screen;
pub mod signals;
pub mod state;
pub mod summary_file;
pub mod text;
pub mod trace;
pub mod workspace;
pub mod written;
