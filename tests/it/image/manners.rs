//! The manners of each registry, one test for each row of facts: what is demanded is done, what is refused is gone around, what cannot be is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use touchdown::failure::{Failure, Kind, Result};
use touchdown::http::{Endpoints, Http};
use touchdown::image::content::Part;
use touchdown::image::push::Pushed;
use touchdown::image::reference::{Reference, RepositoryName};
use touchdown::image::registry::google::ArtifactRegistry;
use touchdown::image::registry::login::{AccessTokens, Acr, Login, Made, Supplier};
use touchdown::image::registry::source::RegistryImage;
use touchdown::image::registry::{Absent, Entrance, Purpose, Repository};
use touchdown::runner::log::{Log, Style};
use touchdown::values::Secret;

use super::fake::{Asks, Fake, Manners};
use super::memory::MemoryImage;
use super::stage::{client, pushed};
use crate::origin::{Origin, answer};

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const AR: &str = "europe-west1-docker.pkg.dev";
const ACR: &str = "acme.azurecr.io";
const GHCR: &str = "ghcr.io";
const MB: usize = 1_000_000;

/// Gives the same login again and again, and makes repositories at the fake.
struct Giving {
    login: Login,
    makes: Option<Arc<Fake>>,
    asked: AtomicUsize,
}

impl Supplier for Giving {
    fn login(&self) -> BoxFuture<'_, Result<Login>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(self.login.clone())).boxed()
    }

    fn make<'a>(&'a self, repository: &'a RepositoryName) -> BoxFuture<'a, Result<Made>> {
        let made = self.makes.as_ref().map_or(Made::Not, |fake| {
            fake.create(repository.path());
            Made::Now
        });
        std::future::ready(Ok(made)).boxed()
    }
}

struct Token(&'static str);

impl AccessTokens for Token {
    fn token(&self) -> BoxFuture<'_, Result<Secret>> {
        std::future::ready(Ok(Secret::new(self.0))).boxed()
    }
}

fn login(username: &str, password: &str) -> Login {
    Login::Password { username: username.to_owned(), password: Secret::new(password) }
}

fn giving(login: Login) -> Arc<Giving> {
    Arc::new(Giving { login, makes: None, asked: AtomicUsize::new(0) })
}

/// A client that finds `host` at the fake.
fn reaching(host: &str, fake: &Fake) -> Http {
    client(50.0, Endpoints([(Endpoints::key(host), format!("http://127.0.0.1:{}", fake.port))].into()))
}

fn repository(host: &str, path: &str, fake: &Fake, supplier: Arc<dyn Supplier>) -> Repository {
    let (http, log) = (reaching(host, fake), Log::new(Box::new(std::io::sink()), Style::Plain));
    Repository::new(RepositoryName::parse(&format!("{host}/{path}")).unwrap(), Purpose::Push, Entrance { http, log, supplier })
}

async fn arrives(image: &MemoryImage, to: &Repository, fake: &Fake) -> Pushed {
    let done = pushed(image, to, &["v1"]).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(fake.tag(to.name().path(), "v1").as_deref(), Some(image.digest().as_str()));
    done
}

#[tokio::test]
async fn ecr_gets_its_password_with_the_first_request() {
    let fake = Fake::start(Manners { asks: Asks::Basic("AWS", "secret"), ..Manners::default() }).await;
    arrives(&MemoryImage::new(&[5000], 1), &repository(ECR, "web", &fake, giving(login("AWS", "secret"))), &fake).await;
    assert!(fake.seen().iter().all(|seen| seen.headers.contains_key("authorization")));
}

