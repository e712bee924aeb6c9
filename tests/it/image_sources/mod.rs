//! Images from wherever they are: what users write, what tags are made, and what is read from archives, layouts and daemons.

mod archives;
mod broken;
pub mod build;
pub mod daemon;
mod engine;
mod fuzz;
mod layouts;
mod reading;
mod skopeo;
pub mod stand_in;
mod tags;
