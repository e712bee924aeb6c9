//! Pushes to Debian's registry: what is written, what is not, how many requests it takes, who is let in, and what is told on the way.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use touchdown::failure::Kind;
use touchdown::http::Endpoints;
use touchdown::image::push::progress::{Event, silent};
use touchdown::image::push::tags::{Fate, Tagged, move_tag, promote};
use touchdown::image::push::{Moving, Push, push};
use touchdown::image::reference::{Reference, RepositoryName};
use touchdown::image::registry::Purpose;
use touchdown::image::registry::login::Login;
use touchdown::image::registry::source::RegistryImage;
use touchdown::values::Digest;

use super::debian::Guard;
use super::faults::FaultProxy;
use super::memory::MemoryImage;
use super::stage::{client, debian, entrance, opened, pushed, read_by_skopeo, repository, robot};
use super::tokens::TokenServer;

fn fates(tags: &[Tagged]) -> Vec<Fate> {
    tags.iter().map(|tagged| tagged.fate.clone()).collect()
}

#[tokio::test]
async fn an_image_and_an_index_are_pushed_under_their_tags_and_skopeo_reads_the_same() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let to = repository(registry.port, "team/web", Login::Anonymous);
    for (image, tags) in [
        (MemoryImage::new(&[3_000_000, 1000, 0, 500_000], 1), ["v1", "latest"]),
        (MemoryImage::index(4, &[200_000, 300], 2), ["v2", "next"]),
    ] {
        let done = pushed(&image, &to, &tags).await.unwrap();
        assert_eq!(done.image.reference(), format!("127.0.0.1:{}/team/web@{}", registry.port, image.digest()));
        assert_eq!((done.image.tag.as_deref(), fates(&done.tags)), (Some(tags[0]), vec![Fate::Written, Fate::Written]));
        assert_eq!((done.sent, done.skipped, done.root.bytes), (image.bytes(), 0, image.root().bytes.clone()));
        for tag in tags {
            let Some(read) = read_by_skopeo(&format!("127.0.0.1:{}/team/web:{tag}", registry.port)) else { return };
            assert_eq!(read, image.digest());
        }
    }
}

#[tokio::test]
async fn who_asks_for_a_password_or_a_token_gets_it_and_who_has_none_is_told() {
    let tokens = TokenServer::start(300).await;
    let proxied = FaultProxy::before(0, Some(tokens.origin.port), |_| None).await;
    let realm = format!("http://127.0.0.1:{}/token", proxied.port);
    for (guard, image) in [
        (Guard::Basic, MemoryImage::new(&[300_000, 1000], 1)),
        (Guard::Bearer { realm: &realm, certificate: &tokens.certificate }, MemoryImage::index(2, &[300_000], 2)),
    ] {
        let Some(registry) = debian(&guard) else { return };
        let to = repository(registry.port, "team/web", robot());
        let done = pushed(&image, &to, &["v1"]).await.unwrap();
        assert_eq!(done.sent, image.bytes());
        let denied = pushed(&image, &repository(registry.port, "team/web", Login::Anonymous), &["v1"]).await.unwrap_err();
        assert_eq!(denied.kind, Kind::Denied, "{denied}");
        assert!(denied.to_string().contains("registry-username"), "{denied}");
        if matches!(guard, Guard::Basic) {
            let Some(read) = read_by_skopeo(&format!("127.0.0.1:{}/team/web:v1", registry.port)) else { return };
            assert_eq!(read, image.digest());
        }
    }
    assert_eq!(tokens.given(), 1, "one token is enough for a push");
}

