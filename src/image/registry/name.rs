//! Where the registry of a repository answers. Docker Hub's name is not its registry's; only this machine is spoken to without TLS.

use crate::image::reference::{HUB, RepositoryName};

/// Where Docker Hub's registry answers.
const HUB_REGISTRY: &str = "registry-1.docker.io";

/// The registry's API, without a slash at the end.
pub(super) fn api(name: &RepositoryName) -> String {
    let host = if name.host() == HUB { HUB_REGISTRY } else { name.host() };
    format!("{}://{host}", if is_this_machine(host) { "http" } else { "https" })
}

/// Whether `host` (with a port or without) is this machine.
pub(super) fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repositories_are_read_as_docker_reads_them() {
        for (text, host, path, answers) in [
            ("web", "docker.io", "library/web", "https://registry-1.docker.io"),
            ("acme/web", "docker.io", "acme/web", "https://registry-1.docker.io"),
            ("index.docker.io/acme/web", "docker.io", "acme/web", "https://registry-1.docker.io"),
            ("ghcr.io/acme/web", "ghcr.io", "acme/web", "https://ghcr.io"),
            ("localhost/web", "localhost", "web", "http://localhost"),
            ("localhost:5000/team/web", "localhost:5000", "team/web", "http://localhost:5000"),
            ("127.0.0.1:5000/web", "127.0.0.1:5000", "web", "http://127.0.0.1:5000"),
            ("127.9.9.9/web", "127.9.9.9", "web", "http://127.9.9.9"),
            ("[::1]:5000/web", "[::1]:5000", "web", "http://[::1]:5000"),
            ("10.0.0.1:5000/web", "10.0.0.1:5000", "web", "https://10.0.0.1:5000"),
            ("localhost.example.com/web", "localhost.example.com", "web", "https://localhost.example.com"),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b.c/d__e-f",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "a/b.c/d__e-f",
                "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            ),
        ] {
            let name = RepositoryName::parse(text).unwrap();
            assert_eq!((name.host(), name.path(), api(&name).as_str()), (host, path, answers), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_repository_that_is_read_is_written_the_same_and_read_again(text in "[a-zA-Z0-9./:_@\\[\\]%-]{0,60}") {
            if let Ok(name) = RepositoryName::parse(&text) {
                prop_assert_eq!(RepositoryName::parse(&name.to_string()).unwrap(), name.clone());
                let url = url::Url::parse(&format!("{}/v2/{}/tags", api(&name), name.path())).unwrap();
                prop_assert!(url.path().ends_with("/tags") && url.query().is_none() && url.username().is_empty());
            }
        }
    }
}
