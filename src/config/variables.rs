//! `${VAR}` in the file: put in after parsing, so that a value can never become structure, from the step's `env`, and never a credential.
//! It knows no setting.

use crate::runner::env::Env;
use crate::runner::mistake::Mistake;

use super::yaml::{Kind, LARGEST, Node};

/// Whoever can change the file on a branch must not be able to send these anywhere.
const FORBIDDEN_PREFIXES: [&str; 5] = ["ACTIONS_", "INPUT_", "STATE_", "GITHUB_TOKEN", "RUNNER_TOKEN"];
const FORBIDDEN_ENDINGS: [&str; 9] =
    ["TOKEN", "SECRET", "SECRET_KEY", "PASSWORD", "PRIVATE_KEY", "ACCESS_KEY", "ACCESS_KEY_ID", "API_KEY", "CREDENTIALS"];

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// Somebody who may push.
    Trusted,
    /// Whoever opened a pull request: it gets what GitHub tells anybody, and nothing of the step's own.
    Anybody,
}

/// The step's variables, and what went wrong with them.
pub(super) struct Variables<'e> {
    env: &'e Env,
    author: Author,
    /// How many bytes may still be put in.
    left: usize,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'e> Variables<'e> {
    pub(super) fn of(env: &'e Env, author: Author) -> Self {
        Self { env, author, left: LARGEST, mistakes: Vec::new() }
    }

    /// Puts the variables into every scalar of `node`; `name` is the setting's. Whether all could be put in.
    pub(super) fn fill(&mut self, name: &str, node: &mut Node) -> bool {
        let line = node.line;
        match &mut node.kind {
            Kind::Scalar { text, .. } if !text.contains("${") => true,
            Kind::Scalar { text, .. } => match self.filled(text) {
                Ok(filled) => {
                    *text = filled;
                    true
                }
                Err((what, write)) => {
                    self.mistakes.push(Mistake::new(name, what, write).at(Some(line)));
                    false
                }
            },
            // All of them, so that every mistake is told.
            Kind::List(items) => items.iter_mut().filter_map(|item| (!self.fill(name, item)).then_some(())).count() == 0,
            Kind::Map(fields) => fields.iter_mut().filter_map(|field| (!self.fill(name, &mut field.node)).then_some(())).count() == 0,
        }
    }

    fn filled(&mut self, text: &str) -> Result<String, (String, String)> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some(start) = rest.find("${") {
            let (before, after) = (&rest[..start], &rest[start + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                filled.push_str(before);
                filled.push_str("${");
                rest = after;
                continue;
            }
            filled.push_str(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(self.value(name)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&mut self, name: &str) -> Result<&'e str, (String, String)> {
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(("has a ${ that names no variable".to_owned(), "write ${NAME}, or $${ for a plain ${".to_owned()));
        }
        let upper = name.to_ascii_uppercase();
        let forbidden = FORBIDDEN_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
            || FORBIDDEN_ENDINGS.iter().any(|ending| upper.ends_with(ending));
        if forbidden {
            return Err((
                format!("asks for {name}, and credentials are never put into settings"),
                "use secrets: for the service".to_owned(),
            ));
        }
        if self.author == Author::Anybody && !upper.starts_with("GITHUB_") {
            let what = format!("asks for {name}, and on a pull request only GITHUB_… is put in: whoever opens one writes this file");
            return Err((what, "set allow-pull-request: true if this is meant".to_owned()));
        }
        let value = self.env.get(name).ok_or_else(|| {
            (
                format!("asks for {name}, which is not set"),
                format!("add to the step:\n  env:\n    {name}: …\nor write $${{ for a plain ${{"),
            )
        })?;
        if url::Url::parse(value).is_ok_and(|url| url.password().is_some()) {
            return Err((format!("asks for {name}, which holds an address with a password"), "use secrets: for the service".to_owned()));
        }
        self.left = self
            .left
            .checked_sub(value.len())
            .ok_or_else(|| (format!("grows too large with {name}"), format!("keep all values together under {} KiB", LARGEST / 1024)))?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use crate::runner::env::Env;

    use super::{Author, Variables};

    #[test]
    fn variables_are_put_in_and_doubled_dollars_are_plain() {
        let env: Env = [("TAG", "v1"), ("A", "${TAG}: [x]")].into_iter().collect();
        let mut variables = Variables::of(&env, Author::Trusted);
        for (text, expected) in
            [("web:${TAG}", "web:v1"), ("$${TAG}", "${TAG}"), ("${A}", "${TAG}: [x]"), ("$TAG $", "$TAG $"), ("${TAG}${TAG}", "v1v1")]
        {
            assert_eq!(variables.filled(text).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_of_anybody_gets_what_github_tells_and_an_address_with_a_password_nobody_gets() {
        let env: Env =
            [("GITHUB_SHA", "abc"), ("DATABASE_HOST", "db"), ("DATABASE_URL", "postgres://app:canary@db/shop")].into_iter().collect();
        assert_eq!(Variables::of(&env, Author::Anybody).filled("${GITHUB_SHA}").unwrap(), "abc");
        assert!(Variables::of(&env, Author::Anybody).filled("${DATABASE_HOST}").is_err());
        assert_eq!(Variables::of(&env, Author::Trusted).filled("${DATABASE_HOST}").unwrap(), "db");
        let (what, _) = Variables::of(&env, Author::Trusted).filled("${DATABASE_URL}").unwrap_err();
        assert!(what.contains("password") && !what.contains("canary"), "{what}");
    }

    #[test]
    fn credentials_unset_variables_and_nonsense_are_mistakes() {
        let names = "ACTIONS_ID_TOKEN_REQUEST_URL INPUT_X STATE_x GITHUB_TOKEN AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN DB_PASSWORD aws_session_token";
        let env: Env = names.split(' ').map(|name| (name, "canary")).chain([("BIG", "x".repeat(200_000).as_str())]).collect();
        for name in names.split(' ') {
            let (what, _) = Variables::of(&env, Author::Trusted).filled(&format!("${{{name}}}")).unwrap_err();
            assert!(what.contains("credentials"), "{name}: {what}");
        }
        for text in ["${NOWHERE}", "${", "${}", "${A B}", "${A:-x}", "${BIG}${BIG}"] {
            assert!(Variables::of(&env, Author::Trusted).filled(text).is_err(), "{text}");
        }
    }
}
