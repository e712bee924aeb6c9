//! The engine: a fold over a journal. `record` is what is written, `service` and `group` are pure and decide,
//! `journal` keeps the lines, `run` owns the one loop that acts. No platform is known here.

pub mod group;
pub mod record;
pub mod service;
