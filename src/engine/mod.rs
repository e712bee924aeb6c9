//! The engine: a fold over a journal. `record` is what is written, `service` and `group` are pure and decide,
//! `journal` keeps the lines, `forward`, `back` and `marks` are the steps, `run` owns the one loop that acts. No platform is known here.

mod activity;
mod back;
mod evidence;
mod forward;
pub mod group;
pub mod journal;
pub mod look;
mod marks;
pub mod member;
pub mod narrate;
mod pace;
pub mod record;
pub mod run;
pub mod service;
pub mod state;
