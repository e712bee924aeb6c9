//! ECR's registry as whoever pushes, pulls and deploys meets it: our own client, skopeo, and ECS.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use touchdown::cloud::aws::{Session, ecr};
use touchdown::failure::{Failure, Kind};
use touchdown::image::hashing::digest_of;
use touchdown::image::push::progress::silent;
use touchdown::image::push::tags::Fate;
use touchdown::image::push::{Moving, Push, Pushed, push};
use touchdown::image::reference::RepositoryName;
use touchdown::image::registry::login::Ecr;
use touchdown::image::registry::{Absent, Entrance, Purpose, Repository};
use touchdown::simulator::request::{Hook, Injection, Moment, When};
use touchdown::simulator::seed::ServiceSeed;

use super::client::Client;
use super::image::Packed;
use crate::aws::{REGION, Stage};
use crate::setup::skip;

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// A repository `web` in a simulator, and a session that may push to it.
async fn stage(immutable: bool) -> (Stage, Session) {
    let stage = Stage::at(50.0).await;
    stage.world.add_repository(REGION, "web", immutable);
    let session = stage.sign_in().await;
    (stage, session)
}

/// The repository as a new run opens it.
fn opened(stage: &Stage, session: &Session, name: &str) -> Repository {
    let entrance = Entrance { http: stage.http(&[]), log: stage.log.clone(), supplier: Arc::new(Ecr { session: session.clone() }) };
    Repository::new(RepositoryName::parse(&format!("{HOST}/{name}")).unwrap(), Purpose::Push, entrance)
}

async fn pushed(packed: &Packed, to: &Repository, tags: &[&str]) -> Result<Pushed, Failure> {
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    push(Push { content: packed, to, tags: &tags, moving: Moving::Now, progress: silent() }).await
}

/// Operations of the registry since the request of this index.
fn since(stage: &Stage, index: usize) -> Vec<(String, bool)> {
    let requests = stage.world.requests().into_iter().skip(index);
    requests.map(|request| (request.operation, request.changing)).filter(|(name, _)| name.starts_with("registry:")).collect()
}

#[tokio::test]
async fn an_image_is_pushed_found_there_and_its_tag_moved() {
    let (stage, session) = stage(false).await;
    let (first, second) = (Packed::index(1), Packed::image(2));
    let done = pushed(&first, &opened(&stage, &session, "web"), &["v1", "latest"]).await.unwrap();
    assert_eq!(done.image.repository, format!("{HOST}/web"));
    assert_eq!(&done.image.digest, first.digest());
    for tag in ["v1", "latest"] {
        assert_eq!(stage.world.tag(REGION, "web", tag).as_deref(), Some(first.digest().as_str()));
    }
    let done = pushed(&second, &opened(&stage, &session, "web"), &["latest"]).await.unwrap();
    assert_eq!(done.tags[0].fate, Fate::Moved { from: first.digest().clone() });
    assert_eq!(stage.world.tag(REGION, "web", "latest").as_deref(), Some(second.digest().as_str()));
    let place = ecr::Repository::parse(&format!("{HOST}/web")).unwrap();
    assert_eq!(&ecr::digest(&session, &place, "latest").await.unwrap(), second.digest(), "ECR's own API sees the same");
}

#[tokio::test]
async fn a_second_push_of_the_same_image_writes_nothing() {
    let (stage, session) = stage(false).await;
    let packed = Packed::index(1);
    pushed(&packed, &opened(&stage, &session, "web"), &["v1"]).await.unwrap();
    let written = since(&stage, 0);
    for operation in ["POST upload", "PUT upload", "PUT manifest"] {
        assert!(written.contains(&(format!("registry:{operation}"), true)), "{written:?}");
    }
    let before = stage.world.requests().len();
    let done = pushed(&packed, &opened(&stage, &session, "web"), &["v1"]).await.unwrap();
    assert_eq!((done.sent, done.tags[0].fate.clone()), (0, Fate::Same));
    assert!(stage.world.requests().len() - before <= 3, "{:?}", since(&stage, before));
    assert!(since(&stage, before).iter().all(|(_, changing)| !changing));
}