#[tokio::test]
async fn a_second_push_of_the_same_asks_at_most_three_times_and_writes_nothing() {
    let tokens = TokenServer::start(300).await;
    let realm = tokens.origin.url();
    for (guard, requests) in [(Guard::Open, 1), (Guard::Basic, 2), (Guard::Bearer { realm: &realm, certificate: &tokens.certificate }, 3)] {
        let Some(registry) = debian(&guard) else { return };
        let image = MemoryImage::index(2, &[200_000, 1000], 1);
        pushed(&image, &repository(registry.port, "web", robot()), &["v1"]).await.unwrap();
        let proxy = FaultProxy::before(registry.port, None, |_| None).await;
        let opened = image.opened();
        let again = pushed(&image, &repository(proxy.port, "web", robot()), &["v1"]).await.unwrap();
        assert_eq!((again.requests, again.sent, again.skipped), (requests, 0, image.bytes()));
        assert_eq!((fates(&again.tags), image.opened()), (vec![Fate::Same], opened), "no blob is read");
        assert!(proxy.asked().iter().all(|asked| asked.starts_with("HEAD ")), "{:?}", proxy.asked());
        // Without a tag the digest is what is asked for; a second tag is a request of its own.
        let by_digest = pushed(&image, &repository(proxy.port, "web", robot()), &[]).await.unwrap();
        assert_eq!((by_digest.requests, by_digest.image.tag), (requests, None));
        let two = pushed(&image, &repository(registry.port, "web", robot()), &["v1", "v2"]).await.unwrap();
        assert_eq!((fates(&two.tags), two.sent), (vec![Fate::Same, Fate::Written], 0));
    }
}

#[tokio::test]
async fn a_fresh_push_asks_what_it_must_and_the_tag_comes_last() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let proxy = FaultProxy::before(registry.port, None, |_| None).await;
    let image = MemoryImage::index(2, &[200_000, 300], 1);
    let done = pushed(&image, &repository(proxy.port, "web", Login::Anonymous), &["v1"]).await.unwrap();
    let asked = proxy.asked();
    let count = |method: &str| asked.iter().filter(|asked| asked.starts_with(method)).count();
    // Six blobs, each begun and sent; two children and the root, which lands with its new tag.
    assert_eq!((count("POST"), count("PUT"), asked.len() as u64), (6, 6 + 3, done.requests), "{asked:#?}");
    // The tag and the digest are looked up, each blob is asked for, each manifest read back, at most twice: before and after the answer to its writing.
    assert!((2 + 6 + 3..=2 + 6 + 6).contains(&count("HEAD")), "{asked:#?}");
    let position = |what: &str| asked.iter().rposition(|asked| asked == what).unwrap();
    let tag = position("PUT /v2/web/manifests/v1");
    for child in &image.root().children {
        let (written, read) = (position(&format!("PUT /v2/web/manifests/{child}")), position(&format!("HEAD /v2/web/manifests/{child}")));
        assert!(written < read && read < tag, "{asked:#?}");
    }
    assert!(tag < position(&format!("HEAD /v2/web/manifests/{}", image.digest())), "{asked:#?}");
}

#[tokio::test]
async fn a_tag_that_moves_is_written_when_all_has_been_read_back() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let proxy = FaultProxy::before(registry.port, None, |_| None).await;
    let (old, new) = (MemoryImage::new(&[5000], 1), MemoryImage::index(2, &[6000], 2));
    let to = repository(proxy.port, "web", Login::Anonymous);
    pushed(&old, &to, &["latest"]).await.unwrap();
    let before = proxy.asked().len();
    assert_eq!(fates(&pushed(&new, &to, &["latest"]).await.unwrap().tags), [Fate::Moved { from: old.digest() }]);
    let asked = &proxy.asked()[before..];
    let position = |what: &str| asked.iter().rposition(|asked| asked == what).unwrap();
    for manifest in new.root().children.iter().chain([&new.digest()]) {
        let (written, read) =
            (position(&format!("PUT /v2/web/manifests/{manifest}")), position(&format!("HEAD /v2/web/manifests/{manifest}")));
        assert!(written < read, "{asked:#?}");
    }
    assert_eq!(position("PUT /v2/web/manifests/latest"), asked.len() - 1);
}

