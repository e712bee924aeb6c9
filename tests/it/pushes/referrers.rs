//! What refers to an image goes along when that is asked for: from a layout, from registries that keep lists and from those whose clients keep them,
//! into either kind; and where there can be none that is said.

use serde_json::{Value, json};

use super::{PLATFORM, REGION, layers, push_only, tag};
use crate::image::debian::Guard;
use crate::image::fake::{Fake, Manners};
use crate::image::stage::{debian, read_by_skopeo};
use crate::image_sources::build::{self, Layout, OCI_MANIFEST};
use crate::rig::{REPOSITORY, Rig};

/// An image with an SBOM, a signature of that SBOM, and a signature under cosign's tag.
struct Signed {
    layout: Layout,
    image: String,
    about: [String; 3],
}

impl Signed {
    fn new() -> Self {
        let mut layout = Layout::default();
        let image = layout.image(PLATFORM, &layers());
        let sbom = about(&mut layout, Some(&image), "sbom");
        let signature = about(&mut layout, Some(&sbom), "signature");
        let cosign = about(&mut layout, None, "cosign");
        let digest = |of: &Value| of["digest"].as_str().unwrap().to_owned();
        let (name, all) = (digest(&image), [digest(&sbom), digest(&signature), digest(&cosign)]);
        layout.name(image, Some("ci")).name(sbom, None).name(signature, None).name(cosign, Some(&cosign_tag(&name)));
        Self { layout, image: name, about: all }
    }
}

fn about(layout: &mut Layout, subject: Option<&Value>, what: &str) -> Value {
    let empty = layout.blob("application/vnd.oci.empty.v1+json", b"{}".to_vec());
    let body = layout.blob("application/vnd.example.statement", what.as_bytes().to_vec());
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [body] });
    if let Some(subject) = subject {
        manifest["subject"] = subject.clone();
    }
    layout.blob(OCI_MANIFEST, manifest.to_string().into_bytes())
}

fn list_tag(digest: &str) -> String {
    digest.replace(':', "-")
}

fn cosign_tag(digest: &str) -> String {
    format!("{}.sig", list_tag(digest))
}

const ALONG: &str = "and 3 signatures, SBOMs or attestations of it";

async fn goes_along(rig: Rig, from: &str, to: &str) -> Rig {
    let rig = rig.input("image", from).input("push-to", to).input("tags", "v2").input("referrers", "true");
    let ran = rig.main().await;
    assert_eq!(ran.code, 0, "{from} to {to}: {}", ran.stdout);
    assert!(ran.summary.contains(ALONG) && ran.stdout.contains(ALONG), "{from} to {to}: {}", ran.summary);
    rig
}

/// A step with a layout in its workspace.
async fn with(signed: &Signed) -> Rig {
    let rig = push_only().await;
    signed.layout.write(&rig.workspace().join("folder"));
    rig
}

fn leads(rig: Rig, host: &str, fake: &Fake) -> Rig {
    let key = touchdown::http::Endpoints::key(host);
    rig.env(&format!("TOUCHDOWN_ENDPOINT_{key}"), &format!("http://127.0.0.1:{}", fake.port))
}

