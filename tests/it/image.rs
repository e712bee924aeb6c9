//! Images: into registries and out of them, through every disturbance; read back by skopeo.

pub mod debian;
mod disturbed;
pub mod fake;
mod faults;
mod logins;
mod manners;
mod memory;
mod pushing;
pub mod stage;
mod tokens;
