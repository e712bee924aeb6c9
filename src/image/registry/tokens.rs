//! The header that lets a request in: by scope, renewed before it expires, and after a refusal once for everybody who waits for it.
//! <https://distribution.github.io/distribution/spec/auth/token/>, …/spec/auth/oauth/ (2026-11)

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::clock::Timestamp;
use crate::failure::{Failure, Kind, Result};
use crate::http::lane::{Cargo, Undelivered};
use crate::http::{Answer, Http, Intent, NoAnswer};
use crate::runner::log::Log;
use crate::values::Secret;

use super::challenge::{Challenge, challenges};
use super::login::{Login, Supplier};
use super::name::is_this_machine;
use super::patience::Budget;
use super::refusal::Refusal;
use super::rules::{Greeting, Rules};

/// How long a token is good that does not say it: <https://distribution.github.io/distribution/spec/auth/token/#token-response-fields> (2026-11)
const LIFE: u64 = 60;
/// At most this long before its end a token is renewed.
const MARGIN: u64 = 30;

/// What is to be allowed: `repository:acme/web:pull,push`, one or several.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope(pub(super) Vec<String>);

/// What one request shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Pass {
    pub(super) header: Option<HeaderValue>,
    generation: u64,
}

/// Everything about being let into one registry.
pub(super) struct Tokens {
    pub(super) http: Http,
    pub(super) log: Log,
    pub(super) supplier: Arc<dyn Supplier>,
    pub(super) rules: &'static Rules,
    /// Where the registry answers: `https://ghcr.io`.
    pub(super) api: String,
    pub(super) budget: Budget,
    pub(super) requests: Arc<AtomicU64>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    asks: Asks,
    login: Option<Login>,
    held: HashMap<Scope, Held>,
    generation: u64,
}

#[derive(Debug, Clone, Default)]
enum Asks {
    #[default]
    Nothing,
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

struct Held {
    pass: Pass,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    /// The same under the name OAuth gives it; some send both.
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Tokens {
    /// What to show for `scope`, as far as is known what the registry wants to see.
    pub(super) async fn pass(&self, scope: &Scope) -> Result<Pass> {
        let mut state = self.state.lock().await;
        if matches!(state.asks, Asks::Nothing)
            && self.rules.greeting == Greeting::AtOnce
            && matches!(self.login(&mut state).await?, Login::Password { .. })
        {
            state.asks = Asks::Basic;
        }
        self.current(&mut state, scope).await
    }

    /// After a 401 to `refused`: who comes first renews, the others find it done.
    pub(super) async fn renewed(&self, scope: &Scope, refused: &Pass, headers: &HeaderMap) -> Result<Pass> {
        let mut state = self.state.lock().await;
        if let Some(newer) = state.held.get(scope).filter(|held| held.pass.generation > refused.generation) {
            return Ok(newer.pass.clone());
        }
        state.held.remove(scope);
        // Who says that a token has expired need not say again what to bring.
        if refused.header.is_none() || headers.contains_key(http::header::WWW_AUTHENTICATE) {
            state.asks = self.asked_for(headers)?;
        }
        if refused.header.is_some() {
            state.login = None;
        }
        self.current(&mut state, scope).await
    }

    fn asked_for(&self, headers: &HeaderMap) -> Result<Asks> {
        let found = challenges(headers);
        let bearer = found.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { realm, service, .. } => Some(Asks::Bearer { realm: realm.clone(), service: service.clone() }),
            Challenge::Basic => None,
        });
        bearer.or_else(|| found.contains(&Challenge::Basic).then_some(Asks::Basic)).ok_or_else(|| {
            Failure::new(Kind::Denied, format!("{} does not say how to sign in", self.api)).why("its 401 asks for neither Basic nor Bearer")
        })
    }

    async fn current(&self, state: &mut State, scope: &Scope) -> Result<Pass> {
        if matches!(state.asks, Asks::Nothing) {
            return Ok(Pass::default());
        }
        let now = self.http.clock().now();
        if let Some(good) = state.held.get(scope).filter(|held| held.until.is_none_or(|until| until > now)) {
            return Ok(good.pass.clone());
        }
        let login = self.login(state).await?;
        let (value, until) = match (&state.asks, &login) {
            (Asks::Basic | Asks::Nothing, Login::Password { username, password }) => (basic(username, password), None),
            (Asks::Basic | Asks::Nothing, _) => return Err(self.login_missing(&login)),
            (Asks::Bearer { .. }, Login::Token(token)) => (format!("Bearer {}", token.expose()), None),
            (Asks::Bearer { realm, service }, login) => {
                let given = self.granted(realm, service.as_deref(), scope, login).await?;
                let token = Secret::new(given.token.or(given.access_token).unwrap_or_default());
                self.log.mask(&token);
                (format!("Bearer {}", token.expose()), Some(until(now, given.expires_in)))
            }
        };
        let mut header = HeaderValue::from_str(&value).map_err(|_| Failure::new(Kind::Denied, "the registry's token cannot be sent"))?;
        header.set_sensitive(true);
        state.generation += 1;
        let pass = Pass { header: Some(header), generation: state.generation };
        state.held.insert(scope.clone(), Held { pass: pass.clone(), until });
        Ok(pass)
    }

