//! Images of a daemon: the legacy store's exports are packed as archives are, the containerd store's pushes are held against what must come out.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use touchdown::failure::{Failure, Kind};
use touchdown::image::configuration::Configuration;
use touchdown::image::content::{Content, Platform};
use touchdown::image::manifest;
use touchdown::image::reference::{Kept, RepositoryName, Source};
use touchdown::image::registry::login::Login;
use touchdown::image::source::daemon::delivery::{Advance, Delivered, Delivery, Destination};
use touchdown::image::source::daemon::export::Export;
use touchdown::image::source::daemon::{self, Held};
use touchdown::image::source::{self, Compression, Packing, Wanted, archive};
use touchdown::values::{Digest, Secret};

use super::build::{self, OCI_INDEX, OCI_MANIFEST};
use super::reading::read;
use super::stand_in::{self, Mishap, StandIn, World};

const NAME: &str = "docker.io/library/web:ci";

pub fn kept(text: &str) -> Kept {
    match Source::parse(text).unwrap() {
        Source::Daemon(kept) => kept,
        other => panic!("{other}"),
    }
}

fn packing(folder: &Path) -> Packing {
    Packing { compression: Compression::Gzip, spool: folder.to_owned(), known: HashMap::new() }
}

fn layers() -> Vec<Vec<u8>> {
    vec![build::layer("app", b"app"), build::layer("big", &build::noise(1, 2_000_000)), build::layer("etc/app.conf", b"x=1")]
}

fn id_of(config: &[u8]) -> String {
    build::digest(config).to_string()
}

/// What an engine tells of an image in the legacy store, and its export as an engine from 25 on writes it.
pub fn legacy(layers: &[Vec<u8>]) -> (Value, Vec<u8>) {
    let config = build::configuration("linux/amd64", layers);
    let bytes = config.to_string().into_bytes();
    let inspected = json!({
        "Id": id_of(&bytes), "Os": "linux", "Architecture": "amd64", "Variant": "",
        "Config": { "Labels": config["config"]["Labels"] }, "RootFS": { "Type": "layers", "Layers": config["rootfs"]["diff_ids"] },
    });
    let blob = |bytes: &[u8]| (format!("blobs/{}", build::digest(bytes).as_str().replace(':', "/")), bytes.to_vec());
    let mut files = vec![blob(b"{\"architecture\":\"of a description that nobody needs\"}"), blob(&bytes)];
    files.extend(layers.iter().map(|layer| blob(layer)));
    files.extend([
        ("index.json".to_owned(), b"{}".to_vec()),
        ("manifest.json".to_owned(), b"[]".to_vec()),
        ("oci-layout".to_owned(), b"{}".to_vec()),
    ]);
    (inspected, build::archive(&files))
}

fn with_legacy(layers: &[Vec<u8>]) -> World {
    let (inspected, export) = legacy(layers);
    let mut world = World::legacy().image(NAME, inspected.clone());
    world.exports.insert(inspected["Id"].as_str().unwrap().to_owned(), export);
    world
}

async fn export(stand_in: &StandIn, packing: &Packing) -> Export {
    match daemon::open(&stand_in.engine(), &kept("docker://web:ci"), &Wanted::default(), packing).await.unwrap() {
        Held::Legacy(export) => export,
        Held::Containerd(_) => panic!("the store is the legacy one"),
    }
}

#[tokio::test]
async fn an_export_becomes_the_same_image_as_an_archive_of_the_same_layers() {
    let layers = layers();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.tar");
    std::fs::write(&file, build::archive(&build::saved("linux/amd64", &layers))).unwrap();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let packing = Packing { compression, ..packing(folder.path()) };
        let stand_in = StandIn::start(with_legacy(&layers));
        let held = daemon::open(&stand_in.engine(), &kept("docker://web:ci"), &Wanted::default(), &packing).await.unwrap();
        assert_eq!((held.platforms()[0].to_string().as_str(), held.origin().revision.as_deref()), ("linux/amd64", Some("abc123")));
        let Held::Legacy(export) = held else { panic!("the store is the legacy one") };
        let exported = read(&export).await.unwrap();
        let archived = read(archive::open(&file, &Wanted::default(), &packing).await.unwrap().content()).await.unwrap();
        assert_eq!((&exported.root, &exported.contents), (&archived.root, &archived.contents));
        // And again, from the beginning.
        assert_eq!(read(&export).await.unwrap().root, archived.root);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left in the spool");
}

