//! The whole action against real parts: Debian's registry behind the tokens of the simulator's ECR, a Docker engine, and skopeo, which reads what arrived.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use touchdown::http::Endpoints;

use super::{PLATFORM, REGION, layers, layout, outcome, push_only};
use crate::image::debian::{Debian, Guard};
use crate::image::gate::Gate;
use crate::image::stage::{debian, read_by_skopeo};
use crate::image_sources::build::{self, Layout};
use crate::rig::{REPOSITORY, Rig};
use crate::setup::component;

/// A step whose ECR is Debian's registry.
struct Ground {
    rig: Rig,
    registry: Debian,
    gate: Gate,
}

impl Ground {
    /// A step that pushes `web.tar` as `v2` and deploys it, unless the inputs say otherwise.
    async fn new() -> Option<Self> {
        let registry = debian(&Guard::Open)?;
        let (layout, _) = layout(PLATFORM);
        let rig = Rig::new().await.bytes("web.tar", &layout.tar()).input("image", "archive:web.tar").input("skip-push", "");
        let rig = rig.input("push-to", &format!("{REPOSITORY}/web")).input("tags", "v2").input("env", "VERSION=v2");
        let rig = rig.input("health-version", "/version=v2");
        let simulator = url::Url::parse(&rig.simulator.endpoints().aws).unwrap().port().unwrap();
        let gate = Gate::before(registry.port, simulator).await;
        let rig = rig.env(&format!("TOUCHDOWN_ENDPOINT_{}", Endpoints::key(REPOSITORY)), &format!("http://127.0.0.1:{}", gate.port));
        Some(Self { rig, registry, gate })
    }

    fn input(self, name: &str, value: &str) -> Self {
        Self { rig: self.rig.input(name, value), ..self }
    }

    /// The image as those name it who are on this machine.
    fn here(&self, of: &str) -> String {
        format!("127.0.0.1:{}/web{of}", self.registry.port)
    }

    /// Pushes and deploys; the digest, which is what runs and what skopeo reads.
    async fn deployed(&self, what: &str) -> String {
        let ran = self.rig.main().await;
        assert_eq!(outcome(&ran), (0, "live".to_owned()), "{what}: {}", ran.stdout);
        let digest = ran.output("digest");
        let running = self.rig.simulator.world().task_definition(REGION, "web")["containerDefinitions"][0]["image"].clone();
        assert_eq!(running, format!("{REPOSITORY}/web@{digest}"), "{what}");
        for reference in [":v2".to_owned(), format!("@{digest}")] {
            if let Some(read) = read_by_skopeo(&self.here(&reference)) {
                assert_eq!(read.as_str(), digest, "{what} {reference}");
            }
        }
        let again = self.rig.main().await;
        assert_eq!(outcome(&again), (0, "unchanged".to_owned()), "{what}: {}", again.stdout);
        digest
    }
}

/// An image that says `it runs`.
fn speaking(busybox: &Path) -> Layout {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let binary = std::fs::read(busybox).unwrap();
    header.set_size(binary.len() as u64);
    header.set_mode(0o755);
    builder.append_data(&mut header, "busybox", binary.as_slice()).unwrap();
    let plain = builder.into_inner().unwrap();
    let mut layout = Layout::default();
    let config = json!({
        "os": "linux", "architecture": machine(), "config": { "Cmd": ["/busybox", "echo", "it runs"] },
        "rootfs": { "type": "layers", "diff_ids": [build::digest(&plain).as_str()] },
    });
    let config = layout.blob(build::OCI_CONFIG, config.to_string().into_bytes());
    let layer = layout.blob(&format!("{}+gzip", build::OCI_LAYER), build::gzip(&plain));
    let manifest = json!({ "schemaVersion": 2, "mediaType": build::OCI_MANIFEST, "config": config, "layers": [layer] });
    let image = layout.blob(build::OCI_MANIFEST, manifest.to_string().into_bytes());
    layout.name(image, Some("ci"));
    layout
}

fn machine() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// The engine at hand.
struct Docker(PathBuf);