    async fn login(&self, state: &mut State) -> Result<Login> {
        if let Some(login) = &state.login {
            return Ok(login.clone());
        }
        let login = self.supplier.login().await?;
        if let Login::Password { password: secret, .. } | Login::Identity(secret) | Login::Token(secret) = &login {
            self.log.mask(secret);
        }
        state.login = Some(login.clone());
        Ok(login)
    }

    fn login_missing(&self, login: &Login) -> Failure {
        let failure = Failure::new(Kind::Denied, format!("{} asks for a name and a password", self.api));
        match login {
            Login::Anonymous => failure.why("this run has none for it").fix(self.rules.to_push),
            _ => failure.why("what this run has is a token").fix("set registry-username and registry-password"),
        }
    }

    /// A token for `scope`; where all of it is denied, for its first part: who may not read next door may still write here.
    async fn granted(&self, realm: &str, service: Option<&str>, scope: &Scope, login: &Login) -> Result<Given> {
        match self.fetched(realm, service, scope, login).await {
            Err(failure) if failure.kind == Kind::Denied && scope.0.len() > 1 => {
                let first = Scope(scope.0[..1].to_vec());
                self.fetched(realm, service, &first, login).await.map_err(|_| failure)
            }
            granted => granted,
        }
    }

    /// A token from where the registry gives them out.
    async fn fetched(&self, realm: &str, service: Option<&str>, scope: &Scope, login: &Login) -> Result<Given> {
        let url = self.realm(realm)?;
        let what = || format!("{} gave out no token for {}", url.host_str().unwrap_or_default(), scope.0.join(" "));
        let mut patience = self.budget.patience();
        loop {
            let asked = self.asked(&url, service, scope, login).await;
            match asked {
                Ok(answer) if answer.status == 200 => return given(&answer).map_err(|why| Failure::new(Kind::Transient, what()).why(why)),
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    if !patience.again(answer.retry_after()).await {
                        return Err(Failure::new(Kind::Transient, what()).why(format!("it answered {}", answer.status)));
                    }
                }
                Ok(answer) => {
                    let told = Refusal::of(&answer);
                    let why = format!("it answered {} {}: {}", told.status, told.code, told.message);
                    return Err(Failure::new(Kind::Denied, what()).why(why).fix(self.rules.to_push));
                }
                Err(cause) => {
                    if !patience.again(None).await {
                        return Err(cause.into_failure(what()));
                    }
                }
            }
        }
    }

    async fn asked(&self, url: &Url, service: Option<&str>, scope: &Scope, login: &Login) -> Result<Answer, NoAnswer> {
        let scopes = scope.0.iter().map(|scope| ("scope", scope.as_str()));
        let fields: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().chain(scopes).collect();
        let built = match login {
            Login::Identity(token) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.append_pair("grant_type", "refresh_token").append_pair("client_id", "touchdown");
                // An exchange takes its scopes as one.
                service.into_iter().for_each(|service| {
                    form.append_pair("service", service);
                });
                form.append_pair("scope", &scope.0.join(" ")).append_pair("refresh_token", token.expose());
                let request = http::Request::post(url.as_str()).header("content-type", "application/x-www-form-urlencoded");
                request.body(Cargo::Whole(Bytes::from(form.finish())))
            }
            _ => {
                let mut url = url.clone();
                url.query_pairs_mut().extend_pairs(fields);
                let request = http::Request::get(url.as_str());
                let request = match login {
                    Login::Password { username, password } => request.header("authorization", basic(username, password)),
                    _ => request,
                };
                request.body(Cargo::Whole(Bytes::new()))
            }
        };
        let request = built.map_err(|error| NoAnswer::NotSent(error.to_string()))?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        // It makes a token and changes nothing else.
        match self.http.ship(request, Intent::Read).await {
            Ok(arriving) => arriving.whole().await,
            Err(Undelivered::NoAnswer(cause)) => Err(cause),
            Err(Undelivered::Cargo(failure)) => Err(NoAnswer::NotSent(failure.what)),
        }
    }

    /// Passwords go there: never in the clear, unless the registry itself is this machine.
    fn realm(&self, realm: &str) -> Result<Url> {
        let refused =
            |why: &str| Failure::new(Kind::Denied, format!("{} sends this run elsewhere for a token", self.api)).why(why.to_owned());
        let url = Url::parse(realm).map_err(|_| refused("where to is no address"))?;
        let clear = self.api.starts_with("http://") && is_this_machine(url.host_str().unwrap_or_default());
        match url.scheme() {
            "https" => Ok(url),
            "http" if clear => Ok(url),
            _ => Err(refused("passwords are sent by https only")),
        }
    }
}

fn basic(username: &str, password: &Secret) -> String {
    let pair = format!("{username}:{}", password.expose());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn given(answer: &Answer) -> Result<Given, String> {
    let given: Given = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    if given.token.as_ref().or(given.access_token.as_ref()).is_none_or(String::is_empty) {
        Err("there is none in its answer".to_owned())
    } else {
        Ok(given)
    }
}

/// Until when a token is shown: somewhat shorter than it lives.
fn until(now: Timestamp, expires_in: Option<u64>) -> Timestamp {
    let life = expires_in.unwrap_or(LIFE).max(1);
    now.plus(Duration::from_secs(life) - Duration::from_secs(life.min(4 * MARGIN)) / 4)
}
