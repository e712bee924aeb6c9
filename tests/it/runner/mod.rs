//! The runner boundary, from outside: what it is given as the runner gives it, and what it prints and writes as the runner reads it.

mod escape;
mod files;
mod inputs;
mod log;
mod oidc;
mod signals;

use std::io::Write;
use std::sync::{Arc, Mutex};

use proptest::prelude::Strategy;
use touchdown::runner::env::Env;
use touchdown::runner::log::{Log, Style};

/// What was printed so far.
#[derive(Clone, Default)]
pub struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Printed {
    pub fn log(style: Style) -> (Log, Self) {
        let printed = Self::default();
        (Log::new(Box::new(printed.clone()), style), printed)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn env(variables: &[(&str, &str)]) -> Env {
    variables.iter().copied().collect()
}

/// Pieces of commands, escapes, line ends, Markdown, HTML, links, mentions and references.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "::", ":", "##[", "#", "##", "[", "]", "error", "set-output name=a::b", "add-mask", "stop-commands", "]v", " ", "\t", "\n", "\r",
    "\r\n", "\u{85}", "\u{a0}", "\u{2028}", "\u{2029}", "\u{2003}", "\u{3000}", "\u{b}", "\u{c}", "\u{1c}", "\u{200b}", "\u{feff}",
    "\u{ad}", "\u{202e}", "\u{1b}[31m", "\u{1b}]8;;http://x\u{7}", "\u{1b}", "\u{9b}0m", "%0A", "%25", "`", "```", "~~~", "|", "<b>",
    "</td>", "<!--", "&lt;", "&#58;", "[a](http://b.c)", "![i](x)", "http://evil.example/x", "www.evil.example", "WWW.evil.example",
    "a@b.example", "@octocat", "acme/shop#1", "#1", "GH-1", ":tada:", "3f2a9c1d7be0", "$x$", "$$", "*", "_", "__a__", "~~", "\\", "1.",
    "-", "+", "=", "===", ">", "- [ ] ", "[^1]: x", "    ", "a", "é", "0",
];

/// Text as somebody would write it who wants to be read as something else, mixed with anything at all.
fn hostile() -> impl Strategy<Value = String> {
    let piece = proptest::prop_oneof![
        4 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        1 => proptest::prelude::any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