fn has_all(fake: &Fake, signed: &Signed) {
    signed.about.iter().for_each(|digest| assert!(fake.has_manifest("web", digest), "{digest}"));
    assert_eq!(fake.tag("web", &cosign_tag(&signed.image)).as_ref(), Some(&signed.about[2]));
    assert_eq!(fake.tag("web", "v2").as_ref(), Some(&signed.image));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_refers_to_an_image_goes_along_from_registry_to_registry_of_either_kind() {
    let signed = Signed::new();
    let bare = Fake::start(Manners { keeps_referrers: false, ..Manners::default() }).await;
    let listing = Fake::start(Manners::default()).await;
    let rig = leads(leads(with(&signed).await, "bare.example.com", &bare), "listing.example.com", &listing);
    rig.simulator.world().add_repository(REGION, "again", false);
    let ecr = format!("{REPOSITORY}/web");
    let rig = goes_along(rig, "oci:folder:ci", &ecr).await;
    assert_eq!(tag(&rig, "v2").as_ref(), Some(&signed.image));
    assert_eq!(tag(&rig, &list_tag(&signed.image)), None, "ECR keeps its own lists");
    let rig = goes_along(rig, &format!("{ecr}:v2"), "bare.example.com/web").await;
    has_all(&bare, &signed);
    assert!(bare.tag("web", &list_tag(&signed.image)).is_some() && bare.tag("web", &list_tag(&signed.about[0])).is_some());
    let rig = goes_along(rig, "bare.example.com/web:v2", "listing.example.com/web").await;
    has_all(&listing, &signed);
    assert_eq!(listing.tag("web", &list_tag(&signed.image)), None);
    let rig = goes_along(rig, "listing.example.com/web:v2", &format!("{REPOSITORY}/again")).await;
    let cosign = rig.simulator.world().tag(REGION, "again", &cosign_tag(&signed.image));
    assert_eq!(cosign.as_ref(), Some(&signed.about[2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_refers_to_an_image_goes_into_debian_s_registry_and_out_of_it() {
    let signed = Signed::new();
    let Some(registry) = debian(&Guard::Open) else { return };
    let place = format!("127.0.0.1:{}/web", registry.port);
    let rig = goes_along(with(&signed).await, "oci:folder:ci", &place).await;
    let rig = goes_along(rig, &format!("{place}:v2"), &format!("{REPOSITORY}/web")).await;
    assert_eq!(tag(&rig, &cosign_tag(&signed.image)).as_ref(), Some(&signed.about[2]));
    for (reference, digest) in [("v2".to_owned(), &signed.image), (cosign_tag(&signed.image), &signed.about[2])] {
        let Some(read) = read_by_skopeo(&format!("{place}:{reference}")) else { return };
        assert_eq!(read.as_str(), digest, "{reference}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_along_unasked() {
    let signed = Signed::new();
    let rig = with(&signed).await.input("image", "oci:folder:ci").input("tags", "v2");
    let ran = rig.main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!((tag(&rig, "v2").as_ref(), tag(&rig, &cosign_tag(&signed.image))), (Some(&signed.image), None));
    assert!(!rig.simulator.world().requests().iter().any(|request| request.operation.contains("referrers")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tag_moves_before_what_refers_to_the_image_is_there() {
    let signed = Signed::new();
    let rig = with(&signed).await.input("image", "oci:folder:ci").input("tags", "latest").input("referrers", "true");
    let old = rig.simulator.world().add_image(REGION, "web", "latest");
    rig.simulator.world().deny("ecr:BatchGetImage");
    assert_eq!(rig.main().await.code, 1);
    assert_eq!(tag(&rig, "latest"), Some(old.clone()));
    let rig = with(&signed).await.input("image", "oci:folder:ci").input("tags", "latest").input("referrers", "true");
    let world = rig.simulator.world();
    world.add_image(REGION, "web", "latest");
    let ran = rig.main().await;
    assert_eq!((ran.code, tag(&rig, "latest").as_ref()), (0, Some(&signed.image)), "{}", ran.stdout);
    let written: Vec<String> = world.requests().into_iter().map(|one| one.operation).filter(|one| one == "registry:PUT manifest").collect();
    assert_eq!(written.len(), 5, "the image, the three about it, and then the tag");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_can_have_no_referrers_is_told_so() {
    let saved = build::archive(&build::saved(PLATFORM, &layers()));
    for (source, words) in
        [("docker://web:ci", "nothing refers to an image of a daemon"), ("archive:saved.tar", "as docker save writes it")]
    {
        let rig = push_only().await.bytes("saved.tar", &saved).input("image", source).input("referrers", "true");
        let ran = rig.main().await;
        assert_eq!(ran.code, 1, "{source}: {}", ran.stdout);
        assert!(ran.stdout.contains(words) && ran.stdout.contains("referrers"), "{source}: {}", ran.stdout);
        assert!(!rig.simulator.world().requests().iter().any(|one| one.changing && one.operation.starts_with("registry:")), "{source}");
    }
}