#[tokio::test]
async fn ecr_gets_a_new_password_when_it_calls_the_old_one_expired() {
    let fake = Fake::start(Manners { asks: Asks::Basic("AWS", "secret"), expired: |number| number == 5, ..Manners::default() }).await;
    let supplier = giving(login("AWS", "secret"));
    arrives(&MemoryImage::new(&[5000], 1), &repository(ECR, "web", &fake, supplier.clone()), &fake).await;
    assert_eq!(supplier.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_repository_that_ecr_does_not_have_is_made_when_asked_and_else_is_a_mistake_with_the_command() {
    let fake = Arc::new(Fake::start(Manners { beforehand: true, ..Manners::default() }).await);
    let supplier = Arc::new(Giving { login: login("AWS", "x"), makes: Some(fake.clone()), asked: AtomicUsize::new(0) });
    let image = MemoryImage::index(2, &[5000], 1);
    let to = repository(ECR, "team/web", &fake, supplier);
    let failure = pushed(&image, &to, &["v1"]).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Missing);
    assert!(
        failure.to_string().contains("does not exist in the registry") && failure.to_string().contains("create-repository: true"),
        "{failure}"
    );
    arrives(&image, &to.when_absent(Absent::Make), &fake).await;
}

#[tokio::test]
async fn ecr_is_never_sent_a_second_piece() {
    for (largest_put, patches) in [(usize::MAX, 0), (MB, 1)] {
        let fake = Fake::start(Manners { drops_pieces: true, largest_put, ..Manners::default() }).await;
        arrives(&MemoryImage::new(&[30 * MB], 1), &repository(ECR, "web", &fake, giving(login("AWS", "x"))), &fake).await;
        assert_eq!(fake.brought("PATCH"), vec![30 * MB; patches]);
    }
    let fake = Fake::start(Manners { drops_pieces: true, largest_put: MB, largest_patch: MB, ..Manners::default() }).await;
    let failure =
        pushed(&MemoryImage::new(&[30 * MB], 1), &repository(ECR, "web", &fake, giving(login("AWS", "x"))), &["v1"]).await.unwrap_err();
    assert!(failure.to_string().contains("413"), "{failure}");
    assert_eq!(fake.tag("web", "v1"), None);
}

#[tokio::test]
async fn a_registry_that_drops_pieces_unawares_is_caught() {
    let fake = Fake::start(Manners { drops_pieces: true, largest_put: MB, largest_patch: 20 * MB, ..Manners::default() }).await;
    let to = repository("registry.example.com", "web", &fake, giving(Login::Anonymous));
    let failure = pushed(&MemoryImage::new(&[40 * MB], 1), &to, &["v1"]).await.unwrap_err();
    assert!(failure.to_string().contains("keeps not every piece"), "{failure}");
}

#[tokio::test]
async fn an_immutable_tag_that_means_the_same_is_success_and_one_that_means_another_image_names_itself() {
    let fake = Fake::start(Manners { immutable: true, ..Manners::default() }).await;
    let to = repository(ECR, "web", &fake, giving(login("AWS", "x")));
    let (image, other) = (MemoryImage::new(&[5000], 1), MemoryImage::new(&[6000], 2));
    arrives(&image, &to, &fake).await;
    arrives(&image, &to, &fake).await;
    // As when somebody else wrote the same tag meanwhile: refused, looked up, and found to be right.
    to.put_manifest(image.root(), "v1").await.unwrap();
    let failure = pushed(&other, &to, &["v1"]).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Conflict);
    assert!(failure.what.contains("the tag v1") && failure.to_string().contains("cannot be overwritten"), "{failure}");
    assert_eq!(fake.tag("web", "v1").as_deref(), Some(image.digest().as_str()));
}

#[tokio::test]
async fn artifact_registry_is_signed_in_to_by_access_token_and_never_sent_pieces() {
    let asks = Asks::Bearer("oauth2accesstoken", "ya29.token");
    let fake = Fake::start(Manners { asks, largest_put: MB, ..Manners::default() }).await;
    let to = repository(
        AR,
        "project/apps/web",
        &fake,
        Arc::new(ArtifactRegistry { http: reaching(AR, &fake), tokens: Arc::new(Token("ya29.token")) }),
    );
    arrives(&MemoryImage::new(&[10 * MB], 1), &to, &fake).await;
    assert_eq!(fake.brought("PATCH"), [10 * MB]);
}