#[tokio::test]
async fn parts_that_come_one_by_one_are_pushed_as_they_come() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let image = MemoryImage { gradual: true, ..MemoryImage::index(3, &[100_000, 300], 1) };
    let to = repository(registry.port, "web", Login::Anonymous);
    assert_eq!(pushed(&image, &to, &["v1"]).await.unwrap().sent, image.bytes());
    assert_eq!(to.resolve("v1").await.unwrap(), Some(image.digest()));
    assert_eq!(pushed(&image, &to, &["v1"]).await.unwrap().sent, 0);
}

#[tokio::test]
async fn a_tag_that_would_move_is_reported_and_stays_unless_it_is_to_move() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let to = repository(registry.port, "web", Login::Anonymous);
    let (old, new) = (MemoryImage::new(&[5000], 1), MemoryImage::new(&[6000], 2));
    pushed(&old, &to, &["latest"]).await.unwrap();
    let tags = ["sha-2".to_owned(), "latest".to_owned()];
    let done = push(Push { content: &new, to: &to, tags: &tags, moving: Moving::Report, progress: silent() }).await.unwrap();
    assert_eq!(fates(&done.tags), [Fate::Written, Fate::ToMove { from: old.digest() }]);
    assert_eq!(to.resolve("latest").await.unwrap(), Some(old.digest()));

    // As `finish` does it, and as post does it again.
    assert_eq!(move_tag(&to, "latest", Some(&old.digest()), &new.digest()).await.unwrap(), Fate::Moved { from: old.digest() });
    assert_eq!(move_tag(&to, "latest", Some(&old.digest()), &new.digest()).await.unwrap(), Fate::Same);
    assert_eq!(to.resolve("latest").await.unwrap(), Some(new.digest()));
    assert_eq!(fates(&pushed(&old, &to, &["latest"]).await.unwrap().tags), [Fate::Moved { from: new.digest() }]);
    let foreign = move_tag(&to, "latest", Some(&new.digest()), &new.digest()).await.unwrap_err();
    assert_eq!((foreign.kind, foreign.what.contains("latest")), (Kind::Superseded, true), "{foreign}");
}

#[tokio::test]
async fn a_promotion_moves_tags_and_no_bytes() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let proxy = FaultProxy::before(registry.port, None, |_| None).await;
    let to = repository(proxy.port, "web", Login::Anonymous);
    let image = MemoryImage::index(2, &[5000], 1);
    pushed(&image, &to, &["staging"]).await.unwrap();
    let before = proxy.asked().len();
    let (digest, tags) = promote(&to, "staging", &["latest".to_owned(), "v1.2.3".to_owned()], Moving::Now).await.unwrap();
    assert_eq!((digest, fates(&tags)), (image.digest(), vec![Fate::Written, Fate::Written]));
    assert!(proxy.asked()[before..].iter().all(|asked| asked.contains("/manifests/")), "{:?}", proxy.asked());
    let missing = promote(&to, "nobody", &["latest".to_owned()], Moving::Now).await.unwrap_err();
    assert_eq!(missing.kind, Kind::Missing);
}

