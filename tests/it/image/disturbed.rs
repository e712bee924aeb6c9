//! Disturbances at every request of a push: one of any kind is survived with the right digest, one that lasts ends in a clear error and no tag.

use touchdown::failure::Kind;
use touchdown::http::Endpoints;
use touchdown::image::push::tags::Fate;
use touchdown::image::registry::Repository;
use touchdown::image::registry::login::Login;

use super::debian::{Debian, Guard};
use super::faults::{FAULTS, Fault, FaultProxy};
use super::memory::MemoryImage;
use super::stage::{debian, pushed, repository, robot};
use super::tokens::TokenServer;
use crate::rig::side_by_side;

/// A registry behind its token server; both are reached through the proxy of each push.
struct Ground {
    registry: Debian,
    tokens: TokenServer,
}

impl Ground {
    /// The realm leads to a host whose address each client knows differently: its own proxy.
    async fn new() -> Option<Self> {
        let tokens = TokenServer::start(300).await;
        let guard = Guard::Bearer { realm: "https://tokens.test/token", certificate: &tokens.certificate };
        let registry = debian(&guard)?;
        Some(Self { registry, tokens })
    }

    async fn proxy(&self, choosing: impl Fn(usize) -> Option<Fault> + Send + Sync + 'static) -> FaultProxy {
        FaultProxy::before(self.registry.port, Some(self.tokens.origin.port), choosing).await
    }

    fn repository(&self, proxy: &FaultProxy, path: &str) -> Repository {
        let endpoints = Endpoints([(Endpoints::key("tokens.test"), format!("http://127.0.0.1:{}", proxy.port))].into());
        super::stage::opened(
            &format!("127.0.0.1:{}/{path}", proxy.port),
            touchdown::image::registry::Purpose::Push,
            super::stage::entrance(super::stage::client(50.0, endpoints), robot()),
        )
    }
}

fn image() -> MemoryImage {
    MemoryImage::index(1, &[60_000], 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fault_at_any_request_of_a_push_is_survived_with_the_right_digest() {
    let Some(ground) = Ground::new().await else { return };
    let undisturbed = ground.proxy(|_| None).await;
    let requests = pushed(&image(), &ground.repository(&undisturbed, "undisturbed"), &["v1"]).await.unwrap().requests;
    assert_eq!(requests, undisturbed.asked().len() as u64);
    let (ground, at) = (&ground, |fault: Fault, at: usize| format!("f{}-{at}", FAULTS.iter().position(|one| *one == fault).unwrap()));
    let cases = FAULTS.into_iter().flat_map(|fault| (0..usize::try_from(requests).unwrap()).map(move |index| (fault, index)));
    side_by_side(cases.map(|(fault, index)| async move {
        let image = image();
        let proxy = ground.proxy(move |asked| (asked == index).then_some(fault)).await;
        let to = ground.repository(&proxy, &at(fault, index));
        let done = pushed(&image, &to, &["v1"]).await;
        let done = done.unwrap_or_else(|failure| panic!("{fault:?} at {index}, {}: {failure}", proxy.asked()[index]));
        assert_eq!(done.image.digest, image.digest(), "{fault:?} at {index}");
        assert!(matches!(done.tags[0].fate, Fate::Written | Fate::Same), "{fault:?} at {index}: {:?}", done.tags);
        assert_eq!(to.resolve("v1").await.unwrap(), Some(image.digest()), "{fault:?} at {index}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_lasts_ends_in_a_clear_error_and_no_tag() {
    let Some(ground) = Ground::new().await else { return };
    let ground = &ground;
    let old = MemoryImage::new(&[1000], 7);
    let cases = FAULTS.into_iter().flat_map(|fault| [0, 1, 2, 4, 8, 12].map(|from| (fault, from)));
    side_by_side(cases.map(|(fault, from)| {
        let old = &old;
        async move {
            let path = format!("lasting-{}-{from}", FAULTS.iter().position(|one| *one == fault).unwrap());
            let calm = ground.proxy(|_| None).await;
            let reader = ground.repository(&calm, &path);
            pushed(old, &reader, &["latest"]).await.unwrap();
            let proxy = ground.proxy(move |asked| (asked >= from).then_some(fault)).await;
            let failure = pushed(&image(), &ground.repository(&proxy, &path), &["latest"]).await.unwrap_err();
            let expected = match fault {
                Fault::Expired => [Kind::Denied, Kind::Denied],
                _ => [Kind::Transient, Kind::Conflict],
            };
            assert!(expected.contains(&failure.kind), "{fault:?} from {from}: {failure}");
            assert!(!failure.why.is_empty(), "{fault:?} from {from}: {failure}");
            assert_eq!(reader.resolve("latest").await.unwrap(), Some(old.digest()), "{fault:?} from {from}: {failure}");
        }
    }))
    .await;
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_is_renewed_once_for_everybody() {
    let Some(ground) = Ground::new().await else { return };
    let image = MemoryImage::new(&[5000, 6000, 7000, 8000, 9000, 10_000], 3);
    // For four requests nobody's token is good; then the one that was given out since.
    let proxy = ground.proxy(|asked| (10..14).contains(&asked).then_some(Fault::Expired)).await;
    let before = ground.tokens.given();
    let done = pushed(&image, &ground.repository(&proxy, "expiring"), &["v1"]).await.unwrap();
    assert_eq!(done.sent, image.bytes());
    let renewed = ground.tokens.given() - before;
    assert!((2..=5).contains(&renewed), "{renewed} tokens");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let tokens = TokenServer::start(40).await;
    let realm = tokens.origin.url();
    let Some(registry) = debian(&Guard::Bearer { realm: &realm, certificate: &tokens.certificate }) else { return };
    let proxy = FaultProxy::before(registry.port, None, |_| None).await;
    let to = repository(proxy.port, "web", robot());
    pushed(&MemoryImage::new(&[5000], 1), &to, &["v1"]).await.unwrap();
    let (given, clock) = (tokens.given(), to.http().clock().clone());
    clock.sleep(std::time::Duration::from_secs(36)).await;
    let before = proxy.asked().len();
    to.resolve("v1").await.unwrap();
    assert_eq!((tokens.given() - given, proxy.asked().len() - before), (1, 1), "renewed without having been refused");
}

#[tokio::test]
async fn a_registry_that_asks_for_time_is_not_asked_before() {
    let Some(registry) = debian(&Guard::Open) else { return };
    let proxy = FaultProxy::before(registry.port, None, |asked| (asked == 0).then_some(Fault::Unavailable)).await;
    let to = repository(proxy.port, "web", Login::Anonymous);
    let began = to.http().clock().now();
    assert_eq!(to.resolve("v1").await.unwrap(), None);
    let took = to.http().clock().now().since(began);
    assert!(took >= std::time::Duration::from_secs(1), "{took:?}");
    assert_eq!(proxy.asked().len(), 2);
}
