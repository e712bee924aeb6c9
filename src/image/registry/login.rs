//! What a registry is shown, and who supplies it. It opens no file and signs in nowhere itself.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::cloud::aws;
use crate::cloud::aws::ecr;
use crate::failure::{Failure, Kind, Result};
use crate::http::{Http, Intent};
use crate::values::Secret;

use crate::image::reference::RepositoryName;

/// What a registry is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Nothing.
    Anonymous,
    /// Name and password: sent to the registry itself, or to where it gives out tokens.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that is exchanged for others where the registry gives them out.
    Identity(Secret),
    /// A token for the registry itself.
    Token(Secret),
}

/// What came of making a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is there now.
    Now,
    /// Nobody here can: the registry does it by itself, or a person must.
    Not,
}

/// Knows what one registry is to be shown.
pub trait Supplier: Send + Sync {
    /// What is good now. Asked once, and again when the registry no longer takes it.
    fn login(&self) -> BoxFuture<'_, Result<Login>>;

    /// Makes `repository` where the registry does not do it by itself.
    fn make<'a>(&'a self, repository: &'a RepositoryName) -> BoxFuture<'a, Result<Made>> {
        let _ = repository;
        async { Ok(Made::Not) }.boxed()
    }
}

/// Access tokens of a cloud's session, for the registry of that cloud.
pub trait AccessTokens: Send + Sync {
    /// One that is good for a while.
    fn token(&self) -> BoxFuture<'_, Result<Secret>>;
}

/// The same for ever: written in the settings, or the workflow's own token.
pub struct Fixed(pub Login);

impl Supplier for Fixed {
    fn login(&self) -> BoxFuture<'_, Result<Login>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

/// ECR: an authorization token of the session; good for twelve hours.
pub struct Ecr {
    /// In the repository's region.
    pub session: aws::Session,
}

impl Supplier for Ecr {
    fn login(&self) -> BoxFuture<'_, Result<Login>> {
        async {
            let (username, password) = ecr::authorization(&self.session).await?;
            Ok(Login::Password { username, password })
        }
        .boxed()
    }

    fn make<'a>(&'a self, repository: &'a RepositoryName) -> BoxFuture<'a, Result<Made>> {
        async move {
            let place = ecr::Repository::parse(&repository.to_string());
            let place = place.ok_or_else(|| Failure::bug(format!("{repository} is asked of ECR and is not ECR's")))?;
            ecr::create(&self.session, &place).await?;
            Ok(Made::Now)
        }
        .boxed()
    }
}

/// Azure's registry: an access token of Entra, exchanged for the registry's own refresh token.
/// <https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md> (2026-11)
pub struct Acr {
    /// The client.
    pub http: Http,
    /// Of `https://containerregistry.azure.net/.default`.
    pub tokens: Arc<dyn AccessTokens>,
    /// The directory; the registry finds it out where it is not told.
    pub tenant: Option<String>,
    /// The registry: `acme.azurecr.io`.
    pub host: String,
}

impl Supplier for Acr {
    fn login(&self) -> BoxFuture<'_, Result<Login>> {
        self.exchange().boxed()
    }
}

impl Acr {
    fn form(&self, token: &Secret) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "access_token").append_pair("service", &self.host).append_pair("access_token", token.expose());
        if let Some(tenant) = &self.tenant {
            form.append_pair("tenant", tenant);
        }
        form.finish()
    }

    async fn exchange(&self) -> Result<Login> {
        let what = || format!("{} did not take the Entra token", self.host);
        let token = self.tokens.token().await?;
        let form = self.form(&token);
        let request = http::Request::post(format!("https://{}/oauth2/exchange", self.host));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.into());
        let request = request.map_err(|error| Failure::bug(what()).why(error.to_string()))?;
        // It makes a token and changes nothing else.
        let answer = self.http.send(request, Intent::Read, |_| false).await.map_err(|cause| cause.into_failure(what()))?;
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match told["refresh_token"].as_str().filter(|_| answer.status == 200) {
            Some(token) => Ok(Login::Identity(Secret::new(token))),
            None => Err(Failure::new(Kind::Denied, what())
                .why(format!("it answered {} to the exchange", answer.status))
                .fix("grant the role AcrPush on the registry; where it is in ABAC mode, Container Registry Repository Writer")),
        }
    }
}
