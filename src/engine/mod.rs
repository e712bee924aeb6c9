//! The engine: a fold over a journal. `record` is what is written, `service` and `group` are pure and decide,
//! `journal` keeps the lines, `forward` and `back` are the steps, `run` owns the one loop that acts. No platform is known here.

mod back;
mod evidence;
mod forward;
pub mod group;
pub mod journal;
pub mod look;
pub mod member;
pub mod narrate;
mod pace;
pub mod record;
pub mod run;
pub mod service;
pub mod state;
