//! Debian's registry (Distribution 2.8) as a process of its own on a free port, its files in a folder that goes with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;

/// Who is let in.
pub enum Guard<'a> {
    /// Everybody.
    Open,
    /// `robot` with the password `hunter2`.
    Basic,
    /// Who has a token from `realm`, signed by `certificate` (PEM).
    Bearer { realm: &'a str, certificate: &'a str },
}

/// The process; it ends with the test.
pub struct Debian {
    pub port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

/// `hunter2` by bcrypt.
const HTPASSWD: &str = "robot:$2b$04$pxKlR7r4HRAeMI3bixebDe0smKdUlK/LJGqVypAYPCadlOqT7i9Qy\n";

impl Debian {
    /// Starts `program`; with `certificate` and key (PEM) it speaks TLS, and offers HTTP/2.
    pub fn start(program: &Path, guard: &Guard<'_>, tls: Option<(&str, &str)>, below: &Path) -> Self {
        let folder = tempfile::tempdir_in(below).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let auth = match guard {
            Guard::Open => String::new(),
            Guard::Basic => format!("auth:\n  htpasswd: {{ realm: test, path: {} }}\n", file("htpasswd", HTPASSWD)),
            Guard::Bearer { realm, certificate } => {
                let bundle = file("bundle.pem", certificate);
                format!("auth:\n  token: {{ realm: '{realm}', service: registry.test, issuer: tests, rootcertbundle: {bundle} }}\n")
            }
        };
        let tls = tls.map(|(certificate, key)| {
            format!("  tls: {{ certificate: {}, key: {} }}\n", file("server.pem", certificate), file("server.key", key))
        });
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = folder.path().join("storage").display().to_string();
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: {storage} }}\n  delete: {{ enabled: true }}\nhttp:\n  addr: 127.0.0.1:{port}\n{}{auth}",
            tls.unwrap_or_default()
        );
        let config = file("config.yml", &config);
        let mut command = Command::new(program);
        command.arg("serve").arg(config).stdout(Stdio::null()).stderr(std::fs::File::create(folder.path().join("log")).unwrap());
        let process = command.spawn().unwrap();
        let registry = Self { port, process, _folder: folder };
        registry.wait();
        registry
    }

    fn wait(&self) {
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{}", std::fs::read_to_string(self._folder.path().join("log")).unwrap_or_default());
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Bytes as OpenSSL writes them.
pub fn pem(what: &str, bytes: &[u8]) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines: Vec<&str> = encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}
