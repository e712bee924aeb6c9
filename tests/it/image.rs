//! Images: into registries and out of them, through every disturbance; read back by skopeo.

pub mod debian;
mod disturbed;
pub mod fake;
mod faults;
pub mod gate;
mod logins;
mod manners;
mod memory;
mod pushing;
pub mod stage;
mod tokens;
