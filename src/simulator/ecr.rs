//! ECR's control calls: repositories, tags and digests, authorization tokens. It is no registry: layers and manifests travel elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::simulator::wire::{Outcome, Refusal, seconds, text, texts};
use crate::simulator::world::{ACCOUNT, State, arn, partition};

/// A repository: what each tag means.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repository {
    pub region: String,
    pub name: String,
    pub immutable: bool,
    pub tags: BTreeMap<String, String>,
    /// Digests without a tag.
    pub untagged: Vec<String>,
}

impl Repository {
    fn uri(&self) -> String {
        let suffix = if partition(&self.region) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("{ACCOUNT}.dkr.ecr.{}.{suffix}/{}", self.region, self.name)
    }
}

/// The digest a tagged reference means, where the repository is known.
pub(crate) fn digest_of_tag(repositories: &[Repository], image: &str) -> Option<String> {
    let (name, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((image, "latest"));
    repositories.iter().find(|repository| repository.uri() == name)?.tags.get(tag).cloned()
}

/// Carries out one operation.
pub(crate) fn answer(state: &mut State, region: &str, operation: &str, body: &Value) -> Outcome {
    match operation {
        "GetAuthorizationToken" => Ok(authorization(state, region)),
        "DescribeRepositories" => describe_repositories(state, region, body),
        "CreateRepository" => create(state, region, body),
        "DescribeImages" => images(state, region, body),
        "BatchGetImage" => batch_get(state, region, body),
        other => Err(Refusal::new("UnknownOperationException", format!("the simulator does not model {other}"))),
    }
}

fn authorization(state: &State, region: &str) -> Value {
    let token = base64::engine::general_purpose::STANDARD.encode("AWS:registry-password-of-the-simulator");
    let suffix = if partition(region) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let expires = seconds(state.platform.now.plus(Duration::from_secs(12 * 3600)));
    let endpoint = format!("https://{ACCOUNT}.dkr.ecr.{region}.{suffix}");
    json!({ "authorizationData": [{ "authorizationToken": token, "expiresAt": expires, "proxyEndpoint": endpoint }] })
}

fn unknown(name: &str) -> Refusal {
    let message = format!("The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'");
    Refusal::new("RepositoryNotFoundException", message)
}

fn repository<'a>(state: &'a State, region: &str, name: &str) -> Outcome<&'a Repository> {
    let found = state.platform.repositories.iter().find(|one| one.region == region && one.name == name);
    found.ok_or_else(|| unknown(name))
}

fn view(repository: &Repository) -> Value {
    json!({
        "repositoryArn": arn("ecr", &repository.region, &format!("repository/{}", repository.name)),
        "registryId": ACCOUNT,
        "repositoryName": repository.name,
        "repositoryUri": repository.uri(),
        "imageTagMutability": if repository.immutable { "IMMUTABLE" } else { "MUTABLE" },
    })
}

fn describe_repositories(state: &State, region: &str, body: &Value) -> Outcome {
    let names = texts(body, "repositoryNames");
    if let Some(missing) = names.iter().find(|name| repository(state, region, name).is_err()) {
        return Err(unknown(missing));
    }
    let chosen = state.platform.repositories.iter().filter(|one| one.region == region && (names.is_empty() || names.contains(&one.name)));
    Ok(json!({ "repositories": chosen.map(view).collect::<Vec<_>>() }))
}

fn create(state: &mut State, region: &str, body: &Value) -> Outcome {
    let name = text(body, "repositoryName");
    if repository(state, region, name).is_ok() {
        let message = format!("The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'");
        return Err(Refusal::new("RepositoryAlreadyExistsException", message));
    }
    let immutable = text(body, "imageTagMutability").starts_with("IMMUTABLE");
    let new = Repository { region: region.to_owned(), name: name.to_owned(), immutable, ..Repository::default() };
    let answer = json!({ "repository": view(&new) });
    state.platform.repositories.push(new);
    Ok(answer)
}

/// The digest an image id means, in a repository.
fn digest(repository: &Repository, id: &Value) -> Option<String> {
    let (tag, digest) = (text(id, "imageTag"), text(id, "imageDigest"));
    if tag.is_empty() {
        let known = repository.tags.values().chain(&repository.untagged).any(|one| one == digest);
        return known.then(|| digest.to_owned());
    }
    repository.tags.get(tag).filter(|found| digest.is_empty() || *found == digest).cloned()
}

fn images(state: &State, region: &str, body: &Value) -> Outcome {
    let repository = repository(state, region, text(body, "repositoryName"))?;
    let asked: Vec<Value> = match body.get("imageIds").and_then(Value::as_array) {
        Some(ids) => ids.clone(),
        None => repository.tags.values().chain(&repository.untagged).map(|digest| json!({ "imageDigest": digest })).collect(),
    };
    let mut details = Vec::new();
    for id in asked {
        let Some(found) = digest(repository, &id) else {
            let tag = text(&id, "imageTag");
            let words = if tag.is_empty() { format!("digest:'{}'", text(&id, "imageDigest")) } else { format!("tag:'{tag}'") };
            let message = format!(
                "The image with imageId {{{words}}} does not exist within the repository with name '{}' in the registry with id '{ACCOUNT}'",
                repository.name
            );
            return Err(Refusal::new("ImageNotFoundException", message));
        };
        let tags: Vec<&String> = repository.tags.iter().filter(|(_, one)| **one == found).map(|(tag, _)| tag).collect();
        details.push(json!({
            "registryId": ACCOUNT, "repositoryName": repository.name, "imageDigest": found, "imageTags": tags,
            "imageSizeInBytes": 12_345_678, "imagePushedAt": seconds(state.platform.now),
            "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
        }));
    }
    Ok(json!({ "imageDetails": details }))
}

fn batch_get(state: &State, region: &str, body: &Value) -> Outcome {
    let repository = repository(state, region, text(body, "repositoryName"))?;
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in body.get("imageIds").and_then(Value::as_array).into_iter().flatten() {
        match digest(repository, id) {
            Some(found) => images.push(json!({
                "registryId": ACCOUNT, "repositoryName": repository.name,
                "imageId": { "imageDigest": found, "imageTag": id.get("imageTag") },
                "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            })),
            None => failures.push(json!({ "imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found" })),
        }
    }
    Ok(json!({ "images": images, "failures": failures }))
}
