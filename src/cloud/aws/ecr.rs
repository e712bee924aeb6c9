//! ECR's control calls: which digest a tag means now, the password for its registry, new repositories.

use base64::Engine as _;
use serde_json::json;

use crate::failure::{Failure, Kind, Result};
use crate::values::{Digest, Secret};

use super::Session;
use super::signed::{self, ECR};

/// A private ECR repository, read from an image's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The registry's account.
    pub account: String,
    /// The registry's region.
    pub region: String,
    /// The repository's name in it.
    pub name: String,
}

impl Repository {
    /// `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME`, in any partition; `None`: not ECR.
    pub fn parse(repository: &str) -> Option<Self> {
        let (host, name) = repository.split_once('/')?;
        let mut parts = host.split('.');
        let (account, dkr, ecr, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let whole = account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()) && dkr == "dkr" && ecr.starts_with("ecr");
        whole.then(|| Self { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() })
    }
}

/// The digest `tag` means now.
pub async fn digest(session: &Session, repository: &Repository, tag: &str) -> Result<Digest> {
    let body = json!({ "registryId": repository.account, "repositoryName": repository.name, "imageIds": [{ "imageTag": tag }] });
    let what = format!("the tag {tag} of {} could not be looked up in ECR", repository.name);
    let found = signed::json(session, ECR, "DescribeImages", &body).await?.map_err(|refusal| {
        let fix = match refusal.kind() {
            Kind::Denied => format!("allow ecr:DescribeImages on repository/{} to {}", repository.name, session.identity().arn),
            Kind::Missing => format!("push the image first, or correct the tag: {} holds no {tag}", repository.name),
            _ => "give the image by its digest: repository@sha256:…".to_owned(),
        };
        refusal.into_failure(what.clone()).fix(fix)
    })?;
    let digest = found["imageDetails"][0]["imageDigest"].as_str().unwrap_or_default();
    Digest::parse(digest).map_err(|_| Failure::new(Kind::Missing, what).why("ECR names no digest for it"))
}

/// Name and password for the session's registries; good for twelve hours. Whoever gets them masks the password.
pub async fn authorization(session: &Session) -> Result<(String, Secret)> {
    let what = "no password for ECR was given out";
    let told = signed::json(session, ECR, "GetAuthorizationToken", &json!({})).await?.map_err(|refusal| {
        let fix = match refusal.kind() {
            Kind::Denied => format!("allow ecr:GetAuthorizationToken on * to {}", session.identity().arn),
            _ => "try again: ECR may be disturbed".to_owned(),
        };
        refusal.into_failure(what).fix(fix)
    })?;
    let encoded = told["authorizationData"][0]["authorizationToken"].as_str().unwrap_or_default();
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
    let (username, password) = pair.ok_or_else(|| Failure::new(Kind::Transient, what).why("the token is not what ECR's tokens are"))?;
    Ok((username.to_owned(), Secret::new(password)))
}

/// Makes `repository` with tags that never move, scanned on push. One that is there already is left as it is.
pub async fn create(session: &Session, repository: &Repository) -> Result<()> {
    let body = json!({
        "registryId": repository.account,
        "repositoryName": repository.name,
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": { "scanOnPush": true },
    });
    let made = signed::json(session, ECR, "CreateRepository", &body).await?;
    let Err(refusal) = made else { return Ok(()) };
    if refusal.code == "RepositoryAlreadyExistsException" {
        return Ok(());
    }
    let fix = format!(
        "allow ecr:CreateRepository on repository/{} to {}, or make the repository yourself",
        repository.name,
        session.identity().arn
    );
    Err(refusal.into_failure(format!("the repository {} could not be made in ECR", repository.name)).fix(fix))
}

#[cfg(test)]
mod tests {
    use super::Repository;

    #[test]
    fn a_private_repository_is_told_by_its_host_in_every_partition() {
        let parsed = |text| Repository::parse(text).map(|found| (found.account, found.region, found.name));
        let own = |account: &str, region: &str, name: &str| Some((account.to_owned(), region.to_owned(), name.to_owned()));
        assert_eq!(parsed("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/web"), own("123456789012", "eu-west-1", "team/web"));
        assert_eq!(parsed("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/web"), own("123456789012", "cn-north-1", "web"));
        assert_eq!(parsed("ghcr.io/acme/web"), None);
        assert_eq!(parsed("public.ecr.aws/acme/web"), None);
    }
}
