//! Bodies of any size: streamed with their length, on connections that are kept; what is cut, too long or stalled is told apart.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::Request;
use touchdown::failure::{Failure, Kind, Result};
use touchdown::http::lane::{Cargo, Undelivered};
use touchdown::http::{Endpoints, Fence, Http, Intent, NoAnswer, Options};

use super::{client, options};
use crate::origin::{Origin, Reply, answer, babbler};

fn streamed(length: u64, pieces: Vec<Result<Bytes>>) -> Cargo {
    let stream: BoxStream<'static, Result<Bytes>> = stream::iter(pieces).boxed();
    Cargo::Streamed { length, stream }
}

fn put(url: &str, cargo: Cargo) -> Request<Cargo> {
    Request::put(url).body(cargo).unwrap()
}

fn piece(text: &'static str) -> Result<Bytes> {
    Ok(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn a_stream_travels_with_its_length_and_connections_are_kept() {
    let origin = Origin::start(|_, _| answer(201, "there")).await;
    let http = client();
    for _ in 0..3 {
        let cargo = streamed(9, vec![piece("abc"), piece(""), piece("def"), piece("ghi")]);
        let answer = http.ship(put(&origin.url(), cargo), Intent::Change).await.unwrap().whole().await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (201, &b"there"[..]));
    }
    for asked in origin.asked() {
        assert_eq!((asked.connection, asked.body.as_str()), (0, "abcdefghi"));
        assert_eq!(asked.headers["content-length"], "9");
        assert!(!asked.headers.contains_key("transfer-encoding"), "{:?}", asked.headers);
    }
}

#[tokio::test]
async fn an_empty_stream_and_an_empty_body_have_the_length_zero() {
    let origin = Origin::start(|_, _| answer(201, "")).await;
    for cargo in [streamed(0, vec![]), Cargo::Whole(Bytes::new())] {
        client().ship(put(&origin.url(), cargo), Intent::Change).await.unwrap();
    }
    assert!(origin.asked().iter().all(|asked| asked.headers["content-length"] == "0"), "{:?}", origin.asked());
}

#[tokio::test]
async fn what_is_not_as_long_as_told_or_cannot_be_read_never_arrives_whole() {
    let origin = Origin::start(|_, _| answer(201, "")).await;
    let broken = || Err(Failure::new(Kind::Missing, "the file ends"));
    for (cargo, what) in [
        (streamed(9, vec![piece("abc")]), "fewer bytes came than were announced"),
        (streamed(3, vec![piece("abcd")]), "more bytes came than were announced"),
        (streamed(3, vec![piece("abc"), piece("d")]), "more bytes came than were announced"),
        (streamed(9, vec![piece("abc"), broken()]), "the file ends"),
        (streamed(3, vec![piece("abc"), broken()]), "the file ends"),
    ] {
        let failed = client().ship(put(&origin.url(), cargo), Intent::Change).await.err().unwrap();
        assert!(matches!(&failed, Undelivered::Cargo(failure) if failure.what == what), "{failed:?}");
    }
    assert_eq!(origin.asked().len(), 0, "a whole request arrived");
}

#[tokio::test]
async fn behind_the_fence_nothing_is_shipped_that_changes_anything() {
    let origin = Origin::start(|_, _| answer(200, "")).await;
    let folder = tempfile::tempdir().unwrap();
    let http = Http::new(Options { fence: Fence(Some(folder.path().to_owned())), ..options() }).unwrap();
    let held = http.ship(put(&origin.url(), Cargo::Whole(Bytes::new())), Intent::Change).await.err().unwrap();
    assert!(matches!(held, Undelivered::NoAnswer(NoAnswer::Fenced)), "{held:?}");
    assert!(http.ship(Request::get(origin.url()).body(Cargo::Whole(Bytes::new())).unwrap(), Intent::Read).await.is_ok());
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn an_overridden_host_is_shipped_to_elsewhere_under_its_own_name() {
    let origin = Origin::start(|_, _| answer(200, "")).await;
    let endpoints = Endpoints([(Endpoints::key("registry.example.com"), origin.url())].into());
    let http = Http::new(Options { endpoints, ..options() }).unwrap();
    http.ship(put("https://registry.example.com/v2/?a=b", streamed(3, vec![piece("abc")])), Intent::Change).await.unwrap();
    let asked = &origin.asked()[0];
    assert_eq!((asked.target.as_str(), asked.body.as_str()), ("/v2/?a=b", "abc"));
    assert_eq!(asked.headers["host"], "registry.example.com");
}

#[tokio::test]
async fn a_slow_stream_goes_on_and_one_that_stands_still_is_given_up() {
    let origin = Origin::start(|_, _| answer(200, "")).await;
    let http = client();
    let pace = http.clock().clone();
    // Each pause is nearly all that a stall may last; together they are longer.
    let slow = stream::iter(["a", "b"]).then(move |text| {
        let pace = pace.clone();
        async move {
            pace.sleep(pace.patience(Duration::from_secs(30)).mul_f64(0.6 * pace.factor())).await;
            piece(text)
        }
    });
    let cargo = Cargo::Streamed { length: 2, stream: slow.boxed() };
    assert_eq!(http.ship(put(&origin.url(), cargo), Intent::Change).await.unwrap().status, 200);
    let still = Cargo::Streamed { length: 4, stream: stream::iter([piece("a")]).chain(stream::pending()).boxed() };
    let failed = http.ship(put(&origin.url(), still), Intent::Change).await.err().unwrap();
    assert!(matches!(&failed, Undelivered::NoAnswer(NoAnswer::Lost(why)) if why.contains("took no more")), "{failed:?}");
}

#[tokio::test]
async fn a_lost_answer_a_cut_one_and_a_closed_door_are_told_apart() {
    let origin = Origin::start(|_, _| Reply::Hangup).await;
    let failed = client().ship(put(&origin.url(), streamed(1, vec![piece("a")])), Intent::Change).await.err().unwrap();
    assert!(matches!(&failed, Undelivered::NoAnswer(NoAnswer::Lost(why)) if why.contains("closed the connection")), "{failed:?}");

    let (port, _serving) = babbler(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", false).await;
    let get = Request::get(format!("http://127.0.0.1:{port}/")).body(Cargo::Whole(Bytes::new())).unwrap();
    let cut = client().ship(get, Intent::Read).await.unwrap().whole().await.err().unwrap();
    assert!(matches!(&cut, NoAnswer::Lost(_)), "{cut:?}");

    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let failed = client().ship(put(&format!("http://{closed}/"), streamed(1, vec![piece("a")])), Intent::Change).await.err().unwrap();
    assert!(matches!(&failed, Undelivered::NoAnswer(NoAnswer::NotSent(_))), "{failed:?}");
}
