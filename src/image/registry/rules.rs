//! What registries demand and what they bear: one table, one row for each that is known. It sends nothing.

use crate::cloud::aws::ecr;

use crate::image::reference::RepositoryName;

const MIB: u64 = 1024 * 1024;

/// One row.
#[derive(Debug)]
pub(super) struct Rules {
    /// As people call it.
    pub called: &'static str,
    is: fn(&RepositoryName) -> bool,
    /// Into what pieces a blob may be cut when nothing else goes through.
    pub chunks: Chunks,
    /// The largest blob it takes.
    pub largest_blob: Option<u64>,
    /// How a password is shown.
    pub greeting: Greeting,
    /// Who makes repositories.
    pub repositories: Repositories,
    /// What who may not push must be granted.
    pub to_push: &'static str,
}

/// Into what pieces a blob may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Into none: it loses all but the first, or refuses them.
    Never,
    /// Into pieces of at most so many bytes.
    UpTo(u64),
}

/// How a password is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    /// With the first request: it is known what the registry will ask for.
    AtOnce,
    /// When asked.
    WhenAsked,
}

/// Who makes repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repositories {
    /// The first push.
    ByPush,
    /// Somebody, before the first push; the text says how.
    Beforehand(&'static str),
}

/// The rules for `name`.
pub(super) fn rules_of(name: &RepositoryName) -> &'static Rules {
    TABLE.iter().find(|rules| (rules.is)(name)).unwrap_or(&OTHERS)
}

/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>, containers-roadmap#2831 and #853 (2026-11)
const ECR: Rules = Rules {
    called: "ECR",
    is: |name| ecr::Repository::parse(&name.to_string()).is_some(),
    chunks: Chunks::Never,
    largest_blob: Some(52_000 * MIB),
    greeting: Greeting::AtOnce,
    repositories: Repositories::Beforehand("set create-repository: true, or make it: aws ecr create-repository --repository-name"),
    to_push: "allow ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, ecr:PutImage, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository",
};

const ECR_PUBLIC: Rules = Rules {
    called: "ECR Public",
    is: |name| name.host() == "public.ecr.aws",
    greeting: Greeting::WhenAsked,
    to_push: "allow ecr-public:GetAuthorizationToken, sts:GetServiceBearerToken and ecr-public's upload actions",
    ..ECR
};

/// kitops#777, skopeo#1101, google-github-actions/auth#50: a missing role answers as if nobody had signed in (2026-11)
const ARTIFACT_REGISTRY: Rules = Rules {
    called: "Artifact Registry",
    is: |name| name.host().ends_with(".pkg.dev") || name.host() == "gcr.io" || name.host().ends_with(".gcr.io"),
    chunks: Chunks::Never,
    largest_blob: None,
    greeting: Greeting::WhenAsked,
    repositories: Repositories::Beforehand(
        "set create-repository: true, or make it: gcloud artifacts repositories create --repository-format=docker",
    ),
    to_push: "grant roles/artifactregistry.writer on the repository (a missing role is answered as if nobody had signed in)",
};

/// harbor#23015: 413 above about 20 MB (2026-11)
const ACR: Rules = Rules {
    called: "Azure Container Registry",
    is: |name| [".azurecr.io", ".azurecr.us", ".azurecr.cn"].iter().any(|suffix| name.host().ends_with(suffix)),
    chunks: Chunks::UpTo(16 * MIB),
    largest_blob: Some(200 * 1024 * MIB),
    greeting: Greeting::WhenAsked,
    repositories: Repositories::ByPush,
    to_push: "grant the role AcrPush on the registry; where it is in ABAC mode, Container Registry Repository Writer",
};

/// <https://docs.github.com/packages/working-with-a-github-packages-registry/working-with-the-container-registry>, oci-client#35 (2026-11)
const GHCR: Rules = Rules {
    called: "GitHub's container registry",
    is: |name| name.host() == "ghcr.io",
    chunks: Chunks::UpTo(4 * MIB),
    largest_blob: Some(10 * 1024 * MIB),
    greeting: Greeting::WhenAsked,
    repositories: Repositories::ByPush,
    to_push: "give the job `permissions: packages: write`; for a package that is there already, also its settings → Manage Actions access → this repository → Write",
};

const DOCKER_HUB: Rules = Rules {
    called: "Docker Hub",
    is: |name| name.host() == "docker.io",
    to_push: "set registry-username and registry-password to an access token of Docker Hub that may write here",
    ..OTHERS
};

const FLY: Rules = Rules {
    called: "Fly's registry",
    is: |name| name.host() == "registry.fly.io",
    repositories: Repositories::Beforehand("make the app first: the repository has its name"),
    to_push: "give a deploy token of this app",
    ..OTHERS
};

const OTHERS: Rules = Rules {
    called: "the registry",
    is: |_| true,
    chunks: Chunks::UpTo(16 * MIB),
    largest_blob: None,
    greeting: Greeting::WhenAsked,
    repositories: Repositories::ByPush,
    to_push: "set registry-username and registry-password to somebody who may write here, or sign in to the registry in a step before",
};

const TABLE: [Rules; 7] = [ECR, ECR_PUBLIC, ARTIFACT_REGISTRY, ACR, GHCR, DOCKER_HUB, FLY];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_registry_has_its_row() {
        for (text, called) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web", "ECR"),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/web", "ECR"),
            ("public.ecr.aws/acme/web", "ECR Public"),
            ("europe-west1-docker.pkg.dev/p/r/web", "Artifact Registry"),
            ("eu.gcr.io/p/web", "Artifact Registry"),
            ("acme.azurecr.io/web", "Azure Container Registry"),
            ("ghcr.io/acme/web", "GitHub's container registry"),
            ("acme/web", "Docker Hub"),
            ("registry.fly.io/web", "Fly's registry"),
            ("evilgcr.io/web", "the registry"),
            ("127.0.0.1:5000/web", "the registry"),
        ] {
            assert_eq!(rules_of(&RepositoryName::parse(text).unwrap()).called, called, "{text}");
        }
    }
}