#[tokio::test]
async fn a_tag_that_may_not_move_is_content_with_the_same_image_and_stays_with_it() {
    let (stage, session) = stage(true).await;
    let (first, second) = (Packed::image(1), Packed::image(2));
    for _ in 0..2 {
        pushed(&first, &opened(&stage, &session, "web"), &["v1"]).await.unwrap();
    }
    let failure = pushed(&second, &opened(&stage, &session, "web"), &["v1"]).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Conflict, "{failure}");
    assert!(failure.to_string().contains("cannot be overwritten because the repository is immutable"), "{failure}");
    assert_eq!(stage.world.tag(REGION, "web", "v1").as_deref(), Some(first.digest().as_str()));
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_made_where_that_is_asked_for_and_else_named() {
    let (stage, session) = stage(false).await;
    let packed = Packed::image(1);
    let failure = pushed(&packed, &opened(&stage, &session, "shop"), &["v1"]).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Missing, "{failure}");
    assert!(failure.to_string().contains("NAME_UNKNOWN: The repository with name 'shop' does not exist"), "{failure}");
    let to = opened(&stage, &session, "shop").when_absent(Absent::Make);
    pushed(&packed, &to, &["v1"]).await.unwrap();
    assert_eq!(stage.world.count("ecr:CreateRepository"), 1);
    assert_eq!(stage.world.tag(REGION, "shop", "v1").as_deref(), Some(packed.digest().as_str()));
}

#[tokio::test]
async fn a_push_outlives_its_token() {
    let (stage, session) = stage(false).await;
    let (world, seen) = (stage.world.clone(), AtomicUsize::new(0));
    stage.world.on_request(Box::new(move |request, moment| {
        if moment == Moment::Before && request.operation.starts_with("registry:") && seen.fetch_add(1, Ordering::SeqCst) == 5 {
            world.expire_registry_tokens();
        }
        Hook::Go
    }));
    let packed = Packed::image(1);
    pushed(&packed, &opened(&stage, &session, "web"), &["v1"]).await.unwrap();
    assert_eq!(stage.world.count("ecr:GetAuthorizationToken"), 2, "whoever is told first asks for a new one, once");
    assert_eq!(stage.world.tag(REGION, "web", "v1").as_deref(), Some(packed.digest().as_str()));
}

#[tokio::test]
async fn a_disturbance_of_any_request_is_got_over() {
    let disturbances = [
        Injection::ResetBefore,
        Injection::LoseAnswer,
        Injection::Throttle,
        Injection::Status(500),
        Injection::Busy(Duration::from_secs(5)),
        Injection::CutShort,
        Injection::Status(401),
        Injection::Delay(Duration::from_millis(500)),
    ];
    let packed = Packed::image(1);
    let (plain, session) = stage(false).await;
    let before = plain.world.requests().len();
    pushed(&packed, &opened(&plain, &session, "web"), &["v1"]).await.unwrap();
    let count = plain.world.requests().len() - before;
    for injection in disturbances {
        for disturbed in 1..count {
            let (stage, session) = stage(false).await;
            stage.world.inject(When::Request(stage.world.requests().len() + disturbed), injection);
            let done = pushed(&packed, &opened(&stage, &session, "web"), &["v1"]).await;
            assert!(done.is_ok(), "{injection:?} at {disturbed}: {}", done.unwrap_err());
            assert_eq!(stage.world.tag(REGION, "web", "v1").as_deref(), Some(packed.digest().as_str()), "{injection:?} at {disturbed}");
        }
    }
}

