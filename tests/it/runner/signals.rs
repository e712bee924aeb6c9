//! The signals the runner sends, really sent.

use touchdown::runner::signals::{Signals, Stop};

fn send(signal: &str) {
    let status = std::process::Command::new("kill").args([signal, &std::process::id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn the_first_signal_asks_to_stop_and_the_second_says_that_the_runner_gives_up() {
    let stop = Signals::install().unwrap().stop();
    assert!(!stop.is_requested());
    send("-INT");
    stop.requested().await;
    assert_eq!((stop.by().as_str(), stop.times()), ("SIGINT", 1));
    send("-TERM");
    stop.asked_times(2).await;
    assert_eq!((stop.by().as_str(), stop.times()), ("SIGINT", 2));
}

#[tokio::test]
async fn clones_agree_and_a_wait_that_began_before_is_ended() {
    let stop = Stop::manual();
    let waiting = tokio::spawn({
        let stop = stop.clone();
        async move { stop.requested().await }
    });
    stop.request("the deadline");
    waiting.await.unwrap();
    assert!(stop.clone().is_requested());
    assert_eq!(stop.by(), "the deadline");
}
