//! The bare sender: it knows every digest beforehand, asks nothing, hashes nothing, and sends the same bytes over as many connections as it is told.
//! Nobody who speaks this protocol to this registry can be much faster.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use touchdown::image::content::{Descriptor, Manifest, Part};

use super::layout::Layout;

/// Sends the layout to `repository` of the registry at `port` of this machine, tagged `v1`.
pub async fn send(folder: &Path, port: u16, repository: &str, connections: usize) {
    let layout = Arc::new(Layout::open(folder));
    let blobs = layout.blobs();
    // Uploads are opened all at once; the connections are used again for the bytes.
    let mut opening = tokio::task::JoinSet::new();
    for (at, blob) in blobs.into_iter().enumerate() {
        let post = format!("POST /v2/{repository}/blobs/uploads/ HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\n\r\n");
        opening.spawn(async move {
            let mut line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            line.set_nodelay(true).unwrap();
            let head = asked(&mut line, post.as_bytes(), "202").await;
            (at, blob, location(&head, port), line)
        });
    }
    let mut opened = opening.join_all().await;
    opened.sort_by_key(|(at, ..)| *at);
    let (mut work, mut lines) = (Vec::new(), Vec::new());
    for (_, blob, session, line) in opened {
        work.push((blob, session));
        lines.push(line);
    }
    work.reverse();
    lines.truncate(connections);
    let work = Arc::new(Mutex::new(work));
    let mut lanes = tokio::task::JoinSet::new();
    for mut line in lines {
        let (work, layout) = (work.clone(), layout.clone());
        lanes.spawn(async move {
            loop {
                let Some((blob, session)) = work.lock().unwrap().pop() else { return line };
                put(&mut line, &layout, &blob, &session, port).await;
            }
        });
    }
    let mut lines = lanes.join_all().await;
    for manifests in in_waves(&layout) {
        let mut placing = tokio::task::JoinSet::new();
        for manifest in manifests {
            let mut line = lines.pop().expect("as many connections as manifests");
            let is_root = Some(&Part::Manifest(manifest.clone())) == layout.parts.last();
            let by = if is_root { "v1".to_owned() } else { manifest.descriptor.digest.to_string() };
            let repository = repository.to_owned();
            placing.spawn(async move {
                let head = format!(
                    "PUT /v2/{repository}/manifests/{by} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
                    manifest.descriptor.media_type,
                    manifest.bytes.len()
                );
                asked(&mut line, &[head.as_bytes(), &manifest.bytes].concat(), "201").await;
                line
            });
        }
        lines.extend(placing.join_all().await);
    }
}

/// Children, then the index.
fn in_waves(layout: &Layout) -> Vec<Vec<Manifest>> {
    let manifests = layout.parts.iter().filter_map(|part| match part {
        Part::Manifest(manifest) => Some(manifest.clone()),
        Part::Blob(_) => None,
    });
    let (indexes, images): (Vec<Manifest>, Vec<Manifest>) = manifests.partition(|manifest| !manifest.children.is_empty());
    [images, indexes].into_iter().filter(|wave| !wave.is_empty()).collect()
}

async fn put(line: &mut TcpStream, layout: &Layout, blob: &Descriptor, session: &str, port: u16) {
    let between = if session.contains('?') { '&' } else { '?' };
    let head = format!(
        "PUT {session}{between}digest={} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        blob.digest, blob.size
    );
    line.write_all(head.as_bytes()).await.unwrap();
    let mut file = tokio::fs::File::open(layout.path(&blob.digest)).await.unwrap();
    let mut buffer = vec![0; 1 << 20];
    file.set_max_buf_size(1 << 20);
    loop {
        let read = file.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        line.write_all(&buffer[..read]).await.unwrap();
    }
    answered(line, "201").await;
}

async fn asked(line: &mut TcpStream, request: &[u8], status: &str) -> String {
    line.write_all(request).await.unwrap();
    answered(line, status).await
}

/// The head of the answer; these answers have no body.
async fn answered(line: &mut TcpStream, status: &str) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut more = [0; 2048];
        let read = line.read(&mut more).await.unwrap();
        assert!(read > 0, "the registry hung up");
        head.extend_from_slice(&more[..read]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    head
}

/// Path and query of the `Location`.
fn location(head: &str, port: u16) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("an upload has a place");
    line.trim_start_matches(&format!("http://127.0.0.1:{port}")).to_owned()
}