#[tokio::test]
async fn a_repository_of_artifact_registry_is_made_and_waited_for_and_a_refusal_names_the_role() {
    const API: &str = "artifactregistry.googleapis.com";
    let name = RepositoryName::parse(&format!("{AR}/project/apps/web")).unwrap();
    let location = AR.strip_suffix("-docker.pkg.dev").unwrap();
    let operation = format!("projects/project/locations/{location}/operations/7");
    for (first, then, end) in [
        ((200, json!({ "name": operation })), json!({ "name": operation, "done": true, "response": {} }), Ok(Made::Now)),
        ((409, json!({})), json!({}), Ok(Made::Now)),
        ((403, json!({ "error": { "message": "Permission denied" } })), json!({}), Err(Kind::Denied)),
        ((200, json!({ "name": operation })), json!({ "done": true, "error": { "message": "a policy forbids it" } }), Err(Kind::Config)),
        ((200, json!({ "name": "projects/another/locations/us/operations/7" })), json!({}), Err(Kind::Transient)),
    ] {
        let api =
            Origin::start(move |_, index| if index == 0 { answer(first.0, &first.1.to_string()) } else { answer(200, &then.to_string()) })
                .await;
        let http = client(50.0, Endpoints([(Endpoints::key(API), api.url())].into()));
        let supplier = ArtifactRegistry { http, tokens: Arc::new(Token("ya29.token")) };
        match (supplier.make(&name).await, end) {
            (Ok(made), Ok(expected)) => assert_eq!(made, expected),
            (Err(failure), Err(kind)) => assert!(failure.kind == kind && failure.to_string().contains("artifactregistry"), "{failure}"),
            other => panic!("{other:?}"),
        }
        let asked = api.asked();
        assert_eq!(asked[0].target, format!("/v1/projects/project/locations/{location}/repositories?repositoryId=apps"));
        assert_eq!(
            (asked[0].headers["authorization"].to_str().unwrap(), asked[0].body.as_str()),
            ("Bearer ya29.token", r#"{"format":"DOCKER"}"#)
        );
    }
}

#[tokio::test]
async fn a_missing_role_at_artifact_registry_names_the_role_although_it_says_unauthenticated() {
    let fake = Fake::start(Manners { asks: Asks::RoleMissing, ..Manners::default() }).await;
    let to = repository(AR, "project/apps/web", &fake, giving(Login::Token(Secret::new("ya29.token"))));
    let failure = pushed(&MemoryImage::new(&[10], 1), &to, &["v1"]).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Denied);
    assert!(failure.to_string().contains("roles/artifactregistry.writer"), "{failure}");
    assert!(failure.to_string().contains("uploadArtifacts"), "{failure}");
}

#[tokio::test]
async fn acr_exchanges_the_entra_token_and_gets_pieces_it_can_bear() {
    let asks = Asks::Exchanged("entra");
    let fake =
        Fake::start(Manners { asks, largest_put: 20 * MB, largest_patch: 20 * MB, expired: |number| number == 9, ..Manners::default() })
            .await;
    let http = reaching(ACR, &fake);
    let supplier = Acr { http, tokens: Arc::new(Token("entra")), tenant: Some("tenant".to_owned()), host: ACR.to_owned() };
    let to = repository(ACR, "web", &fake, Arc::new(supplier));
    arrives(&MemoryImage::new(&[50 * MB, MB], 1), &to, &fake).await;
    let pieces = fake.brought("PATCH");
    assert!(pieces.iter().sum::<usize>() >= 50 * MB && pieces.iter().all(|piece| *piece <= 16 << 20), "{pieces:?}");

    let http = reaching(ACR, &fake);
    let supplier = Acr { http, tokens: Arc::new(Token("another")), tenant: None, host: ACR.to_owned() };
    let failure = pushed(&MemoryImage::new(&[10], 1), &repository(ACR, "web", &fake, Arc::new(supplier)), &["v1"]).await.unwrap_err();
    assert!(failure.kind == Kind::Denied && failure.to_string().contains("AcrPush"), "{failure}");
}