#[tokio::test]
async fn what_the_simulator_cannot_keep_is_refused_with_words() {
    let (stage, session) = stage(false).await;
    stage.world.set_registry_room(50_000);
    let failure = pushed(&Packed::image(1), &opened(&stage, &session, "web"), &["v1"]).await.unwrap_err();
    assert!(failure.to_string().contains("the simulator keeps at most 50000 bytes of images"), "{failure}");
    assert_eq!(stage.world.tag(REGION, "web", "v1"), None);
}

#[tokio::test]
async fn what_a_test_denies_is_denied_in_iams_words() {
    let (stage, session) = stage(false).await;
    stage.world.deny("ecr:PutImage");
    let failure = pushed(&Packed::image(1), &opened(&stage, &session, "web"), &["v1"]).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Denied, "{failure}");
    let action = "is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:eu-west-1:123456789012:repository/web";
    assert!(failure.to_string().contains(action), "{failure}");
    let host = HOST.replacen("1234", "9999", 1);
    let entrance = Entrance { http: stage.http(&[&host]), log: stage.log.clone(), supplier: Arc::new(Ecr { session }) };
    let abroad = Repository::new(RepositoryName::parse(&format!("{host}/web")).unwrap(), Purpose::Push, entrance);
    let failure = pushed(&Packed::image(1), &abroad, &["v1"]).await.unwrap_err();
    assert!(failure.to_string().contains("because no resource-based policy allows"), "{failure}");
}

#[tokio::test]
async fn seeded_images_can_be_read_like_any_other() {
    let (stage, session) = stage(false).await;
    let digest = stage.world.add_image(REGION, "web", "v1");
    let repository = opened(&stage, &session, "web");
    let reading = repository.manifest("v1").await.unwrap().unwrap();
    assert_eq!(reading.manifest.descriptor.digest.as_str(), digest);
    for blob in &reading.blobs {
        assert_eq!(digest_of(&repository.small_blob(blob).await.unwrap()).unwrap(), blob.digest);
    }
    assert!(since(&stage, 0).contains(&("registry:GET layer".to_owned(), false)), "readers are sent to the bucket");
    let packed = Packed::image(1);
    stage.world.set_tag(REGION, "web", "v2", packed.digest().as_str());
    assert_eq!(
        repository.resolve("v2").await.unwrap().as_ref(),
        Some(packed.digest()),
        "what a test's word has put there can be looked up"
    );
    assert!(repository.manifest("v2").await.unwrap().is_none(), "and not be read");
}

#[tokio::test]
async fn a_task_runs_what_was_pushed_and_cannot_pull_what_was_not() {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    let world = &client.world;
    world.add_repository(REGION, "web", false);
    let digest = world.add_image(REGION, "web", "v2");
    let mut definition = client.ecs("DescribeTaskDefinition", json!({ "taskDefinition": "web" })).await["taskDefinition"].clone();
    for image in [format!("{HOST}/web@{digest}"), format!("{HOST}/web:v2"), format!("{HOST}/other:v9")] {
        definition["containerDefinitions"][0]["image"] = json!(image);
        let task = job(&client, &definition).await;
        assert_eq!(task["stopCode"], "EssentialContainerExited", "{image}: {task}");
    }
    let absent = [format!("{HOST}/web@sha256:{}", "b".repeat(64)), format!("{HOST}/web:v3"), format!("{HOST}/web")];
    for image in &absent {
        definition["containerDefinitions"][0]["image"] = json!(image);
        let task = job(&client, &definition).await;
        assert_eq!(task["stopCode"], "TaskFailedToStart", "{image}: {task}");
        let reason = format!("CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: ");
        assert!(task["stoppedReason"].as_str().unwrap().starts_with(&reason), "{task}");
    }
    definition["containerDefinitions"][0]["image"] = json!(absent[1]);
    let arn = registered(&client, &definition).await;
    client.ecs("UpdateService", json!({ "service": "web", "taskDefinition": arn })).await;
    client
        .until("an event or a task tells it", async || {
            let tasks = client.ecs("ListTasks", json!({ "serviceName": "web", "desiredStatus": "STOPPED" })).await["taskArns"].clone();
            (tasks != json!([])).then_some(())
        })
        .await;
    assert_eq!(world.serving("web"), "v1", "the image of the seed was there before");
    world.add_image(REGION, "web", "v3");
    client
        .until("it runs as soon as it is there", async || {
            (client.web().await["deployments"][0]["rolloutState"] == "COMPLETED").then_some(())
        })
        .await;
}

