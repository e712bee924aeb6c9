//! What users read is made from the table of settings: the inputs of `action.yml`, the tables of the README, the schema of the file.
//! `TOUCHDOWN_BLESS=1` writes them; otherwise they are held equal.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use touchdown::config::help::{described, help};
use touchdown::config::settings::{Part, SETTINGS, Setting};
use touchdown::simulator::fault::Fault;

/// A file of this repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Holds a file equal to what it should be, or writes it.
pub fn hold(path: &str, expected: &str) {
    let present = std::fs::read_to_string(file(path)).unwrap_or_default();
    if std::env::var_os("TOUCHDOWN_BLESS").is_some() && present != expected {
        std::fs::create_dir_all(file(path).parent().unwrap()).unwrap();
        std::fs::write(file(path), expected).unwrap();
        return;
    }
    let differing = present.lines().zip(expected.lines()).find(|(present, expected)| present != expected);
    assert!(present == expected, "{path} is stale: run `TOUCHDOWN_BLESS=1 cargo nextest run docs schema`; first: {differing:?}");
}

/// `text` with what stands between two lines replaced.
fn replaced(text: &str, from: &str, to: &str, by: &str) -> String {
    let (before, rest) = text.split_once(from).unwrap_or_else(|| panic!("there is no {from:?}"));
    let (_, after) = rest.split_once(to).unwrap_or_else(|| panic!("there is no {to:?}"));
    format!("{before}{from}{by}{to}{after}")
}

#[test]
fn the_inputs_of_action_yml_are_the_settings() {
    let mut inputs = String::new();
    for setting in SETTINGS.iter().filter(|setting| setting.is_input()) {
        let text = serde_json::to_string(&described(setting)).unwrap();
        let _ = write!(inputs, "  {}:\n    description: {text}\n", setting.name);
        // What only the workflow knows stands in action.yml; every other default is the binary's.
        if setting.default.contains("${{") {
            let _ = writeln!(inputs, "    default: \"{}\"", setting.default);
        }
    }
    let text = std::fs::read_to_string(file("action.yml")).unwrap();
    hold("action.yml", &replaced(&text, "\ninputs:\n", "\noutputs:\n", &inputs));
}

#[test]
fn the_faults_of_the_readme_are_the_simulators() {
    let rows: String = Fault::ALL.iter().skip(1).fold(String::new(), |rows, (_, name, what)| format!("{rows}| `{name}` | {what} |\n"));
    let table = format!("\n| fault | what happens |\n|---|---|\n{rows}\n");
    let text = std::fs::read_to_string(file("README.md")).unwrap();
    hold("README.md", &replaced(&text, "<!-- made from src/simulator/fault.rs -->\n", "<!-- end of the faults -->", &table));
}

#[test]
fn the_tables_of_the_readme_are_the_settings() {
    let mut tables = String::from("\n");
    for part in Part::ALL {
        let _ = write!(tables, "\n### {}\n\n| input | in the file | default | meaning |\n|---|---|---|---|\n", part.title());
        for setting in SETTINGS.iter().filter(|setting| setting.part == part) {
            let input = if setting.is_input() { format!("`{}`", setting.name) } else { "–".to_owned() };
            let key = setting.key().map_or_else(|| "–".to_owned(), |key| format!("`{key}`"));
            let default = if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
            let _ = writeln!(tables, "| {input} | {key} | {default} | {} |", setting.doc.replace('|', "\\|"));
        }
    }
    tables.push_str("\n### Outputs\n\n| output | meaning |\n|---|---|\n");
    for (name, description) in outputs() {
        let _ = writeln!(tables, "| `{name}` | {description} |");
    }
    tables.push('\n');
    let text = std::fs::read_to_string(file("README.md")).unwrap();
    hold("README.md", &replaced(&text, "<!-- made from src/config/settings.rs -->", "<!-- end -->", &tables));
}

/// The outputs that `action.yml` describes.
fn outputs() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file("action.yml")).unwrap();
    let section = text.split_once("\noutputs:\n").unwrap().1.split_once("\nruns:").unwrap().0;
    let lines: Vec<&str> = section.lines().collect();
    let described = lines.windows(2).filter_map(|pair| {
        let name = pair[0].strip_prefix("  ")?.strip_suffix(':').filter(|name| !name.starts_with(' '))?;
        let description = pair[1].trim().strip_prefix("description: ")?;
        Some((name.to_owned(), description.trim_matches('"').to_owned()))
    });
    described.collect()
}

#[test]
fn a_setting_is_described_in_one_line_and_its_default_is_a_value_it_may_have() {
    for setting in SETTINGS {
        assert!(!setting.doc.is_empty() && !setting.doc.ends_with('.') && !setting.doc.contains('\n'), "{}", setting.name);
        assert_eq!(SETTINGS.iter().filter(|other| other.name == setting.name).count(), 1, "{}", setting.name);
        assert!(!touchdown::config::settings::is_later(setting.name), "{} is served and not yet served", setting.name);
    }
}

#[test]
fn help_has_every_input_as_a_flag() {
    let help = help();
    for setting in SETTINGS.iter().filter(|setting| setting.is_input()) {
        let (flag, meaning) = (format!("--{} ", setting.name), setting.doc);
        assert!(help.lines().any(|line| line.trim_start().starts_with(&flag) && line.contains(meaning)), "{flag}");
    }
}

#[test]
fn the_settings_of_ecs_are_described_as_its_own_file_describes_them() {
    let schema = serde_json::to_value(schemars::schema_for!(touchdown::target::ecs::EcsSettings)).unwrap();
    let own = schema["properties"].as_object().unwrap();
    let plain = |text: &str| text.to_lowercase().replace(['.', ';', ':', ','], "");
    for (name, property) in own {
        let setting = Setting::named(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let (own, table) = (plain(property["description"].as_str().unwrap()), plain(setting.doc));
        assert!(table.starts_with(&own) || own.starts_with(&table), "{name}: {own:?} and {table:?}");
    }
    let listed: Vec<&str> = SETTINGS.iter().filter(|setting| setting.part == Part::Ecs).map(|setting| setting.name).collect();
    assert!(listed.iter().all(|name| own.contains_key(*name)), "{listed:?}");
}

#[test]
fn the_schema_of_the_file_is_the_settings() {
    let text = serde_json::to_string_pretty(&touchdown::config::schema::schema()).unwrap();
    hold("schema/touchdown.schema.json", &format!("{text}\n"));
}
