//! ECR's registry request by request: what it answers where other registries answer something else.

use base64::Engine as _;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use touchdown::image::hashing::digest_of;
use touchdown::image::manifest::{INDEXES, MANIFESTS};
use touchdown::simulator::handle::World;
use touchdown::simulator::seed::ServiceSeed;

use super::client::Client;

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const REGION: &str = "eu-west-1";

/// An answer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn error(&self) -> (u16, String, String) {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        let text = |name: &str| body["errors"][0][name].as_str().unwrap().to_owned();
        (self.status, text("code"), text("message"))
    }

    /// Status and code of an error.
    fn refusal(&self) -> (u16, String) {
        let (status, code, _) = self.error();
        (status, code)
    }
}

/// Somebody with a token, and a repository `web`.
struct Wire {
    client: Client,
    http: reqwest::Client,
    authorization: String,
}

impl Wire {
    async fn new() -> Self {
        let client = Client::with(50.0, ServiceSeed::new("web")).await;
        client.world.add_repository(REGION, "web", false);
        let (_, told) = client.call("ecr", "GetAuthorizationToken", json!({})).await.unwrap();
        let token = told["authorizationData"][0]["authorizationToken"].as_str().unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { authorization: format!("Basic {token}"), client, http }
    }

    fn world(&self) -> &World {
        &self.client.world
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
        let authorization = [("authorization", self.authorization.as_str()), ("host", HOST)];
        let given = |name: &str| headers.iter().any(|(known, _)| *known == name);
        let all = authorization.into_iter().filter(|(name, _)| !given(name)).chain(headers.iter().copied());
        let url = format!("http://{}{path}", self.client.simulator.address());
        let mut request = self.http.request(method.parse().unwrap(), url).body(body);
        for (name, value) in all.filter(|(_, value)| !value.is_empty()) {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body: answer.bytes().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// Where an upload to `name` goes.
    async fn begun(&self, name: &str, query: &str) -> (u16, String) {
        let answer = self.send("POST", &format!("/v2/{name}/blobs/uploads/{query}"), &[], "").await;
        (answer.status, answer.header("location").strip_prefix(&format!("https://{HOST}")).unwrap().to_owned())
    }

    /// Uploads a blob in one piece; gives its digest.
    async fn blob(&self, name: &str, bytes: &'static [u8]) -> String {
        let (_, location) = self.begun(name, "").await;
        let digest = digest_of(bytes).unwrap().to_string();
        let answer = self.send("PUT", &format!("{location}?digest={digest}"), &[], bytes).await;
        assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest.as_str()));
        digest
    }

    async fn manifest(&self, name: &str, reference: &str, media_type: &str, manifest: &Value) -> Answer {
        self.send("PUT", &format!("/v2/{name}/manifests/{reference}"), &[("content-type", media_type)], manifest.to_string()).await
    }
}

fn image(config: &str, layer: &str) -> Value {
    let named = |kind: &str, digest: &str| json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": 3 });
    json!({ "schemaVersion": 2, "mediaType": MANIFESTS[0], "config": named("config.v1+json", config), "layers": [named("layer.v1.tar", layer)] })
}

#[tokio::test]
async fn who_shows_no_token_is_told_what_to_bring() {
    let wire = Wire::new().await;
    assert_eq!(wire.get("/v2/").await.status, 200);
    let mut wrong = vec![String::new(), "Basic !!".to_owned(), "Bearer x".to_owned()];
    wrong.push(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("AWS:guessed")));
    for authorization in wrong {
        let answer = wire.send("GET", "/v2/", &[("authorization", &authorization)], "").await;
        assert_eq!((answer.status, &answer.body[..]), (401, &b"Not Authorized\n"[..]), "{authorization}");
        let challenge = format!("Basic realm=\"https://{HOST}/\",service=\"ecr.amazonaws.com\"");
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
    wire.world().expire_registry_tokens();
    let (status, code, message) = wire.get("/v2/").await.error();
    assert_eq!((status, code.as_str()), (403, "DENIED"));
    assert_eq!(message, "Your authorization token has expired. Reauthenticate and try again.");
}

