//! Reads `WWW-Authenticate`: what a registry wants to see before it answers. Foreign text; whatever cannot be read is passed over.
//! <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>, <https://distribution.github.io/distribution/spec/auth/token/> (2026-11)

use http::HeaderMap;

/// One way to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A token, to be had at `realm`.
    Bearer {
        /// Where.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// What was wrong with the token that was sent: `invalid_token`, `insufficient_scope`.
        error: Option<String>,
    },
    /// Name and password.
    Basic,
}

/// The challenges in `headers` that are understood, in their order.
pub fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(http::header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| read(value).into_iter().filter_map(understood)).collect()
}

struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

fn understood(raw: Raw) -> Option<Challenge> {
    let of = |name: &str| raw.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    if raw.scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    raw.scheme.eq_ignore_ascii_case("bearer").then(|| of("realm")).flatten().map(|realm| Challenge::Bearer {
        realm,
        service: of("service"),
        error: of("error"),
    })
}

/// A list of challenges: a word not followed by `=` begins one, `name=value` belongs to the last one.
fn read(text: &str) -> Vec<Raw> {
    let mut found: Vec<Raw> = Vec::new();
    let mut rest = Rest(text);
    while !rest.0.is_empty() {
        let word = rest.token();
        if word.is_empty() {
            // Separators, and what belongs nowhere.
            rest.skip_one();
            continue;
        }
        if !rest.equals() {
            found.push(Raw { scheme: word.to_owned(), parameters: Vec::new() });
            continue;
        }
        let value = rest.value();
        if let Some(last) = found.last_mut() {
            last.parameters.push((word.to_owned(), value));
        }
    }
    found
}

struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn token(&mut self) -> &'a str {
        let end =
            self.0.find(|letter: char| !letter.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~/".contains(letter)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        token
    }

    fn skip_one(&mut self) {
        let mut letters = self.0.chars();
        letters.next();
        self.0 = letters.as_str();
    }

    /// Passes over `=` with blanks around it, where it follows.
    fn equals(&mut self) -> bool {
        match self.0.trim_start().strip_prefix('=') {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// A token or a quoted string; one whose quotes are never closed ends with the text.
    fn value(&mut self) -> String {
        let Some(quoted) = self.0.strip_prefix('"') else { return self.token().to_owned() };
        let (mut value, mut letters) = (String::new(), quoted.chars());
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => value.extend(letters.next()),
                letter => value.push(letter),
            }
        }
        self.0 = letters.as_str();
        value
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&str]) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(http::header::WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        challenges(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, error: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned), error: error.map(str::to_owned) }
    }

    #[test]
    fn the_challenges_of_the_known_registries_are_read() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/web:pull,push""#;
        assert_eq!(of(&[hub]), [bearer("https://auth.docker.io/token", Some("registry.docker.io"), None)]);
        let expired = r#"Bearer realm="https://r.example/t",service="r",scope="repository:a:pull",error="invalid_token""#;
        assert_eq!(of(&[expired]), [bearer("https://r.example/t", Some("r"), Some("invalid_token"))]);
        assert_eq!(
            of(&[r#"Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com""#]),
            [Challenge::Basic]
        );
        assert_eq!(of(&["basic"]), [Challenge::Basic]);
    }

    #[test]
    fn several_challenges_in_one_header_or_in_many_are_told_apart() {
        let two = [Challenge::Basic, bearer("https://r.example/t", None, None)];
        assert_eq!(of(&[r#"Basic realm="a, b", Bearer realm="https://r.example/t""#]), two);
        assert_eq!(of(&["Basic realm=x", "BEARER Realm = \"https://r.example/t\""]), two);
        assert_eq!(of(&[r#"Negotiate YII=, Basic realm="x\"y", Bearer service=s, Bearer realm="https://r.example/t"#]), two);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_stumble(text in "[ -~]{0,120}") {
            let _ = of(&[&text]);
        }

        #[test]
        fn any_realm_survives_its_quotes(realm in "[ -~]{0,60}", service in "[ -~]{0,20}") {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!(r#"Digest qop="auth", Bearer realm="{}", service="{}""#, quoted(&realm), quoted(&service));
            prop_assert_eq!(of(&[&header]), [bearer(&realm, Some(&service), None)]);
        }
    }
}
