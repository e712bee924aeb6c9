//! How each figure is taken: on the binary that users get, from outside. What would take days is taken on the same code with a scaled clock.

pub mod binary;
pub mod deploy;
pub mod notice;

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The slowest.
pub fn slowest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}
