//! `touchdown.yml`: several services, what they share, and what differs by environment. Its keys are checked everywhere, its values
//! only where they are used: a staging run does not need production's variables. It knows the table of settings, not what they mean.

use crate::runner::mistake::Mistake;

use super::given::{Given, Settings, Value, not_yet};
use super::groups::Named;
use super::settings::{Part, SECTIONS, SETTINGS, Setting, is_later};
use super::variables::Variables;
use super::yaml::{self, Field, Kind, Node};

/// The keys at the top.
const TOP: [&str; 6] = ["version", "auth", "defaults", "services", "groups", "environments"];
/// The keys of an environment.
const OVERLAY: [&str; 4] = ["auth", "defaults", "services", "requires"];
/// The clouds of `auth`.
const CLOUDS: [&str; 3] = ["aws", "gcp", "azure"];

/// The file, with the services' settings not yet laid over each other.
#[derive(Default)]
pub(super) struct File {
    pub(super) auth: Settings,
    pub(super) defaults: Settings,
    pub(super) services: Vec<Listed>,
    pub(super) groups: Vec<Vec<Named>>,
    pub(super) environments: Vec<Environment>,
}

/// A service as listed.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) settings: Settings,
}

/// What an environment lays over the rest.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) name: String,
    auth: Settings,
    defaults: Settings,
    services: Vec<Listed>,
}

/// Everything of the file that one environment uses.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) auth: Settings,
    pub(super) services: Vec<Listed>,
    pub(super) groups: Vec<Vec<Named>>,
}

/// Reads the file, and every mistake in its keys.
pub(super) fn read(path: &str, text: &str) -> (File, Vec<Mistake>) {
    let mut reading = Reading { mistakes: Vec::new() };
    let file = match yaml::read(path, text) {
        Ok(Node { kind: Kind::Map(fields), .. }) => reading.file(&fields),
        Ok(node) => {
            reading.wrong(path, "is no map", "write version: 1, and services: below it", node.line);
            File::default()
        }
        Err(mistake) => {
            reading.mistakes.push(mistake);
            File::default()
        }
    };
    (file, reading.mistakes)
}

impl File {
    /// The services as `environment` has them. From the weakest: defaults, the environment's defaults, the service, the environment's service.
    pub(super) fn chosen(self, environment: Option<&str>, variables: &mut Variables<'_>) -> Chosen {
        let overlay = self.environments.into_iter().find(|overlay| Some(overlay.name.as_str()) == environment).unwrap_or_default();
        let defaults = self.defaults.filled(variables).under(overlay.defaults.filled(variables));
        let mut above: Vec<Listed> = overlay.services;
        let mut lay = |listed: Listed| {
            let upper = above.iter().position(|upper| upper.name == listed.name).map(|index| above.swap_remove(index).settings);
            let own = defaults.clone().under(listed.settings.filled(variables));
            Listed { settings: own.under(upper.unwrap_or_default().filled(variables)), ..listed }
        };
        let services = self.services.into_iter().map(&mut lay).collect();
        Chosen { auth: self.auth.filled(variables).under(overlay.auth.filled(variables)), services, groups: self.groups }
    }
}

struct Reading {
    mistakes: Vec<Mistake>,
}

impl Reading {
    fn wrong(&mut self, name: &str, what: impl Into<String>, write: impl Into<String>, line: u32) {
        self.mistakes.push(Mistake::new(name, what, write).at(Some(line)));
    }

    /// A key that is none: of a later time, of another place, or unknown.
    fn unknown(&mut self, place: &str, field: &Field, known: &[&str]) {
        let name = if place.is_empty() { field.key.clone() } else { format!("{place}.{}", field.key) };
        let elsewhere = Setting::named(&field.key).or_else(|| SETTINGS.iter().find(|setting| setting.key().as_ref() == Some(&field.key)));
        let mistake = match elsewhere {
            _ if is_later(&field.key) => not_yet(&name),
            Some(setting) if setting.part == Part::Run => Mistake::new(name, "is said for each run", "write it as an input or a flag"),
            Some(setting) => {
                let key = setting.key().unwrap_or_default();
                let place = if setting.is_of_service() { " in a service or in defaults" } else { "" };
                Mistake::new(name, "has its place elsewhere", format!("write {key}{place}"))
            }
            None => {
                let near = Mistake::unknown(&field.key, known);
                let write = if near.nearest.is_some() { near.write } else { format!("write one of {}", known.join(", ")) };
                Mistake { nearest: near.nearest, ..Mistake::new(name, "is no setting", write) }
            }
        };
        self.mistakes.push(mistake.at(Some(field.line)));
    }

