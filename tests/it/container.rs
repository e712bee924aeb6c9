//! The image as users get it, under a real Docker engine: what is in it, and the runner's own command line for main, cancel and post.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::action_harness::{Runner, Trigger};
use crate::setup::component;

/// Docker's client and the image's tag, where the set-up has brought both.
pub fn image() -> Option<(PathBuf, String)> {
    let (docker, image) = (component("engine")?, component("image")?);
    Some((docker, image.to_str().unwrap().to_owned()))
}

fn docker(docker: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(docker).args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn the_image_holds_the_binary_its_second_name_and_tmp_and_nothing_else() {
    let Some((client, tag)) = image() else { return };
    let container = String::from_utf8(docker(&client, &["create", &tag])).unwrap().trim().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("root.tar");
    docker(&client, &["export", "--output", archive.to_str().unwrap(), &container]);
    docker(&client, &["rm", &container]);
    let listed = Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(&archive).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    // An engine puts its own empty mount points into every container.
    let is_of_the_engine = |path: &str| ["dev/", "etc/", "proc/", "sys/", ".dockerenv"].iter().any(|own| path.starts_with(own));
    let mut found: Vec<String> = Vec::new();
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !is_of_the_engine(words[5]) {
            found.push(format!("{} {} {}", words[0], words[1], words[5..].join(" ")));
        }
    }
    found.sort();
    assert_eq!(found, ["-rwxr-xr-x 0/0 touchdown", "drwxrwxrwt 0/0 tmp/", "lrwxrwxrwx 0/0 touchdown-post -> touchdown"]);
}

#[test]
fn the_image_names_no_user_and_says_what_it_is() {
    let Some((client, tag)) = image() else { return };
    let inspected: serde_json::Value = serde_json::from_slice(&docker(&client, &["image", "inspect", &tag])).unwrap();
    let config = &inspected[0]["Config"];
    // The runner's command files can be written by root only: an image with a USER cannot report anything.
    assert_eq!(config["User"], "");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/touchdown"]));
    assert_eq!(config["Labels"]["org.opencontainers.image.title"], "Touchdown");
    assert_eq!(config["Labels"]["org.opencontainers.image.licenses"], env!("CARGO_PKG_LICENSE"));
}

/// An image whose two names are one shell script: the stand-in that proves the harness's own use of Docker.
fn stand_in(client: &Path, busybox: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"#!/busybox sh
case $0 in
*-post) echo "post: $STATE_j0 as $(/busybox id -u) in $PWD"; exit 0;;
esac
trap 'echo "j0=cancelled" >> "$GITHUB_STATE"; echo undone; exit 130' INT
echo "I am $$ with $GITHUB_OUTPUT and $(/busybox cat touchdown.yml)"
echo "outcome=live" >> "$GITHUB_OUTPUT"
while :; do /busybox sleep 0.1; done
"#;
    for name in ["touchdown", "touchdown-post"] {
        std::fs::write(folder.path().join(name), script).unwrap();
    }
    std::fs::copy(busybox, folder.path().join("busybox")).unwrap();
    let archive = folder.path().join("root.tar");
    let mut pack = Command::new("tar");
    pack.arg("-cf").arg(&archive).args(["--mode=755", "-C"]).arg(folder.path()).args(["busybox", "touchdown", "touchdown-post"]);
    assert!(pack.status().unwrap().success());
    let tag = "touchdown:stand-in";
    docker(client, &["import", archive.to_str().unwrap(), tag]);
    tag.to_owned()
}

#[test]
fn in_a_container_cancelling_reaches_pid_one_and_post_gets_its_state() {
    let (Some(client), Some(busybox)) = (component("engine"), component("busybox")) else { return };
    let tag = stand_in(&client, &busybox);
    let runner =
        Runner::new().in_docker(&client, &tag).file("touchdown.yml", "version: 1").cancel(Trigger::Printed("version: 1".to_owned()));
    let main = runner.main();
    assert_eq!(main.code, Some(130), "{}", main.stderr);
    assert!(main.stdout.starts_with("I am 1 with /github/file_commands/set_output_"), "{}", main.stdout);
    assert!(main.stdout.ends_with(" and version: 1\nundone\n"), "{}", main.stdout);
    assert_eq!(main.outputs.get("outcome").map(String::as_str), Some("live"));
    assert_eq!(runner.post(&main).stdout, "post: cancelled as 0 in /github/workspace\n");
}
