//! Figures of the binary itself: how soon it is at work, and how large it is.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::action_harness::Runner;

const MEGABYTE: f64 = 1_000_000.0;

/// From the start of the process to the connection by which it asks for its identity token, in milliseconds.
pub fn start_to_first_request(binary: &Path) -> Result<f64, String> {
    let times = (0..30).map(|_| one_start(binary)).collect::<Result<Vec<f64>, String>>()?;
    Ok(super::median(times))
}

fn one_start(binary: &Path) -> Result<f64, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let url = format!("http://{}/token", listener.local_addr().map_err(|error| error.to_string())?);
    let runner = Runner::of(binary)
        .input("target", "ecs")
        .input("service", "web")
        .input("region", "eu-west-1")
        .input("image", "registry.example/web@sha256:0000000000000000000000000000000000000000000000000000000000000000")
        .input("skip-push", "true")
        .input("health-url", "http://127.0.0.1:9/")
        .input("aws-role", "arn:aws:iam::123456789012:role/deploy")
        .id_token(&url, "request-token");
    let (connected, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = connected.send(Instant::now());
            refuse(stream);
        }
    });
    // The harness makes folders and files before it starts the process; only the process counts.
    let began = Instant::now();
    let ran = runner.main();
    let until = told.recv_timeout(Duration::ZERO).map_err(|_| format!("no request was made; it said {}{}", ran.stdout, ran.stderr))?;
    Ok((until - began).as_secs_f64() * 1000.0)
}

fn refuse(mut stream: std::net::TcpStream) {
    let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
    let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// The binary on disk.
pub fn size(binary: &Path) -> Result<f64, String> {
    let bytes = std::fs::metadata(binary).map_err(|error| error.to_string())?.len();
    as_megabytes(usize::try_from(bytes).map_err(|error| error.to_string())?)
}

/// The binary as the image's layer travels, in zstd.
pub fn in_zstd(binary: &Path) -> Result<f64, String> {
    compressed_by("zstd", &["-19", "-c", "-q"], binary)
}

/// The same in gzip.
pub fn in_gzip(binary: &Path) -> Result<f64, String> {
    compressed_by("gzip", &["-9", "-c"], binary)
}

fn compressed_by(program: &str, arguments: &[&str], binary: &Path) -> Result<f64, String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).arg(binary).stderr(Stdio::inherit()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() { as_megabytes(output.stdout.len()) } else { Err(format!("{program}: {}", output.status)) }
}

#[allow(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn as_megabytes(bytes: usize) -> Result<f64, String> {
    if bytes == 0 { Err("there is nothing in it".to_owned()) } else { Ok(bytes as f64 / MEGABYTE) }
}
