//! Reads the names a source file uses, from its tokens: comments and strings do not count, what stands inside macros does.
//! It knows Rust's paths and `use` trees, and nothing of our rooms.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A name used in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Its full path: `crate::engine::record`, `std::env::var`, `println!`; a method is `.sleep`.
    pub path: Vec<String>,
    /// Where it stands.
    pub line: usize,
}

impl Used {
    /// The path as it is written.
    pub fn name(&self) -> String {
        self.path.join("::")
    }
}

/// Every name that `source` uses; `module` is the file's own path within the crate, e.g. `["engine", "journal"]`.
pub fn of_source(source: &str, module: &[&str]) -> Vec<Used> {
    let tokens: TokenStream = source.parse().expect("the compiler has accepted this file");
    let mut reader = Reader { module: module.iter().map(ToString::to_string).collect(), ..Reader::default() };
    reader.walk(tokens);
    let Reader { used, aliases, .. } = reader;
    used.into_iter().map(|Used { path, line }| Used { path: in_full(path, &aliases), line }).collect()
}

/// `env::var` after `use std::env` is `std::env::var`. An alias may stand on another; a name is never put in twice.
fn in_full(mut path: Vec<String>, aliases: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(meant) = aliases.get(path[0].trim_end_matches('!'))
        && !seen.contains(&path[0])
    {
        let bang = path.len() == 1 && path[0].ends_with('!');
        seen.push(path.remove(0));
        path.splice(0..0, meant.iter().cloned());
        if bang && let Some(last) = path.last_mut() {
            last.push('!');
        }
    }
    path
}

#[derive(Default)]
struct Reader {
    module: Vec<String>,
    used: Vec<Used>,
    aliases: BTreeMap<String, Vec<String>>,
}

impl Reader {
    fn walk(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Group(group) => {
                    self.walk(group.stream());
                    at + 1
                }
                TokenTree::Ident(word) if word == "use" => self.import(&tokens, at + 1),
                TokenTree::Ident(word) if word == "mod" => self.inline_module(&tokens, at + 1),
                TokenTree::Ident(_) => self.path(&tokens, at),
                TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
            };
        }
    }

    /// `mod tests { … }`: inside, `super` is this module.
    fn inline_module(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) = (tokens.get(at), tokens.get(at + 1)) else { return at };
        self.module.push(name.to_string());
        self.walk(body.stream());
        self.module.pop();
        at + 2
    }

    /// One path in an expression or a type; a method call; a macro call.
    fn path(&mut self, tokens: &[TokenTree], start: usize) -> usize {
        let line = tokens[start].span().start().line;
        let (mut path, mut at) = (vec![tokens[start].to_string()], start + 1);
        while colons(tokens, at)
            && let Some(TokenTree::Ident(next)) = tokens.get(at + 2)
        {
            path.push(next.to_string());
            at += 3;
        }
        if start > 0 && is_punct(&tokens[start - 1], '.') {
            path[0].insert(0, '.');
        } else if tokens.get(at).is_some_and(|next| is_punct(next, '!')) && matches!(tokens.get(at + 1), Some(TokenTree::Group(_))) {
            path.last_mut().expect("it has one").push('!');
        }
        let path = self.absolute(path);
        self.used.push(Used { path, line });
        at
    }

    /// `use …;` from after the word `use`.
    fn import(&mut self, tokens: &[TokenTree], start: usize) -> usize {
        let end = (start..tokens.len()).find(|at| is_punct(&tokens[*at], ';')).unwrap_or(tokens.len());
        // `impl … + use<'a>` is no import.
        if !tokens.get(start).is_some_and(|next| is_punct(next, '<')) {
            self.tree(&[], &tokens[start..end]);
            return end;
        }
        start
    }

    /// A branch of a `use` tree below `prefix`.
    fn tree(&mut self, prefix: &[String], tokens: &[TokenTree]) {
        let mut path = prefix.to_vec();
        let mut alias = None;
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => return self.branches(&path, group),
                TokenTree::Ident(word) if word == "as" => {
                    alias = tokens.get(at + 1).map(ToString::to_string);
                    at += 1;
                }
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => path.push("*".to_owned()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
        let Some(first) = tokens.first() else { return };
        // `{self}` names the prefix itself.
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let path = self.absolute(path);
        self.aliases.insert(alias.unwrap_or_else(|| path.last().cloned().unwrap_or_default()), path.clone());
        self.used.push(Used { path, line: first.span().start().line });
    }

    fn branches(&mut self, prefix: &[String], group: &Group) {
        assert_eq!(group.delimiter(), Delimiter::Brace, "only braces group a use tree");
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        tokens.split(|token| is_punct(token, ',')).for_each(|branch| self.tree(prefix, branch));
    }

    /// `self::` and `super::` resolved; `touchdown::`, by which the binary calls the library, is `crate::`.
    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let ups = path.iter().take_while(|word| *word == "super").count();
        let from = match path[0].as_str() {
            "touchdown" => &[],
            "self" if path.len() > 1 => self.module.as_slice(),
            "super" => &self.module[..self.module.len().saturating_sub(ups)],
            _ => return path,
        };
        let rest = path.into_iter().skip(ups.max(1));
        std::iter::once("crate".to_owned()).chain(from.iter().cloned()).chain(rest).collect()
    }
}

fn is_punct(token: &TokenTree, expected: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == expected)
}

fn colons(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| is_punct(token, ':')) && tokens.get(at + 1).is_some_and(|token| is_punct(token, ':'))
}