#[tokio::test]
async fn ghcr_takes_the_workflow_token_and_pieces_of_four_mebibytes() {
    let asks = Asks::Bearer("octo", "ghs_token");
    let fake = Fake::start(Manners { asks, largest_put: 4 << 20, largest_patch: 4 << 20, ..Manners::default() }).await;
    arrives(&MemoryImage::new(&[9 * MB, 1000], 1), &repository(GHCR, "acme/web", &fake, giving(login("octo", "ghs_token"))), &fake).await;
    assert_eq!(fake.brought("PATCH"), [4 << 20, 4 << 20, 9 * MB - (8 << 20)]);

    let failure = pushed(&MemoryImage::new(&[10], 1), &repository(GHCR, "acme/web", &fake, giving(login("octo", "wrong"))), &["v1"])
        .await
        .unwrap_err();
    assert!(failure.kind == Kind::Denied && failure.to_string().contains("packages: write"), "{failure}");
}

#[tokio::test]
async fn a_layer_beyond_what_ghcr_takes_is_refused_before_it_is_sent() {
    let fake = Fake::start(Manners::default()).await;
    let mut image = MemoryImage::new(&[5000], 1);
    for part in &mut image.parts {
        if let Part::Blob(blob) = part {
            blob.size = if blob.media_type.contains("layer") { 11 << 30 } else { blob.size };
        }
    }
    let failure = pushed(&image, &repository(GHCR, "acme/web", &fake, giving(Login::Anonymous)), &["v1"]).await.unwrap_err();
    assert!(failure.kind == Kind::Config && failure.what.contains("too large"), "{failure}");
    assert_eq!(image.opened(), 0, "it is not even read");
}

#[tokio::test]
async fn a_registry_that_takes_no_body_in_a_put_and_no_mounts_gets_it_otherwise() {
    let fake = Fake::start(Manners { largest_put: 0, mounts: false, ..Manners::default() }).await;
    let to = repository("registry.example.com", "web", &fake, giving(Login::Anonymous));
    let image = MemoryImage::new(&[3 * MB, 1000], 1);
    arrives(&image, &to, &fake).await;
    // A second image with the same layers: uploads begun in vain are let go of.
    let mut more = MemoryImage::new(&[3 * MB, 1000], 1);
    let config = more.add_blob(Bytes::from_static(b"{}"), "application/vnd.oci.image.config.v1+json");
    more.parts.retain(|part| !matches!(part, Part::Manifest(_)));
    more.add_manifest(
        &serde_json::json!({ "schemaVersion": 2, "mediaType": touchdown::image::manifest::MANIFESTS[0], "config": config, "layers": [] }),
    );
    let done = arrives(&more, &to, &fake).await;
    assert_eq!(done.sent, 2);
    assert!(fake.seen().iter().filter(|seen| seen.method == "DELETE").count() >= 3, "{:?}", fake.seen());
}

#[tokio::test]
async fn a_blob_that_is_read_elsewhere_is_read_there_without_the_pass() {
    let (store, target) = (Fake::start(Manners::default()).await, Fake::start(Manners::default()).await);
    let asks = Asks::Bearer("octo", "ghs_token");
    let fake = Fake::start(Manners { asks, blobs_at: Some("https://blobs.example.com".to_owned()), ..Manners::default() }).await;
    let image = MemoryImage::new(&[5000], 1);
    let by_itself = repository("blobs.example.com", "acme/web", &store, giving(Login::Anonymous));
    arrives(&image, &by_itself, &store).await;
    let places = [(GHCR, fake.port), ("blobs.example.com", store.port)];
    let endpoints = Endpoints(places.map(|(host, port)| (Endpoints::key(host), format!("http://127.0.0.1:{port}"))).into());
    let log = Log::new(Box::new(std::io::sink()), Style::Plain);
    let entrance = Entrance { http: client(50.0, endpoints), log, supplier: giving(login("octo", "ghs_token")) };
    let from = Repository::new(RepositoryName::parse("ghcr.io/acme/web").unwrap(), Purpose::Push, entrance);
    arrives(&image, &from, &fake).await;
    let source = RegistryImage::look(from, &Reference::parse("ghcr.io/acme/web:v1").unwrap(), None).await.unwrap();
    let done = arrives_from(&source, &repository("registry.example.com", "web", &target, giving(Login::Anonymous))).await;
    assert_eq!(done.sent, image.bytes());
    let redirected: Vec<_> = store.seen().into_iter().filter(|seen| seen.query == "signature=x" && seen.method == "GET").collect();
    assert!(redirected.len() == 2 && redirected.iter().all(|seen| !seen.headers.contains_key("authorization")), "{redirected:?}");
}

