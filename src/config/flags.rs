//! The command line: a mode and every input as a flag, and what stands there instead of a run. It knows no value.

use std::collections::BTreeMap;

use crate::runner::mistake::{Mistake, nearest};

use super::given::{Given, Settings, Value, unknown_input};
use super::settings::{Form, MODES, Setting};

/// What somebody asked for.
pub enum Command {
    /// A run, with these settings over the inputs.
    Run(Flags),
    /// The demo.
    Demo,
    /// What can be written.
    Help,
    /// Which version this is.
    Version,
}

/// The settings given as flags.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags(pub(super) Settings);

/// What can be written instead of a mode.
const OTHER: [&str; 3] = ["demo", "help", "version"];

/// Reads the arguments, the first of which is the name the process was called by.
pub fn command(arguments: &[String]) -> Result<Command, Vec<Mistake>> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut reading = Reading::default();
    loop {
        match parser.next() {
            Ok(None) => break,
            Ok(Some(lexopt::Arg::Long("help") | lexopt::Arg::Short('h'))) => return Ok(Command::Help),
            Ok(Some(lexopt::Arg::Long("version") | lexopt::Arg::Short('V'))) => return Ok(Command::Version),
            Ok(Some(lexopt::Arg::Long(name))) => {
                let name = name.to_owned();
                reading.flag(&name, &mut parser);
            }
            Ok(Some(lexopt::Arg::Short(letter))) => reading.wrong(&format!("-{letter}"), "is no flag", "see touchdown --help"),
            Ok(Some(lexopt::Arg::Value(word))) => reading.word(&word.to_string_lossy()),
            Err(error) => {
                reading.wrong("the command line", error.to_string(), "see touchdown --help");
                break;
            }
        }
    }
    if reading.mistakes.is_empty() { Ok(reading.command()) } else { Err(reading.mistakes) }
}

#[derive(Default)]
struct Reading {
    word: Option<String>,
    texts: BTreeMap<&'static str, Vec<String>>,
    mistakes: Vec<Mistake>,
}

impl Reading {
    fn wrong(&mut self, name: &str, what: impl Into<String>, write: &str) {
        self.mistakes.push(Mistake::new(name, what, write));
    }

    fn flag(&mut self, name: &str, parser: &mut lexopt::Parser) {
        let written = format!("--{name}");
        let Some(setting) = Setting::named(name).filter(|setting| setting.is_input()) else {
            self.mistakes.push(unknown_input(&written));
            // Its value, if it has one, is no mistake of its own.
            if parser.optional_value().is_none()
                && let Some(mut rest) = parser.try_raw_args()
            {
                let _ = rest.next_if(|next| !next.to_string_lossy().starts_with('-'));
            }
            return;
        };
        let value = match setting.form {
            Form::Flag => Some(parser.optional_value().map_or_else(|| "true".to_owned(), |value| value.to_string_lossy().into_owned())),
            _ => parser.value().ok().map(|value| value.to_string_lossy().into_owned()),
        };
        let Some(value) = value else { return self.wrong(&written, "has no value", "write one after it") };
        let texts = self.texts.entry(setting.name).or_default();
        let repeats = matches!(setting.form, Form::List | Form::Pairs | Form::JsonPairs | Form::Shares | Form::Requests);
        let twice = !texts.is_empty() && !repeats;
        texts.push(value);
        if twice {
            self.wrong(&written, "is there twice", "keep one of them");
        }
    }

    fn word(&mut self, word: &str) {
        let known: Vec<&str> = MODES.into_iter().chain(OTHER).collect();
        if self.word.is_some() {
            return self.wrong(word, "is a second command", "write one of them, and settings as flags");
        }
        if !known.contains(&word) {
            let near = nearest(word, &known);
            let write = near.as_ref().map_or_else(|| format!("write one of {}", known.join(", ")), |near| format!("write {near}"));
            self.mistakes.push(Mistake { nearest: near, ..Mistake::new(word, "is no command", write) });
        }
        self.word = Some(word.to_owned());
    }

    fn command(self) -> Command {
        let mut settings = Settings::default();
        for (name, texts) in self.texts {
            if let Some(setting) = Setting::named(name) {
                settings.insert(setting, Given { name: format!("--{name}"), line: None, value: Value::Text(texts.join("\n")) });
            }
        }
        match self.word.as_deref() {
            Some("demo") => return Command::Demo,
            Some("help") => return Command::Help,
            Some("version") => return Command::Version,
            Some(mode) => {
                if let Some(setting) = Setting::named("mode") {
                    settings.insert(setting, Given { name: "the command".to_owned(), line: None, value: Value::Text(mode.to_owned()) });
                }
            }
            None => {}
        }
        Command::Run(Flags(settings))
    }
}