impl Docker {
    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.0).args(arguments).output().unwrap();
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs an image of this machine's registry, and takes it away again.
    fn says(&self, image: &str) -> String {
        let said = self.run(&["run", "--rm", "--network", "none", image]);
        self.run(&["rmi", "--force", image]);
        said
    }
}

fn engine() -> Option<(Docker, String)> {
    let docker = component("engine")?;
    Some((Docker(docker), std::env::var("DOCKER_HOST").unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_a_layout_a_saved_image_and_one_of_a_registry_arrive_and_are_deployed_by_their_digest() {
    let (layout, made) = layout(PLATFORM);
    let Some(elsewhere) = debian(&Guard::Open) else { return };
    let copy = push_only().await.input("push-to", &format!("127.0.0.1:{}/made", elsewhere.port));
    assert_eq!(copy.main().await.code, 0);
    let registry = format!("127.0.0.1:{}/made:v2", elsewhere.port);
    for source in ["archive:web.tar", "oci:folder:ci", "archive:saved.tar", &registry] {
        let Some(ground) = Ground::new().await else { return };
        layout.write(&ground.rig.workspace().join("folder"));
        std::fs::write(ground.rig.workspace().join("saved.tar"), build::archive(&build::saved(PLATFORM, &layers()))).unwrap();
        let digest = ground.input("image", source).deployed(source).await;
        assert!(source == "archive:saved.tar" || digest == made, "{source}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_arrives_as_the_index_it_is() {
    let Some(ground) = Ground::new().await else { return };
    let mut layout = Layout::default();
    let children = [PLATFORM, "linux/arm64"].map(|platform| (platform, layout.image(platform, &layers())));
    let index = layout.index(&children);
    let made = index["digest"].as_str().unwrap().to_owned();
    layout.name(index, None).write(&ground.rig.workspace().join("folder"));
    assert_eq!(ground.input("image", "oci:folder").deployed("an index").await, made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_shows_no_token_of_ecr_s_is_not_let_through() {
    let Some(ground) = Ground::new().await else { return };
    ground.rig.simulator.world().deny("ecr:GetAuthorizationToken");
    let ran = ground.rig.main().await;
    assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    for shown in ["", "Authorization: Basic QVdTOm5vdGhpbmc=\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", ground.gate.port)).await.unwrap();
        let request = format!("GET /v2/web/tags/list HTTP/1.1\r\nHost: {REPOSITORY}\r\n{shown}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        assert!(told.starts_with("HTTP/1.1 401"), "{shown:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_a_real_engine_arrives_is_deployed_and_runs_by_its_digest() {
    let (Some((docker, host)), Some(busybox)) = (engine(), component("busybox")) else { return };
    let Some(ground) = Ground::new().await else { return };
    let name = "touchdown-pushes-real:ci";
    let load = tempfile::tempdir().unwrap();
    // With its right to be executed.
    std::fs::copy(&busybox, load.path().join("busybox")).unwrap();
    std::fs::write(load.path().join("Dockerfile"), "FROM scratch\nCOPY busybox /busybox\nCMD [\"/busybox\", \"echo\", \"it runs\"]\n")
        .unwrap();
    docker.run(&["build", "--quiet", "--tag", name, load.path().to_str().unwrap()]);
    // Debian's engine is older than zstd.
    let ground = ground.input("image", &format!("docker://{name}")).input("compression", "gzip");
    let ground = Ground { rig: ground.rig.env("DOCKER_HOST", &host), ..ground };
    let digest = ground.deployed("docker://").await;
    docker.run(&["rmi", "--force", name]);
    assert_eq!(docker.says(&ground.here(&format!("@{digest}"))).trim(), "it runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_was_pushed_from_a_layout_runs_by_its_digest() {
    let (Some((docker, _)), Some(busybox)) = (engine(), component("busybox")) else { return };
    let Some(ground) = Ground::new().await else { return };
    if machine() != "amd64" {
        crate::setup::skip("docker run of a pushed image", "the simulator's services run on linux/amd64");
        return;
    }
    speaking(&busybox).write(&ground.rig.workspace().join("folder"));
    let ground = ground.input("image", "oci:folder:ci");
    let digest = ground.deployed("a layout that runs").await;
    assert_eq!(docker.says(&ground.here(&format!("@{digest}"))).trim(), "it runs");
}
