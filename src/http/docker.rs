//! The Docker engine behind its socket: stops one container by its full id. The post step uses it on an orphan main, and on nothing else.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;

use crate::failure::{Failure, Kind, Result};

/// How long the engine may take over one call.
const PATIENCE: Duration = Duration::from_secs(15);

/// Stops the container `id` (64 hexadecimal digits): SIGTERM, and SIGKILL after `grace`. A container that is gone is stopped.
/// <https://docs.docker.com/reference/api/engine/version/v1.41/#operation/ContainerStop>
pub async fn stop_container(socket: &Path, id: &str, grace: Duration) -> Result<()> {
    if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::bug("a container id is 64 hexadecimal digits"));
    }
    let path = format!("/containers/{id}/stop?t={}", grace.as_secs());
    match tokio::time::timeout(PATIENCE + grace, post(socket, &path)).await {
        Ok(Ok(204 | 304 | 404)) => Ok(()),
        Ok(Ok(status)) => Err(unstopped(&format!("the engine answered {status}"))),
        Ok(Err(error)) => Err(unstopped(&error.to_string())),
        Err(_) => Err(unstopped("the engine did not answer in time")),
    }
}

fn unstopped(why: &str) -> Failure {
    Failure::new(Kind::Transient, "the container of the cancelled step could not be stopped").why(why)
}

async fn post(socket: &Path, path: &str) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let stream = tokio::net::UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = http::Request::post(path).header("host", "docker").body(Empty::<Bytes>::new())?;
    let status = sender.send_request(request).await?.status().as_u16();
    driver.abort();
    Ok(status)
}
