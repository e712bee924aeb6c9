//! `oci:DIR[:tag]`: an OCI layout in a folder, as `docker buildx build --output type=oci,tar=false`, skopeo and others write it.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Failure, Kind, Result};
use crate::image::manifest;
use crate::values::Digest;

use super::place::{Place, unread};
use super::tree::{self, Blobs};
use super::{Image, Wanted, apart};

/// Reads the layout in `folder`.
pub async fn open(folder: &Path, wanted: &Wanted) -> Result<Image> {
    let (folder, wanted) = (folder.to_owned(), wanted.clone());
    apart(move |_| read(&folder, &wanted)).await
}

fn read(folder: &Path, wanted: &Wanted) -> Result<Image> {
    let shown = folder.display();
    let root = match folder.canonicalize() {
        Ok(root) if root.is_dir() => root,
        Ok(_) => return Err(Failure::config(format!("{shown} is no folder")).fix(format!("write archive:{shown}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::new(Kind::Missing, format!("there is no folder {shown}"))
                .fix("check the path, and that the step which builds the image runs before this one"));
        }
        Err(error) => return Err(unread(&shown.to_string(), &error)),
    };
    let folder = Folder(root);
    let what = |failure: Failure| failure.why(format!("in the OCI layout {shown}"));
    let marker = folder.file("oci-layout").map_err(what)?;
    let index = folder.file("index.json").map_err(what)?;
    let (Some(marker), Some(index)) = (marker, index) else {
        return Err(Failure::config(format!("{shown} holds no OCI layout"))
            .why("a layout has a file oci-layout and a file index.json at its top")
            .fix("build it with docker buildx build --output type=oci,tar=false,dest=FOLDER"));
    };
    check_marker(&marker.whole(manifest::LARGEST).map_err(what)?).map_err(what)?;
    tree::read(&folder, &index.whole(manifest::LARGEST).map_err(what)?, wanted).map_err(what)
}

/// The version of the layout that `oci-layout` tells must be one that is known.
pub(super) fn check_marker(marker: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    let version = serde_json::from_slice::<Marker>(marker).map(|marker| marker.image_layout_version);
    match version {
        Ok(version) if version.starts_with("1.") => Ok(()),
        Ok(version) => Err(Failure::config(format!("the layout is of the version {version:?}, and only 1 is known"))),
        Err(error) => Err(Failure::config("the file oci-layout cannot be read").why(error.to_string())),
    }
}

struct Folder(PathBuf);

impl Folder {
    /// The file `name`, which must lie in the folder wherever links lead.
    fn file(&self, name: &str) -> Result<Option<Place>> {
        let path = self.0.join(name);
        match path.canonicalize() {
            Ok(real) if real.starts_with(&self.0) => Place::named(real),
            Ok(_) => {
                Err(Failure::config(format!("{name} leads out of the folder")).fix("put the files themselves into it, not links to them"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unread(name, &error)),
        }
    }
}

impl Blobs for Folder {
    fn place(&self, digest: &Digest) -> Result<Option<Place>> {
        self.file(&format!("blobs/{}", digest.as_str().replacen(':', "/", 1)))
    }
}