#[tokio::test]
async fn an_image_of_the_same_registry_is_mounted_and_one_of_another_is_streamed() {
    let tokens = TokenServer::start(300).await;
    let realm = tokens.origin.url();
    let guard = Guard::Bearer { realm: &realm, certificate: &tokens.certificate };
    let (Some(one), Some(other)) = (debian(&guard), debian(&Guard::Open)) else { return };
    let image = MemoryImage::index(2, &[400_000, 1000], 1);
    pushed(&image, &repository(one.port, "team/staging", robot()), &["v1"]).await.unwrap();
    let name = format!("127.0.0.1:{}/team/staging", one.port);
    let from = || opened(&name, Purpose::Pull, entrance(client(50.0, Endpoints::default()), robot()));
    let reference = Reference::parse(&format!("{name}:v1")).unwrap();
    for (to, sent) in [(repository(one.port, "team/live", robot()), 0), (repository(other.port, "live", Login::Anonymous), image.bytes())] {
        let source = RegistryImage::look(from(), &reference, None).await.unwrap();
        let done = pushed(&source, &to, &["v1"]).await.unwrap();
        assert_eq!((done.image.digest, done.sent, done.sent + done.skipped), (image.digest(), sent, image.bytes()));
    }
    // Whoever is not let in next door sends the bytes.
    let far = Reference { repository: RepositoryName::parse(&format!("127.0.0.1:{}/live", other.port)).unwrap(), ..reference };
    let far = RegistryImage::look(repository(other.port, "live", Login::Anonymous), &far, None).await.unwrap();
    assert_eq!(pushed(&far, &repository(one.port, "third", robot()), &["v1"]).await.unwrap().sent, image.bytes());
}

#[tokio::test]
async fn a_platform_is_chosen_from_an_index_and_one_that_is_not_there_is_named() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let to = repository(registry.port, "web", Login::Anonymous);
    let image = MemoryImage::index(2, &[4000], 1);
    pushed(&image, &to, &["v1"]).await.unwrap();
    let reference = Reference::parse(&format!("{}:v1", to.name())).unwrap();
    let platform = |architecture: &str| touchdown::image::content::Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        variant: None,
    };
    let chosen = RegistryImage::look(to.clone(), &reference, Some(&platform("arm64"))).await.unwrap();
    assert_eq!(chosen.root().descriptor.digest, image.root().children[1]);
    let done = pushed(&chosen, &to, &["arm"]).await.unwrap();
    assert_eq!((done.image.digest, done.sent), (image.root().children[1].clone(), 0));
    let missing = RegistryImage::look(to.clone(), &reference, Some(&platform("riscv64"))).await.err().unwrap();
    assert!(missing.kind == Kind::Missing && missing.to_string().contains("linux/amd64, linux/arm64"), "{missing}");
    let nowhere = Reference::parse(&format!("{}:v9", to.name())).unwrap();
    assert_eq!(RegistryImage::look(to, &nowhere, None).await.err().unwrap().kind, Kind::Missing);
}

#[tokio::test]
async fn a_source_whose_tag_moves_while_it_is_copied_is_noticed_before_a_tag_is_written() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let from = repository(registry.port, "staging", Login::Anonymous);
    let (old, new) = (MemoryImage::new(&[5000], 1), MemoryImage::new(&[6000], 2));
    pushed(&old, &from, &["v1"]).await.unwrap();
    let by_tag = Reference::parse(&format!("{}:v1", from.name())).unwrap();
    let source = RegistryImage::look(from.clone(), &by_tag, None).await.unwrap();
    let by_digest = Reference { tag: None, digest: Some(old.digest()), ..by_tag };
    let unmoved = RegistryImage::look(from.clone(), &by_digest, None).await.unwrap();
    pushed(&new, &from, &["v1"]).await.unwrap();
    let to = repository(registry.port, "live", Login::Anonymous);
    let failure = pushed(&source, &to, &["v1"]).await.unwrap_err();
    assert!(failure.kind == Kind::Conflict && failure.to_string().contains(new.digest().as_str()), "{failure}");
    assert_eq!(to.resolve("v1").await.unwrap(), None);
    pushed(&unmoved, &to, &["v1"]).await.unwrap();
    assert_eq!(to.resolve("v1").await.unwrap(), Some(old.digest()));
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_image_says_ends_the_push_before_any_tag() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let to = repository(registry.port, "web", Login::Anonymous);
    let spoilt = |spoil: fn(&mut Vec<u8>)| {
        let mut image = MemoryImage::new(&[700_000, 2000], 1);
        let blob = image.blobs.values_mut().max_by_key(|bytes| bytes.len()).unwrap();
        let mut bytes = blob.to_vec();
        spoil(&mut bytes);
        *blob = Bytes::from(bytes);
        image
    };
    let flipped = spoilt(|bytes| bytes[650_000] ^= 1);
    let short = spoilt(|bytes| bytes.truncate(600_000));
    let long = spoilt(|bytes| bytes.push(0));
    for (image, says) in [(flipped, "is not what its image says"), (short, "bytes"), (long, "bytes")] {
        let failure = pushed(&image, &to, &["v1"]).await.unwrap_err();
        assert!(failure.kind == Kind::Conflict && failure.to_string().contains(says), "{failure}");
        assert_eq!(to.resolve("v1").await.unwrap(), None);
    }
    // An image that names what nobody delivers.
    let mut partial = MemoryImage::new(&[5000, 6000], 1);
    partial.parts.remove(1);
    let failure = pushed(&partial, &to, &["v1"]).await.unwrap_err();
    assert!(failure.kind == Kind::Missing && failure.what.contains("not whole"), "{failure}");
}