#[tokio::test]
async fn a_repository_that_does_not_exist_is_unknown_by_its_name() {
    let wire = Wire::new().await;
    for (method, path) in [("GET", "manifests/v1"), ("POST", "blobs/uploads/"), ("GET", "tags/list"), ("GET", "blobs/sha256:1")] {
        let (status, code, message) = wire.send(method, &format!("/v2/none/{path}"), &[], "").await.error();
        assert_eq!((status, code.as_str()), (404, "NAME_UNKNOWN"), "{method} {path}");
        assert_eq!(message, "The repository with name 'none' does not exist in the registry with id '123456789012'");
    }
    assert_eq!(wire.send("HEAD", "/v2/none/manifests/v1", &[], "").await.status, 404);
    assert_eq!(wire.send("DELETE", "/v2/web/manifests/v1", &[], "").await.refusal(), (405, "UNSUPPORTED".to_owned()));
}

#[tokio::test]
async fn a_blob_in_one_piece_arrives_and_one_with_another_digest_does_not() {
    let wire = Wire::new().await;
    let digest = wire.blob("web", b"one").await;
    let there = wire.send("HEAD", &format!("/v2/web/blobs/{digest}"), &[], "").await;
    assert_eq!((there.status, there.header("content-length")), (200, "3"));
    let (status, location) = wire.begun("web", "").await;
    assert_eq!(status, 202);
    let answer = wire.send("PUT", &format!("{location}?digest={digest}"), &[], "two").await;
    assert_eq!(answer.refusal(), (400, "DIGEST_INVALID".to_owned()));
    let again = wire.send("PUT", &format!("{location}?digest={digest}"), &[], "one").await;
    assert_eq!(again.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".to_owned()), "an upload ends with its commit");
}

#[tokio::test]
async fn one_patch_arrives_and_of_several_only_the_first_is_kept() {
    let wire = Wire::new().await;
    let (_, location) = wire.begun("web", "").await;
    let first = wire.send("PATCH", &location, &[], "all of it").await;
    assert_eq!((first.status, first.header("range")), (201, "0-8"), "not the spec's 202");
    let whole = digest_of(b"all of it").unwrap();
    assert_eq!(wire.send("PUT", &format!("{location}?digest={whole}"), &[], "").await.status, 201);

    let (_, location) = wire.begun("web", "").await;
    for (piece, range) in [("one", "0-2"), ("two", "3-5")] {
        let answer = wire.send("PATCH", &location, &[("content-range", range)], piece).await;
        assert_eq!((answer.status, answer.header("range")), (201, "0-2"), "the range does not move");
    }
    let status = wire.get(&location).await;
    assert_eq!((status.status, status.header("range")), (204, "0-2"));
    let digest = digest_of(b"onetwo").unwrap();
    let committed = wire.send("PUT", &format!("{location}?digest={digest}"), &[], "").await;
    assert_eq!(committed.refusal(), (400, "DIGEST_INVALID".to_owned()));
    let (_, location) = wire.begun("web", "").await;
    let late = wire.send("PATCH", &location, &[("content-range", "3-5")], "two").await;
    assert_eq!(late.refusal(), (416, "BLOB_UPLOAD_INVALID".to_owned()));
}

#[tokio::test]
async fn a_manifest_is_taken_when_all_it_names_is_there() {
    let wire = Wire::new().await;
    let (config, layer) = (wire.blob("web", b"cfg").await, digest_of(b"lay").unwrap().to_string());
    let manifest = image(&config, &layer);
    let (status, code, message) = wire.manifest("web", "v1", MANIFESTS[0], &manifest).await.error();
    assert_eq!((status, code.as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
    let words = format!("Layers with digests '[{layer}]' required for pushing image into repository with name 'web' in the registry");
    assert!(message.starts_with(&words), "{message}");
    wire.blob("web", b"lay").await;
    let digest = digest_of(manifest.to_string().as_bytes()).unwrap().to_string();
    let answer = wire.manifest("web", &format!("sha256:{}", "0".repeat(64)), MANIFESTS[0], &manifest).await;
    assert_eq!(answer.refusal(), (400, "MANIFEST_INVALID".to_owned()));
    assert_eq!(wire.manifest("web", "v1", "application/json", &manifest).await.refusal(), (405, "UNSUPPORTED".to_owned()));
    assert_eq!(wire.manifest("web", "v1", INDEXES[0], &manifest).await.refusal(), (405, "UNSUPPORTED".to_owned()));
    assert_eq!(wire.manifest("web", "v+1", MANIFESTS[0], &manifest).await.refusal(), (400, "TAG_INVALID".to_owned()));

    let index = json!({ "schemaVersion": 2, "manifests": [{ "mediaType": MANIFESTS[0], "digest": digest, "size": 9 }] });
    let (status, code, message) = wire.manifest("web", "v1", INDEXES[0], &index).await.error();
    assert_eq!((status, code.as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    assert!(message.starts_with(&format!("Images with digests '[{digest}]' required")), "{message}");
    let taken = wire.manifest("web", "v1", MANIFESTS[0], &manifest).await;
    assert_eq!((taken.status, taken.header("docker-content-digest")), (201, digest.as_str()));
    assert_eq!(wire.manifest("web", "all", INDEXES[0], &index).await.status, 201);
    for reference in ["v1", &digest] {
        let read = wire.get(&format!("/v2/web/manifests/{reference}")).await;
        assert_eq!((read.status, read.header("content-type")), (200, MANIFESTS[0]));
        assert_eq!(read.body, manifest.to_string());
    }
    assert_eq!(wire.get("/v2/web/manifests/v2").await.refusal(), (404, "MANIFEST_UNKNOWN".to_owned()));
    let tags: Value = serde_json::from_slice(&wire.get("/v2/web/tags/list?n=1").await.body).unwrap();
    assert_eq!(tags, json!({ "name": "web", "tags": ["all"] }));
}

#[tokio::test]
async fn a_tag_that_may_not_move_refuses_even_the_image_it_means() {
    let wire = Wire::new().await;
    let filter = json!([{ "filterType": "WILDCARD", "filter": "lat*" }]);
    let settings = json!({ "repositoryName": "fixed", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filter });
    wire.client.call("ecr", "CreateRepository", settings).await.unwrap();
    let (config, layer) = (wire.blob("fixed", b"cfg").await, wire.blob("fixed", b"lay").await);
    let manifest = image(&config, &layer);
    for (tag, expected) in [("v1", 400), ("latest", 201)] {
        assert_eq!(wire.manifest("fixed", tag, MANIFESTS[0], &manifest).await.status, 201);
        let again = wire.manifest("fixed", tag, MANIFESTS[0], &manifest).await;
        assert_eq!(again.status, expected, "{tag}");
    }
    let (status, code, message) = wire.manifest("fixed", "v1", MANIFESTS[0], &manifest).await.error();
    assert_eq!((status, code.as_str()), (400, "TAG_INVALID"));
    let words =
        "The image tag 'v1' already exists in the 'fixed' repository and cannot be overwritten because the repository is immutable.";
    assert_eq!(message, words);
}

#[tokio::test]
async fn a_mount_is_an_upload_unless_the_registry_shares_layers_and_an_image_names_them() {
    let wire = Wire::new().await;
    wire.world().add_repository(REGION, "other", false);
    let digest = wire.blob("web", b"lay").await;
    let query = format!("?mount={digest}&from=web");
    assert_eq!(wire.begun("other", &query).await.0, 202);
    let set = wire.client.call("ecr", "PutAccountSetting", json!({ "name": "BLOB_MOUNTING", "value": "ENABLED" })).await.unwrap();
    assert_eq!(set, (200, json!({ "name": "BLOB_MOUNTING", "value": "ENABLED" })));
    assert_eq!(wire.begun("other", &query).await.0, 202, "no image names it");
    let config = wire.blob("web", b"cfg").await;
    assert_eq!(wire.manifest("web", "v1", MANIFESTS[0], &image(&config, &digest)).await.status, 201);
    let (status, location) = wire.begun("other", &query).await;
    assert_eq!((status, location), (201, format!("/v2/other/blobs/{digest}")));
    assert_eq!(wire.send("HEAD", &format!("/v2/other/blobs/{digest}"), &[], "").await.status, 200);
    assert_eq!(wire.begun("other", "?mount=sha256:1&from=none").await.0, 202);
}

#[tokio::test]
async fn readers_are_sent_to_a_bucket_that_takes_nothing_but_its_own_signature() {
    let wire = Wire::new().await;
    let digest = wire.blob("web", b"0123456789").await;
    let led = wire.get(&format!("/v2/web/blobs/{digest}")).await;
    assert_eq!(led.status, 307);
    let location = url::Url::parse(led.header("location")).unwrap();
    let bucket = location.host_str().unwrap();
    assert!(wire.world().hosts().contains(&bucket.to_owned()) && wire.world().hosts().contains(&HOST.to_owned()));
    let path = format!("{}?{}", location.path(), location.query().unwrap());
    let read = wire.send("GET", &path, &[("host", bucket), ("authorization", "")], "").await;
    assert_eq!((read.status, &read.body[..]), (200, &b"0123456789"[..]));
    let part = wire.send("GET", &path, &[("host", bucket), ("authorization", ""), ("range", "bytes=2-4")], "").await;
    assert_eq!((part.status, &part.body[..], part.header("content-range")), (206, &b"234"[..], "bytes 2-4/10"));
    assert_eq!(wire.send("GET", &path, &[("host", bucket)], "").await.status, 400, "two ways to sign in are one too many");
    assert_eq!(wire.send("GET", location.path(), &[("host", bucket), ("authorization", "")], "").await.status, 403);
    assert_eq!(wire.get("/v2/web/blobs/sha256:1").await.refusal(), (404, "BLOB_UNKNOWN".to_owned()));
}

#[tokio::test]
async fn what_is_about_an_image_is_listed() {
    let wire = Wire::new().await;
    let (config, layer) = (wire.blob("web", b"cfg").await, wire.blob("web", b"lay").await);
    let about = image(&config, &layer);
    let digest = digest_of(about.to_string().as_bytes()).unwrap().to_string();
    wire.manifest("web", "v1", MANIFESTS[0], &about).await;
    let mut signature = image(&config, &layer);
    signature["artifactType"] = json!("application/spdx+json");
    signature["subject"] = json!({ "mediaType": MANIFESTS[0], "digest": digest, "size": 1 });
    let name = digest_of(signature.to_string().as_bytes()).unwrap().to_string();
    assert_eq!(wire.manifest("web", &name, MANIFESTS[0], &signature).await.header("oci-subject"), digest);
    let listed: Value = serde_json::from_slice(&wire.get(&format!("/v2/web/referrers/{digest}")).await.body).unwrap();
    assert_eq!(
        (&listed["manifests"][0]["digest"], &listed["manifests"][0]["artifactType"]),
        (&json!(name), &json!("application/spdx+json"))
    );
    let other = wire.get(&format!("/v2/web/referrers/{digest}?artifactType=x/y")).await;
    assert_eq!(other.header("oci-filters-applied"), "artifactType");
    let other: Value = serde_json::from_slice(&other.body).unwrap();
    assert_eq!(other["manifests"], json!([]));
}