async fn registered(client: &Client, definition: &serde_json::Value) -> String {
    let mut definition = definition.clone();
    let fields = definition.as_object_mut().unwrap();
    for key in ["taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy"] {
        fields.remove(key);
    }
    let registered = client.ecs("RegisterTaskDefinition", definition).await;
    registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
}

/// Runs a task of this definition to its end.
async fn job(client: &Client, definition: &serde_json::Value) -> serde_json::Value {
    let arn = registered(client, definition).await;
    let subnets = json!({ "awsvpcConfiguration": { "subnets": ["subnet-1"] } });
    let run = client.ecs("RunTask", json!({ "taskDefinition": arn, "launchType": "FARGATE", "networkConfiguration": subnets })).await;
    let task = run["tasks"][0]["taskArn"].clone();
    client
        .until("the task has stopped", async || {
            let task = client.ecs("DescribeTasks", json!({ "tasks": [task] })).await["tasks"][0].clone();
            (task["lastStatus"] == "STOPPED").then_some(task)
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skopeo_copies_an_image_out_and_in_again() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        skip("skopeo", "it is not on PATH");
        return;
    }
    let (stage, session) = stage(false).await;
    stage.world.add_repository(REGION, "copy", true);
    let packed = Packed::index(1);
    pushed(&packed, &opened(&stage, &session, "web"), &["v1"]).await.unwrap();
    let (name, password) = ecr::authorization(&session).await.unwrap();
    let address = stage.simulator.address();
    let image = |repository: &str| format!("docker://{address}/{repository}");
    let creds = format!("{name}:{}", password.expose());
    let folder = tempfile::tempdir().unwrap();
    let layout = format!("oci:{}:v1", folder.path().join("layout").display());
    let from = [format!("--src-creds={creds}"), "--src-tls-verify=false".to_owned()];
    let to = [format!("--dest-creds={creds}"), "--dest-tls-verify=false".to_owned()];
    let copy = |flags: &[String], from: &str, to: &str| {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "--all", "--preserve-digests"]).args(flags).args([from, to]);
        ran(&mut command)
    };
    copy(&from, &image("web:v1"), &layout).unwrap();
    assert!(layout_has(folder.path(), &packed));
    copy(&to, &layout, &image("copy:v1")).unwrap();
    assert_eq!(stage.world.tag(REGION, "copy", "v1").as_deref(), Some(packed.digest().as_str()));
    assert!(copy(&to, &layout, &image("copy:v1")).is_err(), "its tags may not move, not even to the same image");
    let refused = copy(&to, &layout, &image("none:v1")).unwrap_err();
    assert!(refused.contains("The repository with name 'none' does not exist"), "{refused}");
    let mut list = Command::new("skopeo");
    list.args(["list-tags", "--tls-verify=false", &format!("--creds={creds}"), &image("copy")]);
    assert!(ran(&mut list).unwrap().contains("\"v1\""));
    stage.world.expire_registry_tokens();
    let refused = copy(&from, &image("web:v1"), &layout).unwrap_err();
    assert!(refused.contains("Your authorization token has expired"), "{refused}");
}

fn layout_has(folder: &Path, packed: &Packed) -> bool {
    packed.blobs.iter().all(|(digest, bytes)| {
        let hex = digest.as_str().split_once(':').unwrap().1;
        std::fs::read(folder.join("layout/blobs/sha256").join(hex)).is_ok_and(|read| read == *bytes)
    })
}

fn ran(command: &mut Command) -> Result<String, String> {
    let ran = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if ran.status.success() { Ok(said) } else { Err(said) }
}
