//! `action.yml` and the code name the same inputs and outputs, and the examples use no other.

use touchdown::config::settings::SETTINGS;
use touchdown::engine::record::Entry;
use touchdown::report::{Report, outputs};

/// The keys of a top-level section.
fn keys(section: &str) -> Vec<String> {
    let text = include_str!("../../action.yml");
    let lines = text.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
    let inside = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    inside.filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':').filter(|key| !key.starts_with(' ')).map(str::to_owned)).collect()
}

/// The inputs that are served, in their order.
fn served() -> Vec<&'static str> {
    SETTINGS.iter().filter(|setting| setting.is_input()).map(|setting| setting.name).collect()
}

#[test]
fn every_input_is_served_and_every_served_name_is_an_input() {
    assert_eq!(keys("inputs"), served());
}

#[test]
fn every_output_is_written_and_every_written_one_is_described() {
    let entries: [Entry; 0] = [];
    let written: Vec<String> = outputs::outputs(&Report::of(&entries, None), "").into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(keys("outputs"), written);
}

#[test]
fn the_examples_write_only_inputs_that_are_served() {
    for example in crate::examples::examples() {
        example.with.keys().for_each(|name| assert!(served().contains(&name.as_str()), "{} in {}", name, example.name));
    }
}
