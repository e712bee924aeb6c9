//! Which layer it is that comes in an export of the legacy store, told before it has come: engines before 25 name its folder by a hash over
//! what stands in the file `json` beside it and the chain of layers below it. Where the hash comes out the same, it is that layer and no other.
//! <https://github.com/moby/moby/blob/v20.10.24/image/v1/imagev1.go> (2026-11)

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::failure::Result;
use crate::image::hashing::digest_of;
use crate::values::Digest;

/// The layers of an image, and the chain that each of them ends.
pub(super) struct Chains(Vec<(Digest, Digest)>);

impl Chains {
    /// Of plain layers, from the lowest up.
    pub(super) fn of(layers: &[Digest]) -> Result<Self> {
        let mut chains: Vec<(Digest, Digest)> = Vec::with_capacity(layers.len());
        for plain in layers {
            let chain = match chains.last() {
                None => plain.clone(),
                Some((below, _)) => digest_of(format!("{below} {plain}").as_bytes())?,
            };
            chains.push((chain, plain.clone()));
        }
        Ok(Self(chains))
    }

    /// The layer beside the file `json` in the folder `id`; none where it cannot be told.
    pub(super) fn recognise(&self, id: &str, json: &[u8]) -> Option<Digest> {
        let mut said: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(json).ok()?;
        said.remove("id");
        if let Some(parent) = said.get("parent") {
            let parent: String = serde_json::from_str(parent.get()).ok()?;
            said.insert("parent".to_owned(), raw(&format!("sha256:{parent}"))?);
        }
        // The lowest layers have no system of their own before they are hashed; the topmost has.
        [said.clone(), without_os(said)].into_iter().find_map(|said| self.hashed_to(id, said))
    }

    fn hashed_to(&self, id: &str, mut said: BTreeMap<String, Box<RawValue>>) -> Option<Digest> {
        self.0.iter().find_map(|(chain, plain)| {
            said.insert("layer_id".to_owned(), raw(chain.as_str())?);
            let hash = digest_of(&serde_json::to_vec(&said).ok()?).ok()?;
            (hash.as_str().strip_prefix("sha256:") == Some(id)).then(|| plain.clone())
        })
    }
}

fn without_os(mut said: BTreeMap<String, Box<RawValue>>) -> BTreeMap<String, Box<RawValue>> {
    said.remove("os");
    said
}

fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(serde_json::to_string(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As engine 20.10 exported an image of three layers.
    const LAYERS: [&str; 3] = [
        "sha256:9c33e26f57e5cbfacb7322aeb52723e8708a7419de4d76c3bdc3816f87dfb8d0",
        "sha256:734bf5e6aefd0342fc72ec25b4bef53d014bd036c4687ee7d2a511cf4ff5d1cf",
        "sha256:bbdb6f6c7cbc9f18cf5901418f1128e92bff1379788b363cff89586ecf62a7ba",
    ];
    const FOLDERS: [(&str, &str); 3] = [
        (
            "1c7391c58ef7a653dae699aa73729abfb8cde39dcc2271d658a88fb3439f615c",
            r#"{"id":"1c7391c58ef7a653dae699aa73729abfb8cde39dcc2271d658a88fb3439f615c","created":"1970-01-01T00:00:00Z","container_config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null},"os":"linux"}"#,
        ),
        (
            "788b24404a020f5eb03653ab1991af1d5c5ebd7ebfe6be1cb7ba45bcb57a2312",
            r#"{"id":"788b24404a020f5eb03653ab1991af1d5c5ebd7ebfe6be1cb7ba45bcb57a2312","parent":"1c7391c58ef7a653dae699aa73729abfb8cde39dcc2271d658a88fb3439f615c","created":"1970-01-01T00:00:00Z","container_config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null},"os":"linux"}"#,
        ),
        (
            "3be1e74eac161a2c9678dbe6e171299db1d030efdb56edd2744575a7b3ff3fda",
            r##"{"id":"3be1e74eac161a2c9678dbe6e171299db1d030efdb56edd2744575a7b3ff3fda","parent":"788b24404a020f5eb03653ab1991af1d5c5ebd7ebfe6be1cb7ba45bcb57a2312","created":"2026-11-21T10:34:34.559958422Z","container":"67c355486f3ff96be59e053e220db15c68c565f9ea6b6c52fddf3afbab8a2b68","container_config":{"Hostname":"67c355486f3f","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/bin/sh","-c","#(nop) ","CMD [\"/a\"]"],"Image":"sha256:2cfa271433b67a23e7a5e30f407b4fff499e9a4eeffd8983cb290508f0d40620","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{"org.opencontainers.image.revision":"abc"}},"docker_version":"20.10.24+dfsg1","config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/a"],"Image":"sha256:2cfa271433b67a23e7a5e30f407b4fff499e9a4eeffd8983cb290508f0d40620","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{"org.opencontainers.image.revision":"abc"}},"architecture":"amd64","os":"linux"}"##,
        ),
    ];

    fn layers() -> Vec<Digest> {
        LAYERS.iter().map(|layer| Digest::parse(layer).unwrap()).collect()
    }

    #[test]
    fn the_folders_of_an_export_are_told_by_their_hashes() {
        let chains = Chains::of(&layers()).unwrap();
        for ((id, json), layer) in FOLDERS.iter().zip(layers()) {
            assert_eq!(chains.recognise(id, json.as_bytes()), Some(layer));
        }
    }

    #[test]
    fn what_does_not_hash_to_its_name_is_not_recognised() {
        let chains = Chains::of(&layers()).unwrap();
        let (id, json) = FOLDERS[0];
        let moved = Chains::of(&layers()[1..]).unwrap();
        assert_eq!(moved.recognise(id, json.as_bytes()), None);
        assert_eq!(chains.recognise(FOLDERS[1].0, json.as_bytes()), None);
        assert_eq!(chains.recognise(id, json.replace("1970", "1971").as_bytes()), None);
        for broken in ["", "{}", "[]", r#"{"parent":1}"#] {
            assert_eq!(chains.recognise(id, broken.as_bytes()), None);
        }
    }
}