#[tokio::test]
async fn what_was_sent_before_a_push_was_dropped_is_not_sent_again_and_no_tag_has_moved() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let to = repository(registry.port, "web", Login::Anonymous);
    let image = MemoryImage::new(&[900_000, 800_000, 700_000, 600_000, 5000], 1);
    let arrived = Arc::new(Mutex::new(0));
    let (counted, (halfway, mut half)) = (arrived.clone(), tokio::sync::mpsc::unbounded_channel());
    let progress = Arc::new(move |event| {
        if matches!(event, Event::Arrived { .. }) {
            *counted.lock().unwrap() += 1;
            let _ = halfway.send(());
        }
    });
    let tags = ["v1".to_owned()];
    tokio::select! {
        done = push(Push { content: &image, to: &to, tags: &tags, moving: Moving::Now, progress }) => panic!("{done:?}"),
        _ = half.recv() => {}
    }
    assert!(*arrived.lock().unwrap() >= 1);
    assert_eq!(to.resolve("v1").await.unwrap(), None);
    let done = pushed(&image, &to, &["v1"]).await.unwrap();
    assert!(done.skipped > 0 && done.sent + done.skipped == image.bytes(), "{done:?}");
    assert_eq!(to.resolve("v1").await.unwrap(), Some(image.digest()));
}

#[tokio::test]
async fn whoever_listens_is_told_every_byte_and_every_end() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let to = repository(registry.port, "web", Login::Anonymous);
    let image = MemoryImage::new(&[700_000, 2000], 1);
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = events.clone();
    let tags = ["v1".to_owned()];
    let progress = Arc::new(move |event| heard.lock().unwrap().push(event));
    push(Push { content: &image, to: &to, tags: &tags, moving: Moving::Now, progress }).await.unwrap();
    let events = events.lock().unwrap().clone();
    let sum = |of: fn(&Event) -> u64| events.iter().map(of).sum::<u64>();
    let named = sum(|event| if let Event::Named { size, .. } = event { *size } else { 0 });
    let sent = sum(|event| if let Event::Sent { bytes, .. } = event { *bytes } else { 0 });
    assert_eq!((named, sent), (image.bytes(), image.bytes()));
    assert_eq!(sum(|event| u64::from(matches!(event, Event::Arrived { .. }))), 3);
    assert_eq!(events.last(), Some(&Event::Tag(Tagged { tag: "v1".to_owned(), fate: Fate::Written })));
}

#[tokio::test]
async fn user_text_never_reaches_a_path_unread() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let to = repository(registry.port, "web", Login::Anonymous);
    let image = MemoryImage::new(&[10], 1);
    for tag in ["../../other/manifests/v1", "v1?x=y", "", "-x", "a b"] {
        assert_eq!(pushed(&image, &to, &[tag]).await.unwrap_err().kind, Kind::Config, "{tag}");
    }
    let none: Option<Digest> = to.resolve("v1").await.unwrap();
    assert_eq!(none, None);
}