#[tokio::test]
async fn what_the_destination_has_is_not_packed_and_when_it_has_all_nothing_is_exported() {
    let mut layers = layers();
    layers.insert(2, layers[0].clone());
    let folder = tempfile::tempdir().unwrap();
    let mut packing = packing(folder.path());
    let stand_in = StandIn::start(with_legacy(&layers));
    let first = read(&export(&stand_in, &packing).await).await.unwrap();
    let exports = |stand_in: &StandIn| stand_in.asked("GET").iter().filter(|path| path.ends_with("/get")).count();
    assert_eq!(exports(&stand_in), 1);
    // As whoever pushed it reads it at the destination.
    let reading = manifest::read(first.contents[first.root.as_str()].clone().into(), None).unwrap();
    let config = first.manifest()["config"]["digest"].as_str().unwrap().to_owned();
    let configuration = Configuration::read(&first.contents[&config]).unwrap();
    packing.known = source::known(&reading, &configuration);
    assert_eq!(packing.known.len(), 4);
    let config = packing.known.remove(&Digest::parse(&config).unwrap()).unwrap();
    // The layers are there, the configuration is not: it alone is taken from the export.
    let opened = export(&stand_in, &packing).await;
    let parts: Vec<_> = futures_util::StreamExt::collect(opened.parts()).await;
    let Some(Ok(touchdown::image::content::Part::Manifest(manifest))) = parts.last() else { panic!("{parts:?}") };
    assert_eq!((manifest.descriptor.digest.clone(), exports(&stand_in)), (first.root.clone(), 2));
    packing.known.insert(config.digest.clone(), config);
    let opened = export(&stand_in, &packing).await;
    let parts: Vec<_> = futures_util::StreamExt::collect(opened.parts()).await;
    let Some(Ok(touchdown::image::content::Part::Manifest(manifest))) = parts.last() else { panic!("{parts:?}") };
    assert_eq!((manifest.descriptor.digest.clone(), exports(&stand_in)), (first.root, 2));
}

#[tokio::test]
async fn an_export_that_breaks_off_goes_on_with_the_layers_that_came_whole() {
    let layers = layers();
    let folder = tempfile::tempdir().unwrap();
    let whole = legacy(&layers).1.len();
    for mishaps in [
        vec![Mishap::Cut(0)],
        vec![Mishap::Cut(3000), Mishap::Cut(whole / 2), Mishap::Cut(whole - 4000)],
        vec![Mishap::Status(500, "no space left")],
    ] {
        let mut world = with_legacy(&layers);
        world.mishaps = mishaps.clone().into();
        let stand_in = StandIn::start(world);
        let exported = read(&export(&stand_in, &packing(folder.path())).await).await.unwrap();
        assert_eq!(exported.blobs.len(), 4, "{mishaps:?}");
    }
    let mut world = with_legacy(&layers);
    world.mishaps = vec![Mishap::Cut(5000); 20].into();
    let failure = read(&export(&StandIn::start(world), &packing(folder.path())).await).await.unwrap_err();
    assert!(failure.kind == Kind::Transient && failure.what.contains("broke off"), "{failure}");
    assert!(failure.to_string().contains("in the export of docker.io/library/web:ci"), "{failure}");
}

