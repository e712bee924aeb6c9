//! `--help`, made from the table of settings.

use std::fmt::Write;

use super::settings::{Form, Part, SETTINGS, Setting};

/// What can be written on the command line.
pub fn help() -> String {
    let mut text = "Deploys a container image, proves that the new build serves, and puts back what it cannot prove.\n\n\
         touchdown MODE [--SETTING VALUE]…\n\
         touchdown deploy --config touchdown.yml --environment staging\n\n\
         \u{20} deploy     the whole walk\n\
         \u{20} plan       what would change, key by key; changes nothing\n\
         \u{20} verify     health of what runs now; changes nothing\n\
         \u{20} rollback   back to the last known-good release, or --to one\n\
         \u{20} history    the releases; changes nothing\n\
         \u{20} rehearse   the whole walk on the built-in simulator, with a --fault\n\
         \u{20} demo       a good release and a bad one, on the simulator\n"
        .to_owned();
    for part in Part::ALL {
        let settings: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.part == part && setting.is_input()).collect();
        if settings.is_empty() {
            continue;
        }
        let _ = write!(text, "\n{}\n", part.title());
        for setting in settings {
            let flag = format!("--{} {}", setting.name, placeholder(setting.form));
            let _ = writeln!(text, "  {:<34} {}", flag.trim_end(), described(setting));
        }
    }
    text.push_str("\nThe exit status is 0 only for live, unchanged, planned, healthy, and a rollback that ended on a verified release.\n");
    text
}

/// What it means, with its default.
pub fn described(setting: &Setting) -> String {
    match setting.default {
        "" | "false" => setting.doc.to_owned(),
        default if default.contains("${{") => setting.doc.to_owned(),
        default => format!("{} (default `{default}`)", setting.doc),
    }
}

fn placeholder(form: Form) -> &'static str {
    match form {
        Form::Text | Form::Choice(_) => "TEXT",
        Form::Flag => "",
        Form::Duration => "30s",
        Form::Number(..) => "NUMBER",
        Form::List => "ENTRY",
        Form::Pairs | Form::JsonPairs => "KEY=VALUE",
        Form::Shares => "PERCENT",
        Form::Requests => "REQUEST",
        Form::Command => "COMMAND",
        Form::Image => "IMAGE",
    }
}
