//! The ECS target through its verbs, against the simulator: real HTTP, scaled time.

mod deploying;
mod refusing;
mod revisions;
mod stage;
mod tasks;
mod undoing;