#[tokio::test]
async fn an_export_that_lies_is_refused() {
    let (folder, good) = (tempfile::tempdir().unwrap(), layers());
    let (inspected, _) = legacy(&good);
    let lying = |files: Vec<(String, Vec<u8>)>| {
        let mut world = World::legacy().image(NAME, inspected.clone());
        world.exports.insert(inspected["Id"].as_str().unwrap().to_owned(), build::archive(&files));
        StandIn::start(world)
    };
    let config = build::configuration("linux/amd64", &good).to_string().into_bytes();
    let blob = |named: &[u8], content: &[u8]| (format!("blobs/{}", build::digest(named).as_str().replace(':', "/")), content.to_vec());
    for (files, word) in [
        (vec![blob(&config, &config), blob(&good[0], &good[1])], "not what it is called"),
        (vec![blob(&config, &config), blob(&good[0], &good[0])], "is named and did not come"),
        (vec![blob(&good[0], &good[0]), blob(&config, b"{}")], "its configuration did not come"),
        (vec![("a/layer.tar".to_owned(), b"strange".to_vec())], "not what it is called"),
        (vec![("blobs".to_owned(), Vec::new())], "its configuration did not come"),
    ] {
        let stand_in = lying(files);
        let failure = read(&export(&stand_in, &packing(folder.path())).await).await.unwrap_err();
        assert!(failure.to_string().contains(word), "{word}: {failure}");
    }
}

#[tokio::test]
async fn a_name_that_moves_in_the_daemon_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::start(with_legacy(&layers()));
    let export = export(&stand_in, &packing(folder.path())).await;
    export.unchanged().await.unwrap();
    stand_in.world.lock().unwrap().images.insert(NAME.to_owned(), legacy(&layers()[..1]).0);
    let failure = read(&export).await.unwrap_err();
    assert!(failure.kind == Kind::Conflict && failure.what.contains("has moved in the Docker daemon"), "{failure}");
}

#[tokio::test]
async fn a_dropped_export_ends_its_work() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::start(with_legacy(&[build::layer("big", &build::noise(1, 50_000_000))]));
    let export = export(&stand_in, &packing(folder.path())).await;
    let mut parts = export.parts();
    assert!(futures_util::FutureExt::now_or_never(futures_util::StreamExt::next(&mut parts)).is_none());
    // The runtime ends only when what runs apart has ended: a test that hangs here fails.
    drop(parts);
}

// The containerd store.

pub fn single(seed: &str, platform: &str) -> Value {
    let parts: Vec<&str> = platform.split('/').collect();
    let id = build::digest(seed.as_bytes()).to_string();
    let platform = json!({ "os": parts[0], "architecture": parts[1] });
    json!({
        "Id": id, "Os": parts[0], "Architecture": parts[1], "RootFS": { "Type": "layers", "Layers": [] },
        "Config": { "Labels": { "org.opencontainers.image.revision": "label" } },
        "Descriptor": { "mediaType": OCI_MANIFEST, "digest": id, "size": 1000, "platform": platform, "annotations": { "org.opencontainers.image.revision": "annotation" } },
    })
}

fn index() -> (Value, Value, Value) {
    let (amd, arm) = (single("amd", "linux/amd64"), single("arm", "linux/arm64"));
    let id = build::digest(b"index").to_string();
    let listed: Vec<Value> =
        [&amd, &arm].iter().map(|image| json!({ "Descriptor": image["Descriptor"], "Available": true, "Kind": "image" })).collect();
    let mut index = amd.clone();
    index["Id"] = json!(id);
    index["Descriptor"] = json!({ "mediaType": OCI_INDEX, "digest": id, "size": 2000 });
    index["Manifests"] = json!(listed);
    (index, amd, arm)
}

fn with_index() -> World {
    let (index, amd, arm) = index();
    let id = index["Id"].as_str().unwrap().to_owned();
    let mut world = World::containerd().image(NAME, index);
    world.by_platform.insert((id.clone(), "amd64".to_owned()), amd);
    world.by_platform.insert((id, "arm64".to_owned()), arm);
    world
}

async fn delivery(stand_in: &StandIn, platform: Option<&str>) -> Result<Delivery, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted { tag: None, platform: platform.map(|text| Platform::parse(text).unwrap()), ..Wanted::default() };
    match daemon::open(&stand_in.engine(), &kept("docker://web:ci"), &wanted, &packing(folder.path())).await? {
        Held::Containerd(delivery) => Ok(*delivery),
        Held::Legacy(_) => panic!("the store is the containerd one"),
    }
}