async fn arrives_from(source: &RegistryImage, to: &Repository) -> Pushed {
    pushed(source, to, &["v1"]).await.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn passwords_go_nowhere_in_the_clear() {
    let fake = Fake::start(Manners { asks: Asks::Bearer("octo", "ghs_token"), ..Manners::default() }).await;
    // The realm a registry names must be https unless the registry itself is this machine.
    let origin = crate::origin::Origin::start(|_, _| {
        crate::origin::answer_with(401, &[("www-authenticate", "Bearer realm=\"http://tokens.example.com/token\",service=\"x\"")], "")
    })
    .await;
    let http = client(50.0, Endpoints([(Endpoints::key(GHCR), origin.url())].into()));
    let log = Log::new(Box::new(std::io::sink()), Style::Plain);
    let name = RepositoryName::parse("ghcr.io/acme/web").unwrap();
    let to = Repository::new(name, Purpose::Pull, Entrance { http, log, supplier: giving(login("octo", "ghs_token")) });
    let failure: Failure = to.resolve("v1").await.unwrap_err();
    assert!(failure.kind == Kind::Denied && failure.to_string().contains("https only"), "{failure}");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn what_refers_to_an_image_is_copied_with_it_whether_the_registry_keeps_lists_or_not() {
    use touchdown::image::push::progress::silent;
    use touchdown::image::push::referrers::copy;
    use touchdown::image::reference::Reference;
    use touchdown::image::registry::source::RegistryImage;
    for (from_keeps, to_keeps) in [(true, true), (true, false), (false, true), (false, false)] {
        let (one, other) = (
            Fake::start(Manners { keeps_referrers: from_keeps, ..Manners::default() }).await,
            Fake::start(Manners { keeps_referrers: to_keeps, ..Manners::default() }).await,
        );
        let from = repository("one.example.com", "web", &one, giving(Login::Anonymous));
        let to = repository("other.example.com", "web", &other, giving(Login::Anonymous));
        let image = MemoryImage::new(&[5000], 1);
        arrives(&image, &from, &one).await;
        let mut signature = MemoryImage::empty();
        let config = signature.add_blob(Bytes::from_static(b"{}"), "application/vnd.oci.empty.v1+json");
        let subject = image.root().descriptor.clone();
        signature.add_manifest(&json!({ "schemaVersion": 2, "mediaType": touchdown::image::manifest::MANIFESTS[0], "config": config, "layers": [config], "subject": subject, "annotations": { "made": "by a test" } }));
        pushed(&signature, &from, &[]).await.unwrap();
        if !from_keeps {
            let reading = from.manifest(signature.digest().as_str()).await.unwrap().unwrap();
            from.list_referrer(&image.digest(), &reading).await.unwrap();
        }
        let legacy = MemoryImage::new(&[300], 9);
        let tag = format!("{}.sig", image.digest().as_str().replace(':', "-"));
        pushed(&legacy, &from, &[&tag]).await.unwrap();

        let done = arrives(&image, &to, &other).await;
        let reference = Reference { repository: from.name().clone(), tag: None, digest: Some(image.digest()) };
        let source = RegistryImage::look(from.clone(), &reference, None).await.unwrap();
        let copied = copy(&source, &to, &done, &silent()).await.unwrap();
        assert_eq!(copied.len(), 2, "{from_keeps} {to_keeps}");
        assert!(other.has_manifest("web", signature.digest().as_str()));
        assert_eq!(other.tag("web", &tag).as_deref(), Some(legacy.digest().as_str()));
        let listed = to.referrers(&image.digest()).await.unwrap();
        assert_eq!(listed.iter().map(|one| &one.digest).collect::<Vec<_>>(), [&signature.digest()], "{from_keeps} {to_keeps}");
    }
}
