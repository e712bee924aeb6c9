//! What the runner reads as a command in a step's output, as its source does it, and wherever the source leaves doubt, more of it.
//! (actions/runner, `ActionCommand.cs`, `ActionCommandManager.cs`, 2026-11.) The grammar of the command files is `action_harness::files`.

use std::collections::BTreeMap;

/// Commands the runner knows; names are read without regard to case.
const REGISTERED: [&str; 17] = [
    "internal-set-repo-path",
    "set-env",
    "set-output",
    "save-state",
    "add-path",
    "add-mask",
    "add-matcher",
    "remove-matcher",
    "warning",
    "error",
    "notice",
    "debug",
    "group",
    "endgroup",
    "section",
    "echo",
    "stop-commands",
];

/// A command as the runner takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// In small letters.
    pub name: String,
    /// `title`, `file`, …
    pub properties: BTreeMap<String, String>,
    /// What follows.
    pub data: String,
}

/// The commands in what a step printed. While commands are stopped, none are read until the token comes.
pub fn parse_stdout(text: &str) -> Vec<Command> {
    let (mut commands, mut stopped) = (Vec::new(), None::<String>);
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        match &stopped {
            Some(token) if line.trim().eq_ignore_ascii_case(&format!("::{token}::")) => stopped = None,
            Some(_) => {}
            None => {
                let Some(command) = current(line).or_else(|| legacy(line)) else { continue };
                if command.name == "stop-commands" {
                    stopped = Some(command.data.clone());
                }
                commands.push(command);
            }
        }
    }
    commands
}

/// `::name key=value,key=value::data` at the start of the trimmed line.
fn current(line: &str) -> Option<Command> {
    let rest = line.trim_start().strip_prefix("::")?;
    let (head, data) = rest.split_once("::")?;
    let (name, properties) = registered(head)?;
    let properties = pairs(properties, ',', &[("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")]);
    Some(Command { name, properties, data: unescaped(data, &[("%0D", "\r"), ("%0A", "\n"), ("%25", "%")]) })
}

/// `##[name key=value;key=value]data`, anywhere in the line.
fn legacy(line: &str) -> Option<Command> {
    let rest = &line[line.find("##[")? + 3..];
    let (head, data) = rest.split_once(']')?;
    let (name, properties) = registered(head)?;
    let properties = pairs(properties, ';', &[("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]")]);
    Some(Command { name, properties, data: unescaped(data, &[("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]")]) })
}

fn registered(head: &str) -> Option<(String, &str)> {
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let name = name.to_lowercase();
    REGISTERED.contains(&name.as_str()).then_some((name, properties))
}

fn pairs(text: &str, between: char, escapes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.trim().to_owned(), unescaped(value, escapes)));
    text.split(between).filter_map(pair).collect()
}

fn unescaped(text: &str, escapes: &[(&str, &str)]) -> String {
    escapes.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[test]
fn the_grammar_reads_what_the_runner_would() {
    let names = |text: &str| parse_stdout(text).into_iter().map(|command| command.name).collect::<Vec<_>>();
    assert_eq!(
        names("::error::x\n  \u{2003}::SET-OUTPUT name=a::b\rnoise ##[save-state name=k]v\r\n::unknown::x\n::error x"),
        ["error", "set-output", "save-state"]
    );
    assert_eq!(names("::stop-commands::abc\n::error::x\n::abc::\n::notice::y"), ["stop-commands", "notice"]);
    let command = parse_stdout("::error title=a%3Ab%2Cc,line=1::100%25%0Aend").remove(0);
    assert_eq!(command.properties.into_iter().collect::<Vec<_>>(), [("line".into(), "1".into()), ("title".into(), "a:b,c".into())]);
    assert_eq!(command.data, "100%\nend");
}