async fn deliver(delivery: &Delivery) -> (Result<Delivered, Failure>, Vec<Advance>) {
    let repository = RepositoryName::parse("registry.example.com/acme/web").unwrap();
    let login = Login::Password { username: "AWS".to_owned(), password: Secret::new("s3cret+/ü") };
    let advances = Mutex::new(Vec::new());
    let to = Destination { repository: &repository, tag: "sha-860c190", login: &login };
    let delivered = delivery.deliver(&to, &|advance| advances.lock().unwrap().push(advance)).await;
    (delivered, advances.into_inner().unwrap())
}

fn digest_in(image: &Value) -> Digest {
    Digest::parse(image["Id"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn the_daemon_pushes_by_id_with_our_login_and_tells_how_it_goes() {
    let image = single("one", "linux/amd64");
    let stand_in = StandIn::start(World::containerd().image(NAME, image.clone()));
    let delivery = delivery(&stand_in, None).await.unwrap();
    assert_eq!(delivery.expected(), Some(&digest_in(&image)));
    let (delivered, advances) = deliver(&delivery).await;
    assert_eq!(delivered.unwrap(), Delivered { digest: digest_in(&image), as_expected: true });
    assert_eq!(advances.last(), Some(&Advance { sent: 2048, total: 2048 }));
    let id = image["Id"].as_str().unwrap();
    assert_eq!(
        stand_in.asked("POST"),
        [
            format!("/images/{id}/tag repo=registry.example.com/acme/web tag=sha-860c190"),
            "/images/registry.example.com/acme/web/push tag=sha-860c190".to_owned()
        ]
    );
    let world = stand_in.world.lock().unwrap();
    assert_eq!(world.logins, [json!({ "username": "AWS", "password": "s3cret+/ü", "serveraddress": "registry.example.com" })]);
    assert!(!world.images.contains_key("registry.example.com/acme/web:sha-860c190"), "the name is taken away again");
}

#[tokio::test]
async fn a_name_that_was_there_before_is_as_it_was() {
    let (image, older) = (single("one", "linux/amd64"), single("older", "linux/amd64"));
    let there = "registry.example.com/acme/web:sha-860c190";
    for before in [&image, &older] {
        let stand_in = StandIn::start(World::containerd().image(NAME, image.clone()).image(there, before.clone()));
        deliver(&delivery(&stand_in, None).await.unwrap()).await.0.unwrap();
        assert_eq!(stand_in.world.lock().unwrap().images[there]["Id"], before["Id"]);
    }
    let stand_in = StandIn::start(World {
        mishaps: vec![Mishap::Said("denied: no")].into(),
        ..World::containerd().image(NAME, image.clone()).image(there, older.clone())
    });
    deliver(&delivery(&stand_in, None).await.unwrap()).await.0.unwrap_err();
    assert_eq!(stand_in.world.lock().unwrap().images[there]["Id"], older["Id"]);
}

#[tokio::test]
async fn an_index_is_pushed_whole_or_the_platform_that_was_chosen() {
    let (whole, _, arm) = index();
    let stand_in = StandIn::start(with_index());
    let all = delivery(&stand_in, None).await.unwrap();
    assert_eq!(deliver(&all).await.0.unwrap(), Delivered { digest: digest_in(&whole), as_expected: true });
    let chosen = delivery(&stand_in, Some("linux/arm64")).await.unwrap();
    assert_eq!(chosen.expected(), Some(&digest_in(&arm)));
    assert_eq!(deliver(&chosen).await.0.unwrap(), Delivered { digest: digest_in(&arm), as_expected: true });
    assert_eq!(
        stand_in.asked("POST").last().unwrap(),
        "/images/registry.example.com/acme/web/push platform={\"os\":\"linux\",\"architecture\":\"arm64\"} tag=sha-860c190"
    );
    let failure = delivery(&stand_in, Some("linux/s390x")).await.err().unwrap();
    assert!(failure.to_string().contains("it is built for linux/amd64, linux/arm64"), "{failure}");

    // An engine that cannot choose pushes the index, and it is told that this is not what was asked for.
    let mut world = with_index();
    world.by_platform.clear();
    let stand_in = StandIn::start(world);
    let chosen = delivery(&stand_in, Some("linux/arm64")).await.unwrap();
    assert_eq!(chosen.expected(), None);
    assert_eq!(deliver(&chosen).await.0.unwrap(), Delivered { digest: digest_in(&whole), as_expected: false });
}

#[tokio::test]
async fn of_an_index_that_is_not_all_there_the_daemon_s_choice_is_told_as_such() {
    let (_, amd, _) = index();
    let mut world = with_index();
    world.mishaps = vec![Mishap::InsteadOfIndex(amd["Id"].as_str().unwrap().to_owned())].into();
    let stand_in = StandIn::start(world);
    let delivered = deliver(&delivery(&stand_in, None).await.unwrap()).await.0.unwrap();
    assert_eq!(delivered, Delivered { digest: digest_in(&amd), as_expected: false });
    stand_in.world.lock().unwrap().mishaps = vec![Mishap::Missing].into();
    let failure = deliver(&delivery(&stand_in, None).await.unwrap()).await.0.unwrap_err();
    assert!(failure.kind == Kind::Missing && failure.fix[0].contains("choose one with platform"), "{failure}");
}

#[tokio::test]
async fn another_digest_than_the_expected_one_is_never_accepted() {
    let stand_in = StandIn::start(World::containerd().image(NAME, single("one", "linux/amd64")));
    stand_in.world.lock().unwrap().mishaps = vec![Mishap::Pushed(build::digest(b"another").to_string())].into();
    let failure = deliver(&delivery(&stand_in, None).await.unwrap()).await.0.unwrap_err();
    assert!(failure.kind == Kind::Conflict && failure.what.contains("pushed another image"), "{failure}");
}

#[tokio::test]
async fn a_push_that_may_go_better_is_tried_again_and_one_that_cannot_is_not() {
    let image = single("one", "linux/amd64");
    let start = |mishaps: Vec<Mishap>| StandIn::start(World { mishaps: mishaps.into(), ..World::containerd().image(NAME, image.clone()) });
    let pushes = |stand_in: &StandIn| stand_in.asked("POST").iter().filter(|path| path.contains("/push")).count();
    for mishaps in [
        vec![Mishap::Cut(0)],
        vec![Mishap::Cut(100), Mishap::Said("write tcp: connection reset by peer")],
        vec![
            Mishap::Status(500, "Internal Server Error"),
            Mishap::Said("received unexpected HTTP status: 503"),
            Mishap::Said("toomanyrequests: slow down"),
        ],
    ] {
        let stand_in = start(mishaps.clone());
        let delivered = deliver(&delivery(&stand_in, None).await.unwrap()).await.0.unwrap();
        assert_eq!((delivered.digest, pushes(&stand_in)), (digest_in(&image), mishaps.len() + 1), "{mishaps:?}");
    }
    for (mishap, kind, word) in [
        (Mishap::Said("unauthorized: authentication required"), Kind::Denied, "who signs in"),
        (Mishap::Said("name unknown: The repository with name 'acme/web' does not exist"), Kind::Missing, "create-repository"),
        (Mishap::Status(403, "denied"), Kind::Denied, "who signs in"),
        (Mishap::Said("tag invalid: cannot be overwritten because the repository is immutable"), Kind::Conflict, "type=sha"),
    ] {
        let stand_in = start(vec![mishap.clone()]);
        let failure = deliver(&delivery(&stand_in, None).await.unwrap()).await.0.unwrap_err();
        assert_eq!((failure.kind, pushes(&stand_in)), (kind, 1), "{failure}");
        assert!(failure.fix.iter().any(|fix| fix.contains(word)) && !failure.to_string().contains("s3cret"), "{failure}");
    }
    let stand_in = start(vec![Mishap::Silent; 20]);
    let failure = deliver(&delivery(&stand_in, None).await.unwrap()).await.0.unwrap_err();
    assert!(failure.what.contains("does not say what it pushed"), "{failure}");
}

#[tokio::test]
async fn behind_the_fence_nothing_is_pushed_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let fence = folder.path().join("fence");
    std::fs::write(&fence, "").unwrap();
    let stand_in = StandIn::start(World::containerd().image(NAME, single("one", "linux/amd64")));
    let opened = daemon::open(&stand_in.fenced(fence), &kept("docker://web:ci"), &Wanted::default(), &packing(folder.path())).await;
    let Ok(Held::Containerd(delivery)) = opened else { panic!("it can be looked at") };
    assert_eq!(deliver(&delivery).await.0.unwrap_err().kind, Kind::Cancelled);
    assert!(stand_in.asked("POST").is_empty());
}

#[tokio::test]
async fn an_image_of_the_containerd_store_tells_its_platforms_and_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let open = |world: World| {
        let packing = packing(folder.path());
        async move {
            let stand_in = StandIn::start(world);
            daemon::open(&stand_in.engine(), &kept("docker://web:ci"), &Wanted::default(), &packing).await.unwrap()
        }
    };
    let image = open(World::containerd().image(NAME, single("one", "linux/arm64"))).await;
    assert_eq!((image.platforms()[0].to_string().as_str(), image.origin().revision.as_deref()), ("linux/arm64", Some("annotation")));
    let index = open(with_index()).await;
    assert_eq!(index.platforms().iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/amd64", "linux/arm64"]);
    assert_eq!(index.id(), &build::digest(b"index"));
    // An engine before 28 tells neither descriptor nor manifests.
    let mut bare = single("one", "linux/amd64");
    bare.as_object_mut().unwrap().remove("Descriptor");
    assert_eq!(open(World::containerd().image(NAME, bare)).await.platforms()[0].to_string(), "linux/amd64");
}

#[tokio::test]
async fn an_image_or_a_daemon_that_is_not_there_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let open = |engine, name: &'static str, platform: Option<&'static str>| {
        let (packing, wanted) = (
            packing(folder.path()),
            Wanted { tag: None, platform: platform.map(|text| Platform::parse(text).unwrap()), ..Wanted::default() },
        );
        async move { daemon::open(&engine, &kept(name), &wanted, &packing).await.err().unwrap() }
    };
    let stand_in = StandIn::start(with_legacy(&layers()));
    let failure = open(stand_in.engine(), "docker://web:other", None).await;
    assert!(failure.kind == Kind::Missing && failure.what.contains("has no image docker.io/library/web:other"), "{failure}");
    let failure = open(stand_in.engine(), "docker://web:ci", Some("linux/arm64")).await;
    assert!(failure.what.contains("not built for linux/arm64"), "{failure}");
    let nobody = touchdown::http::docker::Engine::at(stand_in::http(Default::default()), &folder.path().join("docker.sock"));
    let failure = open(nobody, "docker://web:ci", None).await;
    assert!(failure.what.contains("cannot be reached") && failure.fix[1].contains("docker save"), "{failure}");
}

#[test]
fn the_socket_is_the_usual_one_or_what_docker_host_names() {
    let socket = |host: Option<&str>| daemon::socket(host).map(|path| path.display().to_string());
    assert_eq!(socket(None).unwrap(), "/var/run/docker.sock");
    assert_eq!(socket(Some("")).unwrap(), "/var/run/docker.sock");
    assert_eq!(socket(Some("unix:///run/user/1000/docker.sock")).unwrap(), "/run/user/1000/docker.sock");
    for other in ["tcp://127.0.0.1:2375", "ssh://host", "unix://relative", "npipe:////./pipe/docker_engine"] {
        assert!(socket(Some(other)).unwrap_err().fix[0].contains("archive:FILE"), "{other}");
    }
}
