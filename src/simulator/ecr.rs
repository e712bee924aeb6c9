//! ECR's control calls: repositories, tags and digests, authorization tokens, settings. Layers and manifests travel through `registry`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::simulator::registry::address::{registry, registry_host};
use crate::simulator::registry::entry::Token;
use crate::simulator::registry::image::Image;
use crate::simulator::wire::{Outcome, Refusal, like, seconds, text, texts};
use crate::simulator::world::{ACCOUNT, Platform, State, arn};

/// A repository: what it holds and what each tag means.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repository {
    pub region: String,
    pub name: String,
    /// `MUTABLE`, `IMMUTABLE`, or one of them with exclusions; empty is the first.
    pub mutability: String,
    /// Patterns of tags of which the opposite is true, for mutabilities with exclusions.
    pub exclusions: Vec<String>,
    pub created_at: Timestamp,
    pub tags: BTreeMap<String, String>,
    pub images: BTreeMap<String, Image>,
    /// Blobs, of which some may belong to no image.
    pub layers: BTreeSet<String>,
    /// Made or pushed to by whoever uses this world: what is not in it cannot be pulled.
    pub complete: bool,
}

impl Repository {
    pub(crate) fn new(region: &str, name: &str, created_at: Timestamp) -> Self {
        Self { region: region.to_owned(), name: name.to_owned(), created_at, ..Self::default() }
    }

    /// Whether `tag`, once there, stays.
    pub(crate) fn is_immutable(&self, tag: &str) -> bool {
        let excluded = self.mutability.ends_with("_WITH_EXCLUSION") && self.exclusions.iter().any(|pattern| like(pattern, tag));
        self.mutability.starts_with("IMMUTABLE") != excluded
    }

    fn uri(&self) -> String {
        format!("{}/{}", registry_host(&self.region), self.name)
    }
}

/// The repository of this name, made where there is none.
pub(crate) fn ensure<'a>(platform: &'a mut Platform, region: &str, name: &str) -> &'a mut Repository {
    let found = platform.repositories.iter().position(|one| one.region == region && one.name == name);
    let index = found.unwrap_or_else(|| {
        platform.repositories.push(Repository::new(region, name, platform.now));
        platform.repositories.len() - 1
    });
    &mut platform.repositories[index]
}

/// The digest a tagged reference means, where the repository is known.
pub(crate) fn digest_of_tag(repositories: &[Repository], image: &str) -> Option<String> {
    let (name, tag) = named(image);
    repositories.iter().find(|repository| repository.uri() == name)?.tags.get(tag).cloned()
}

fn named(image: &str) -> (&str, &str) {
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((image, "latest"))
}

/// Whether a task can have this image: not where it should lie in a repository of this world and does not.
/// A repository the world does not know, or knows only by a seeded tag, stands for one that has everything.
pub(crate) fn can_be_pulled(platform: &Platform, image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let (name, tag) = named(name);
    let ours = name.split_once('/').and_then(|(host, _)| registry(host)).is_some_and(|(account, _)| account == ACCOUNT);
    let Some(repository) = platform.repositories.iter().find(|one| ours && one.complete && one.uri() == name) else { return true };
    let there = digest.map_or_else(|| repository.tags.contains_key(tag), |digest| repository.images.contains_key(digest));
    there || platform.old_images.contains(image)
}

/// Carries out one operation.
pub(crate) fn answer(state: &mut State, region: &str, operation: &str, body: &Value) -> Outcome {
    match operation {
        "GetAuthorizationToken" => Ok(authorization(state, region)),
        "GetAccountSetting" => setting(state, region, body),
        "PutAccountSetting" => set(state, region, body),
        "DescribeRepositories" => describe_repositories(state, region, body),
        "CreateRepository" => create(state, region, body),
        "DescribeImages" => images(state, region, body),
        "BatchGetImage" => batch_get(state, region, body),
        other => Err(Refusal::new("UnknownOperationException", format!("the simulator does not model {other}"))),
    }
}

fn authorization(state: &mut State, region: &str) -> Value {
    let token = Token::new(&mut state.platform, &state.identities.principal, region);
    let told = json!({
        "authorizationToken": token.encoded(), "expiresAt": seconds(token.until),
        "proxyEndpoint": format!("https://{}", registry_host(region)),
    });
    state.registry.tokens.push(token);
    json!({ "authorizationData": [told] })
}

/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutAccountSetting.html> (2026-11)
fn setting(state: &State, region: &str, body: &Value) -> Outcome {
    let name = text(body, "name");
    if name != "BLOB_MOUNTING" {
        return Err(Refusal::parameter(format!("the simulator does not model the setting {name}")));
    }
    let value = if state.registry.mounting.contains(region) { "ENABLED" } else { "DISABLED" };
    Ok(json!({ "name": name, "value": value }))
}

fn set(state: &mut State, region: &str, body: &Value) -> Outcome {
    setting(state, region, body)?;
    match text(body, "value") {
        "ENABLED" => state.registry.mounting.insert(region.to_owned()),
        "DISABLED" => state.registry.mounting.remove(region),
        other => return Err(Refusal::parameter(format!("Invalid parameter at 'value': '{other}'"))),
    };
    setting(state, region, body)
}