    /// The fields of a map; nothing counts as an empty one.
    fn fields<'n>(&mut self, place: &str, node: &'n Node, line: u32) -> &'n [Field] {
        match &node.kind {
            Kind::Map(fields) => fields,
            Kind::Scalar { quoted: false, text } if super::given::is_null(text) => &[],
            Kind::Scalar { .. } | Kind::List(_) => {
                self.wrong(place, "is no map", "write its keys below it", line);
                &[]
            }
        }
    }

    fn file(&mut self, fields: &[Field]) -> File {
        let mut file = File::default();
        let mut version = false;
        for field in fields {
            match field.key.as_str() {
                "version" => {
                    version = true;
                    if !matches!(&field.node.kind, Kind::Scalar { text, .. } if text == "1") {
                        self.wrong("version", "is none that this build reads", "write version: 1", field.line);
                    }
                }
                "auth" => file.auth = self.auth("auth", field),
                "defaults" => file.defaults = self.settings("defaults", field),
                "services" => file.services = self.services("services", field),
                "groups" => file.groups = self.groups(field),
                "environments" => file.environments = self.environments(field),
                _ => self.unknown("", field, &TOP),
            }
        }
        if !version {
            self.wrong("version", "is missing", "write version: 1 at the top", 1);
        }
        if file.services.is_empty() && self.mistakes.is_empty() {
            self.wrong("services", "is missing", "write services: and each service below it", 1);
        }
        self.known_services(&file);
        file
    }

    /// An environment changes services; it makes none.
    fn known_services(&mut self, file: &File) {
        let names: Vec<&str> = file.services.iter().map(|listed| listed.name.as_str()).collect();
        for environment in &file.environments {
            for listed in environment.services.iter().filter(|listed| !names.contains(&listed.name.as_str())) {
                let near = Mistake::unknown(&listed.name, &names);
                let write = if near.nearest.is_some() { near.write } else { "list it in services too".to_owned() };
                let name = format!("environments.{}.services.{}", environment.name, listed.name);
                self.wrong(&name, "is no service of this file", write, listed.line);
            }
        }
    }

    fn auth(&mut self, place: &str, field: &Field) -> Settings {
        let mut settings = Settings::default();
        for cloud in self.fields(place, &field.node, field.line) {
            if cloud.key != "aws" {
                self.unknown(place, cloud, &CLOUDS);
                continue;
            }
            let place = format!("{place}.aws");
            for inner in self.fields(&place, &cloud.node, cloud.line) {
                let row = Setting::named(&format!("aws-{}", inner.key)).filter(|setting| setting.part == Part::SignIn);
                match row {
                    Some(setting) => settings.insert(setting, given(format!("{place}.{}", inner.key), inner)),
                    None => self.unknown(&place, inner, &inner_keys("aws-", |setting| setting.part == Part::SignIn)),
                }
            }
        }
        settings
    }

    fn services(&mut self, place: &str, field: &Field) -> Vec<Listed> {
        let fields = self.fields(place, &field.node, field.line);
        let mut listed = Vec::new();
        for service in fields {
            let place = format!("{place}.{}", service.key);
            let sound = (1..=64).contains(&service.key.len())
                && service.key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            if !sound {
                self.wrong(&place, "is no name", "write up to 64 letters, digits, hyphens and underscores", service.line);
            }
            let settings = self.settings(&place, service);
            listed.push(Listed { name: service.key.clone(), line: service.line, settings });
        }
        listed
    }

    fn settings(&mut self, place: &str, field: &Field) -> Settings {
        let mut settings = Settings::default();
        for field in self.fields(place, &field.node, field.line) {
            let name = format!("{place}.{}", field.key);
            match (&field.node.kind, field.key.as_str()) {
                (Kind::Scalar { .. }, "image") => self.image(name, field, &mut settings),
                (_, section) if SECTIONS.contains(&section) => self.section(&name, field, &mut settings),
                (_, key) => match Setting::named(key).filter(|setting| setting.key().as_deref() == Some(key) && setting.is_of_service()) {
                    Some(setting) => settings.insert(setting, given(name, field)),
                    None => self.unknown(place, field, &service_keys()),
                },
            }
        }
        settings
    }

    fn section(&mut self, place: &str, field: &Field, settings: &mut Settings) {
        let of_section = |setting: &&Setting| setting.section().is_some_and(|(section, _)| section == field.key);
        for inner in self.fields(place, &field.node, field.line) {
            match SETTINGS.iter().filter(of_section).find(|setting| setting.section().is_some_and(|(_, key)| key == inner.key)) {
                Some(setting) => settings.insert(setting, given(format!("{place}.{}", inner.key), inner)),
                None => {
                    let known: Vec<&str> =
                        SETTINGS.iter().filter(of_section).filter_map(|setting| setting.section()).map(|(_, key)| key).collect();
                    self.unknown(place, inner, &known);
                }
            }
        }
    }

    /// `image: HOST/REPOSITORY:TAG`, the short form of `image: { from: … }`.
    fn image(&self, place: String, field: &Field, settings: &mut Settings) {
        if let Some(setting) = Setting::named("image") {
            settings.insert(setting, given(place, field));
        }
    }

    fn groups(&mut self, field: &Field) -> Vec<Vec<Named>> {
        let Kind::List(groups) = &field.node.kind else {
            self.wrong("groups", "is no list of lists", "write [[a, b], [c, d]]", field.line);
            return Vec::new();
        };
        groups.iter().map(|group| self.group(group)).collect()
    }

    fn group(&mut self, group: &Node) -> Vec<Named> {
        let Kind::List(items) = &group.kind else {
            self.wrong("groups", "has a group that is no list", "write [[a, b], [c, d]]", group.line);
            return Vec::new();
        };
        let mut names = Vec::new();
        for item in items {
            match &item.kind {
                Kind::Scalar { text, .. } => names.push(Named { name: text.clone(), line: item.line }),
                Kind::List(_) | Kind::Map(_) => self.wrong("groups", "has a member that is no name", "write [[a, b], [c, d]]", item.line),
            }
        }
        names
    }

    fn environments(&mut self, field: &Field) -> Vec<Environment> {
        let fields = self.fields("environments", &field.node, field.line);
        fields.iter().map(|field| self.environment(field)).collect()
    }

    fn environment(&mut self, field: &Field) -> Environment {
        let place = format!("environments.{}", field.key);
        let mut environment = Environment { name: field.key.clone(), ..Environment::default() };
        for inner in self.fields(&place, &field.node, field.line) {
            let name = format!("{place}.{}", inner.key);
            match inner.key.as_str() {
                "auth" => environment.auth = self.auth(&name, inner),
                "defaults" => environment.defaults = self.settings(&name, inner),
                "services" => environment.services = self.services(&name, inner),
                _ => self.unknown(&place, inner, &OVERLAY),
            }
        }
        environment
    }
}

fn given(name: String, field: &Field) -> Given {
    Given { name, line: Some(field.line), value: Value::Tree(field.node.clone()) }
}

/// The keys of a service.
fn service_keys() -> Vec<&'static str> {
    let flat = SETTINGS.iter().filter(|setting| setting.is_of_service() && setting.section().is_none());
    flat.map(|setting| setting.name).chain(SECTIONS).collect()
}

/// What follows `prefix` in the names of some settings.
fn inner_keys(prefix: &str, among: impl Fn(&Setting) -> bool) -> Vec<&'static str> {
    SETTINGS.iter().filter(|setting| among(setting)).filter_map(|setting| setting.name.strip_prefix(prefix)).collect()
}
