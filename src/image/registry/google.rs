//! Artifact Registry: its login by a cloud's access token, and its repositories, which nobody makes by pushing.
//! <https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories/create> (2026-11)

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::failure::{Failure, Kind, Result, cut};
use crate::http::{Answer, Http, Intent, NoAnswer};
use crate::image::reference::RepositoryName;

use super::login::{AccessTokens, Login, Made, Supplier};
use super::patience::Budget;

/// Where repositories are made.
const API: &str = "https://artifactregistry.googleapis.com/v1/";
/// How soon it is looked again whether one has been made.
const LOOK: Duration = Duration::from_secs(2);

/// An access token as the password of a fixed name.
/// <https://cloud.google.com/artifact-registry/docs/docker/authentication#token> (2026-11)
pub struct ArtifactRegistry {
    /// The client.
    pub http: Http,
    /// With the scope `cloud-platform`.
    pub tokens: Arc<dyn AccessTokens>,
}

impl Supplier for ArtifactRegistry {
    fn login(&self) -> BoxFuture<'_, Result<Login>> {
        async { Ok(Login::Password { username: "oauth2accesstoken".to_owned(), password: self.tokens.token().await? }) }.boxed()
    }

    fn make<'a>(&'a self, repository: &'a RepositoryName) -> BoxFuture<'a, Result<Made>> {
        async move {
            match Place::of(repository) {
                Some(place) => self.made(&place).await.map(|()| Made::Now),
                None => Ok(Made::Not),
            }
        }
        .boxed()
    }
}

/// A repository for images of Docker's kind, as the API names it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    parent: String,
    id: String,
}

impl Place {
    /// `LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE`; the project of a domain has two parts: `example.com/PROJECT`.
    fn of(name: &RepositoryName) -> Option<Self> {
        let location = name.host().strip_suffix("-docker.pkg.dev")?;
        let parts: Vec<&str> = name.path().split('/').collect();
        let (project, id) = match parts.as_slice() {
            [domain, project, id, _, ..] if domain.contains('.') => (format!("{domain}:{project}"), *id),
            [project, id, _, ..] if !project.contains('.') => ((*project).to_owned(), *id),
            _ => return None,
        };
        Some(Self { parent: format!("projects/{project}/locations/{location}"), id: id.to_owned() })
    }
}

impl ArtifactRegistry {
    /// One that is there already is left as it is.
    async fn made(&self, place: &Place) -> Result<()> {
        let path = format!("{}/repositories?repositoryId={}", place.parent, place.id);
        let asked = json!({ "format": "DOCKER" }).to_string();
        let answer = self.asked(place, http::Request::post(format!("{API}{path}")), asked.into()).await?;
        let mut told: Value = match answer.status {
            // Somebody, or we by an answer that was lost.
            409 => return Ok(()),
            200..300 => serde_json::from_slice(&answer.body).unwrap_or_default(),
            _ => return Err(refused(place, &answer)),
        };
        let mut patience = Budget::new(self.http.clock().clone()).patience();
        loop {
            if told["done"] == true {
                let why = told["error"]["message"].as_str();
                return why.map_or(Ok(()), |why| Err(not_made(place, Kind::Config, why)));
            }
            if !patience.again(Some(LOOK)).await {
                return Err(not_made(place, Kind::TimedOut, "it was still being made"));
            }
            let name = told["name"].as_str().filter(|name| is_operation(name, place)).map(str::to_owned);
            let name = name.ok_or_else(|| not_made(place, Kind::Transient, "nothing tells whether it is being made"))?;
            let answer = self.asked(place, http::Request::get(format!("{API}{name}")), Bytes::new()).await?;
            if answer.status != 200 {
                return Err(refused(place, &answer));
            }
            told = serde_json::from_slice(&answer.body).unwrap_or_default();
        }
    }

    async fn asked(&self, place: &Place, request: http::request::Builder, body: Bytes) -> Result<Answer> {
        let token = self.tokens.token().await?;
        let request = request.header("authorization", format!("Bearer {}", token.expose())).header("content-type", "application/json");
        let request =
            request.body(body).map_err(|error| Failure::bug("a call of Artifact Registry cannot be made").why(error.to_string()))?;
        let intent = if request.method() == http::Method::GET { Intent::Read } else { Intent::Change };
        match self.http.send(request.clone(), intent, |_| false).await {
            // Made twice, it is there already the second time.
            Err(NoAnswer::Lost(_)) => self.http.send(request, intent, |_| false).await,
            other => other,
        }
        .map_err(|cause| cause.into_failure(what(place)))
    }
}

/// What a status is asked of is ours, and nothing else.
fn is_operation(name: &str, place: &Place) -> bool {
    let id = name.strip_prefix(&place.parent).and_then(|rest| rest.strip_prefix("/operations/")).unwrap_or_default();
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn what(place: &Place) -> String {
    format!("the repository {} could not be made in Artifact Registry", place.id)
}

fn refused(place: &Place, answer: &Answer) -> Failure {
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let kind = match answer.status {
        401 | 403 => Kind::Denied,
        429 | 500.. => Kind::Transient,
        _ => Kind::Config,
    };
    not_made(place, kind, &format!("it answered {}: {}", answer.status, told["error"]["message"].as_str().unwrap_or("nothing more")))
}

fn not_made(place: &Place, kind: Kind, why: &str) -> Failure {
    let mut why = why.to_owned();
    cut(&mut why, 300);
    Failure::new(kind, what(place))
        .why(why)
        .fix(format!("grant roles/artifactregistry.admin on {}, or make the repository yourself", place.parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_by_its_host_and_the_first_parts_of_its_path() {
        let of = |text: &str| Place::of(&RepositoryName::parse(text).unwrap()).map(|place| format!("{} {}", place.parent, place.id));
        assert_eq!(of("europe-west1-docker.pkg.dev/p/apps/web").as_deref(), Some("projects/p/locations/europe-west1 apps"));
        assert_eq!(of("us-docker.pkg.dev/p/apps/team/web").as_deref(), Some("projects/p/locations/us apps"));
        assert_eq!(of("us-docker.pkg.dev/example.com/p/apps/web").as_deref(), Some("projects/example.com:p/locations/us apps"));
        for other in ["us-docker.pkg.dev/p/web", "gcr.io/p/web/x", "us-docker.pkg.dev/example.com/p/web"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn an_operation_elsewhere_is_never_asked_for() {
        let place = Place { parent: "projects/p/locations/us".to_owned(), id: "apps".to_owned() };
        assert!(is_operation("projects/p/locations/us/operations/1a-2b", &place));
        for other in
            ["projects/q/locations/us/operations/1", "projects/p/locations/us/operations/", "projects/p/locations/us/operations/../x"]
        {
            assert!(!is_operation(other, &place), "{other}");
        }
    }
}