/// As every API of ECR's says it.
pub(crate) fn unknown(name: &str) -> Refusal {
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
        "createdAt": seconds(repository.created_at),
        "imageTagMutability": if repository.mutability.is_empty() { "MUTABLE" } else { &repository.mutability },
        "imageTagMutabilityExclusionFilters": repository.exclusions.iter().map(exclusion).collect::<Vec<_>>(),
        "imageScanningConfiguration": { "scanOnPush": false },
        "encryptionConfiguration": { "encryptionType": "AES256" },
    })
}

fn exclusion(pattern: &String) -> Value {
    json!({ "filterType": "WILDCARD", "filter": pattern })
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
    let mutability = text(body, "imageTagMutability");
    let known = ["", "MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"];
    if !is_name(name) || !known.contains(&mutability) {
        let wrong = if known.contains(&mutability) { "repositoryName" } else { "imageTagMutability" };
        let message = format!("Invalid parameter at '{wrong}' failed to satisfy constraint: 'must satisfy regular expression'");
        return Err(Refusal::parameter(message));
    }
    let filters = body.get("imageTagMutabilityExclusionFilters").and_then(Value::as_array).into_iter().flatten();
    let made = Repository {
        mutability: mutability.to_owned(),
        exclusions: filters.map(|filter| text(filter, "filter").to_owned()).collect(),
        complete: true,
        ..Repository::new(region, name, state.platform.now)
    };
    let answer = json!({ "repository": view(&made) });
    state.platform.repositories.push(made);
    Ok(answer)
}

/// Words of small letters and digits, with single separators between them, in a path.
fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let ends = part.bytes().next().is_some_and(word) && part.bytes().last().is_some_and(word);
        ends && part.bytes().all(|byte| word(byte) || b"._-".contains(&byte))
            && !["..", "._", "_.", ".-", "-."].iter().any(|two| part.contains(two))
    };
    (2..=256).contains(&name.len()) && name.split('/').all(is_part)
}

/// The digest an image id means, in a repository.
fn digest(repository: &Repository, id: &Value) -> Option<String> {
    let (tag, digest) = (text(id, "imageTag"), text(id, "imageDigest"));
    if tag.is_empty() {
        return repository.images.contains_key(digest).then(|| digest.to_owned());
    }
    repository.tags.get(tag).filter(|found| digest.is_empty() || *found == digest).cloned()
}

fn images(state: &State, region: &str, body: &Value) -> Outcome {
    let repository = repository(state, region, text(body, "repositoryName"))?;
    let wanted = body.pointer("/filter/tagStatus").and_then(Value::as_str).unwrap_or("ANY");
    let is_tagged = |digest: &String| repository.tags.values().any(|one| one == digest);
    let fits = |digest: &&String| wanted == "ANY" || is_tagged(digest) == (wanted == "TAGGED");
    let asked: Vec<Value> = match body.get("imageIds").and_then(Value::as_array) {
        Some(ids) => ids.clone(),
        None => repository.images.keys().filter(fits).map(|digest| json!({ "imageDigest": digest })).collect(),
    };
    let mut details = Vec::new();
    for id in asked {
        let Some((digest, image)) = digest(repository, &id).and_then(|digest| repository.images.get_key_value(&digest)) else {
            let tag = text(&id, "imageTag");
            let words = if tag.is_empty() { format!("digest:'{}'", text(&id, "imageDigest")) } else { format!("tag:'{tag}'") };
            let message = format!(
                "The image with imageId {{{words}}} does not exist within the repository with name '{}' in the registry with id '{ACCOUNT}'",
                repository.name
            );
            return Err(Refusal::new("ImageNotFoundException", message));
        };
        details.push(detail(repository, digest, image));
    }
    Ok(json!({ "imageDetails": details }))
}

fn detail(repository: &Repository, digest: &str, image: &Image) -> Value {
    let tags: Vec<&String> = repository.tags.iter().filter(|(_, one)| *one == digest).map(|(tag, _)| tag).collect();
    let mut detail = json!({
        "registryId": ACCOUNT, "repositoryName": repository.name, "imageDigest": digest,
        "imageSizeInBytes": image.size, "imagePushedAt": seconds(image.pushed_at), "imageManifestMediaType": image.media_type,
        "imageStatus": "ACTIVE",
    });
    let more = [
        ("imageTags", (!tags.is_empty()).then(|| json!(tags))),
        ("artifactMediaType", image.artifact_type.as_ref().map(|kind| json!(kind))),
        ("subjectManifestDigest", image.subject.as_ref().map(|subject| json!(subject))),
    ];
    for (key, value) in more {
        if let Some(value) = value {
            detail[key] = value;
        }
    }
    detail
}

fn batch_get(state: &State, region: &str, body: &Value) -> Outcome {
    let repository = repository(state, region, text(body, "repositoryName"))?;
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in body.get("imageIds").and_then(Value::as_array).into_iter().flatten() {
        match digest(repository, id).and_then(|digest| repository.images.get_key_value(&digest)) {
            Some((found, image)) => images.push(json!({
                "registryId": ACCOUNT, "repositoryName": repository.name,
                "imageId": { "imageDigest": found, "imageTag": id.get("imageTag") },
                "imageManifest": String::from_utf8_lossy(&image.bytes), "imageManifestMediaType": image.media_type,
            })),
            None => failures.push(json!({ "imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found" })),
        }
    }
    Ok(json!({ "images": images, "failures": failures }))
}
