//! Which registry and what in it a request is for, read from its host and path. It answers nothing.

use percent_encoding::percent_decode_str;

use crate::simulator::wire::Call;
use crate::simulator::world::{ACCOUNT, partition};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub at: At,
    pub what: What,
}

/// Which door it knocks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// The registry of an account in a region.
    Registry { account: String, region: String },
    /// The bucket that a region's registry sends its readers to.
    Bucket { region: String },
    /// This machine, for clients that cannot be told where a host is; the registry is the one their token was given out for.
    Here,
}

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Base,
    Manifest { name: String, reference: String },
    Blob { name: String, digest: String },
    Uploads { name: String },
    Upload { name: String, id: String },
    Tags { name: String },
    Referrers { name: String, digest: String },
    Layer { digest: String },
    Unknown,
}

impl Address {
    /// `None`: the request is for no registry.
    pub(crate) fn of(call: &Call) -> Option<Self> {
        let (host, path) = (call.host(), percent_decode_str(&call.path).decode_utf8_lossy().into_owned());
        if let Some((account, region)) = registry(&host) {
            let (account, region) = (account.to_owned(), region.to_owned());
            return Some(Self { at: At::Registry { account, region }, what: what(&path) });
        }
        if let Some(region) =
            host.strip_prefix("prod-").and_then(|rest| rest.split_once("-starport-layer-bucket.s3.")).map(|(region, _)| region)
        {
            let digest = path.rsplit('/').next().unwrap_or_default().to_owned();
            return Some(Self { at: At::Bucket { region: region.to_owned() }, what: What::Layer { digest } });
        }
        let here = matches!(host.as_str(), "127.0.0.1" | "localhost" | "[::1]");
        let found = if here { what(&path) } else { What::Unknown };
        (found != What::Unknown).then_some(Self { at: At::Here, what: found })
    }

    /// As the log of requests names it: `registry:PUT manifest`.
    pub(crate) fn operation(&self, method: &str) -> String {
        let noun = match self.what {
            What::Base => "base",
            What::Manifest { .. } => "manifest",
            What::Blob { .. } => "blob",
            What::Uploads { .. } | What::Upload { .. } => "upload",
            What::Tags { .. } => "tags",
            What::Referrers { .. } => "referrers",
            What::Layer { .. } => "layer",
            What::Unknown => "unknown",
        };
        format!("registry:{method} {noun}")
    }

    /// The action that IAM knows it by, where it needs one.
    pub(crate) fn action(&self, method: &str) -> Option<&'static str> {
        Some(match (&self.what, method) {
            (What::Manifest { .. }, "PUT") => "ecr:PutImage",
            (What::Manifest { .. } | What::Referrers { .. }, _) => "ecr:BatchGetImage",
            (What::Blob { .. }, "HEAD") => "ecr:BatchCheckLayerAvailability",
            (What::Blob { .. }, _) => "ecr:GetDownloadUrlForLayer",
            (What::Uploads { .. }, _) => "ecr:InitiateLayerUpload",
            (What::Upload { .. }, "PUT") => "ecr:CompleteLayerUpload",
            (What::Upload { .. }, _) => "ecr:UploadLayerPart",
            (What::Tags { .. }, _) => "ecr:ListImages",
            (What::Base | What::Layer { .. } | What::Unknown, _) => return None,
        })
    }

    /// The repository, where it is about one.
    pub(crate) fn repository(&self) -> Option<&str> {
        match &self.what {
            What::Manifest { name, .. }
            | What::Blob { name, .. }
            | What::Uploads { name }
            | What::Upload { name, .. }
            | What::Tags { name }
            | What::Referrers { name, .. } => Some(name),
            What::Base | What::Layer { .. } | What::Unknown => None,
        }
    }
}

/// Whether a request of this method writes, whatever it is about.
pub(crate) fn changes(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH" | "DELETE")
}

/// Account and region of a registry's host.
pub(crate) fn registry(host: &str) -> Option<(&str, &str)> {
    let (account, rest) = host.split_once(".dkr.ecr.").or_else(|| host.split_once(".dkr.ecr-fips."))?;
    let region = rest.strip_suffix(".amazonaws.com.cn").or_else(|| rest.strip_suffix(".amazonaws.com"))?;
    let is_account = account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
    (is_account && !region.contains('.')).then_some((account, region))
}

/// The host of the world's registry in a region.
pub(crate) fn registry_host(region: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{region}.{}", suffix(region))
}

/// The host of the bucket that registry sends its readers to.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html> (2026-11)
pub(crate) fn bucket_host(region: &str) -> String {
    format!("prod-{region}-starport-layer-bucket.s3.{region}.{}", suffix(region))
}

fn suffix(region: &str) -> &'static str {
    if partition(region) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints> (2026-11)
fn what(path: &str) -> What {
    let Some(rest) = path.strip_prefix("/v2") else { return What::Unknown };
    let rest = match rest.strip_prefix('/') {
        Some("") => return What::Base,
        None if rest.is_empty() => return What::Base,
        Some(rest) => rest,
        None => return What::Unknown,
    };
    let split = |keyword: &str| rest.rsplit_once(keyword).map(|(name, last)| (name.to_owned(), last.to_owned()));
    if let Some((name, id)) = split("/blobs/uploads/") {
        return if id.is_empty() { What::Uploads { name } } else { What::Upload { name, id } };
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        return What::Uploads { name: name.to_owned() };
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return What::Tags { name: name.to_owned() };
    }
    let known = split("/manifests/")
        .map(|(name, reference)| What::Manifest { name, reference })
        .or_else(|| split("/blobs/").map(|(name, digest)| What::Blob { name, digest }))
        .or_else(|| split("/referrers/").map(|(name, digest)| What::Referrers { name, digest }));
    known.unwrap_or(What::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_told_by_their_hosts_and_nothing_else_is() {
        assert_eq!(registry("123456789012.dkr.ecr.eu-west-1.amazonaws.com"), Some(("123456789012", "eu-west-1")));
        assert_eq!(registry("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"), Some(("123456789012", "cn-north-1")));
        for region in ["eu-west-1", "cn-north-1"] {
            assert_eq!(registry(&registry_host(region)), Some((ACCOUNT, region)));
        }
        for host in ["api.ecr.eu-west-1.amazonaws.com", "web.example.com", "1.dkr.ecr.eu-west-1.amazonaws.com", "127.0.0.1"] {
            assert_eq!(registry(host), None, "{host}");
        }
    }

    #[test]
    fn a_path_is_read_from_its_end_as_repositories_may_be_called_like_anything() {
        let name = || "team/blobs/web".to_owned();
        assert_eq!(what("/v2/"), What::Base);
        assert_eq!(what("/v2/team/blobs/web/manifests/v1"), What::Manifest { name: name(), reference: "v1".to_owned() });
        assert_eq!(what("/v2/team/blobs/web/blobs/sha256:1"), What::Blob { name: name(), digest: "sha256:1".to_owned() });
        assert_eq!(what("/v2/team/blobs/web/blobs/uploads/"), What::Uploads { name: name() });
        assert_eq!(what("/v2/team/blobs/web/blobs/uploads/7"), What::Upload { name: name(), id: "7".to_owned() });
        assert_eq!(what("/v2/team/blobs/web/tags/list"), What::Tags { name: name() });
        for path in ["/", "/v2x/", "/health", "/v2/health"] {
            assert_eq!(what(path), What::Unknown, "{path}");
        }
    }
}
