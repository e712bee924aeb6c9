//! What main leaves for post, where the runner's folders are not as they should be: through the boundary.

use std::time::Duration;

use touchdown::simulator::request::{Injection, When};

use crate::rig::Rig;
use crate::runner_grammar::parse_stdout;

fn changes(rig: &Rig) -> usize {
    rig.simulator.world().requests().iter().filter(|request| request.changing && request.operation.starts_with("ecs:")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_home_the_runners_temporary_folder_holds_journal_and_fence() {
    let rig = Rig::new().await.input("env", "VERSION=v2").env("HOME", "/there/is/no/such/folder");
    let world = rig.simulator.world();
    world.inject(When::Operation("UpdateService".to_owned(), 0), Injection::Delay(Duration::from_secs(15)));
    let main = rig.start();
    while world.count("UpdateService") == 0 {
        rig.clock.sleep(Duration::from_secs(1)).await;
    }
    // The state file is lost on the way to post; main is still alive.
    let post = rig.post(&std::collections::BTreeMap::new()).await;
    assert!(post.stdout.contains("held off") && post.stdout.contains("rolled back"), "{}", post.stdout);
    let ran = main.ended().await;
    assert_eq!((world.count("UpdateService"), world.count("StopServiceDeployment")), (1, 1), "{}\n---\n{}", ran.stdout, post.stdout);
    assert_eq!(world.serving("web"), "v1");
    assert!(ran.code != 0 && rig.home().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_post_could_not_hold_main_off_nothing_is_changed() {
    let rig = Rig::new().await.env("HOME", "/there/is/no/home").env("RUNNER_TEMP", "/there/is/no/temp");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str(), changes(&rig)), (1, "untouched", 0), "{}", ran.stdout);
    for words in [
        "the post step could not hold this run off",
        "/there/is/no/home is not a folder",
        "temp folder with the Docker host under the same path",
    ] {
        assert!(ran.stdout.contains(words) && ran.summary.replace("&#8203;", "").contains(words), "{words}: {}", ran.summary);
    }
    assert!(rig.post(&ran.state).await.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_state_file_it_goes_on_with_one_warning_and_post_finds_the_copy() {
    let rig = Rig::new().await.env("GITHUB_STATE", "/there/is/no/state");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    let warnings: Vec<_> = parse_stdout(&ran.stdout).into_iter().filter(|command| command.name == "warning").collect();
    assert_eq!(warnings.len(), 1, "{}", ran.stdout);
    assert!(warnings[0].properties["title"].contains("one copy of the journal cannot be kept"), "{warnings:?}");
    assert!(warnings[0].data.contains("/there/is/no/state"), "{warnings:?}");
    assert!(ran.state.is_empty());
    let asked = rig.simulator.world().requests().len();
    let post = rig.post(&ran.state).await;
    assert_eq!((post.code, rig.simulator.world().requests().len()), (0, asked), "{}", post.stdout);
    assert_eq!(rig.home(), Vec::<String>::new(), "post has found it and cleaned up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_copy_can_be_kept_nothing_is_changed_and_every_cause_is_named() {
    let rig = Rig::new().await.env("GITHUB_STATE", "/there/is/no/state").env("HOME", "/there/is/no/home").env("RUNNER_TEMP", "");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str(), changes(&rig)), (1, "untouched", 0), "{}", ran.stdout);
    for words in ["the journal cannot be kept anywhere", "/there/is/no/state", "/there/is/no/home"] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
}
