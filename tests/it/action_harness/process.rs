//! A process, watched as the runner watches it: both streams read line by line, and on cancellation SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL
//! of that one process. (actions/runner, `ProcessInvoker.cs`, 2026-11.)

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// When the user presses "Cancel workflow".
pub enum Trigger {
    /// This long after the start.
    After(Duration),
    /// As soon as this text was printed.
    Printed(String),
    /// As soon as this is true; it is asked every few milliseconds.
    When(Box<dyn Fn() -> bool + Send>),
}

/// The waits between the signals.
#[derive(Debug, Clone, Copy)]
pub struct Ladder {
    /// From SIGINT to SIGTERM.
    pub interrupted: Duration,
    /// From SIGTERM to SIGKILL.
    pub terminated: Duration,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { interrupted: Duration::from_millis(7500), terminated: Duration::from_millis(2500) }
    }
}

/// Who gets the signals that a client forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// The process is the action.
    Itself,
    /// The process stands for the Docker client, its child for the container: SIGKILL is not forwarded.
    ItsChild,
    /// The process forwards by itself.
    Nobody,
}

/// How it ended, and what it had printed by then.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub orphan: Option<Orphan>,
    /// The most memory it held at once, in bytes, as last seen before its end; 0 where that cannot be seen.
    pub peak_memory: u64,
}

/// An action that outlived its client; killed when dropped.
pub struct Orphan(pub u32);

impl Orphan {
    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        state_of(self.0).is_some_and(|state| state != 'Z')
    }

    /// Stops it where it stands (`STOP`), lets it go on (`CONT`), …
    pub fn signal(&self, name: &str) {
        signal(self.0, name);
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        signal(self.0, "KILL");
    }
}

/// Runs the command to its end, or to that of the ladder. Panics after `patience`.
pub fn run(mut command: Command, follows: Follows, cancel: Option<&Trigger>, ladder: Ladder, patience: Duration) -> Ended {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let stdout = Stream::read(child.stdout.take().expect("it is piped"));
    let stderr = Stream::read(child.stderr.take().expect("it is piped"));
    let mut peak_memory = 0;
    let status = loop {
        peak_memory = peak(child.id()).max(peak_memory);
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if cancel.is_some_and(|trigger| fires(trigger, began, &stdout, &stderr)) {
            break climb(&mut child, follows, ladder);
        }
        if began.elapsed() > patience {
            let _ = child.kill();
            panic!("it runs for more than {patience:?}; so far it printed\n{}\n{}", stdout.text(), stderr.text());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let Some(status) = status else {
        let orphan = action_of(child.id(), follows).map(Orphan);
        child.kill().unwrap();
        child.wait().unwrap();
        let orphan = orphan.filter(|orphan| follows == Follows::ItsChild && orphan.runs());
        let code = if follows == Follows::Itself { Some(128 + 9) } else { None };
        return Ended { code, stdout: stdout.text(), stderr: stderr.text(), orphan, peak_memory };
    };
    Ended { code: Some(code(status)), stdout: stdout.whole(), stderr: stderr.whole(), orphan: None, peak_memory }
}

/// The peak of the resident memory, in bytes (`proc_pid_status(5)`).
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

/// A program that was stopped where it stood (SIGSTOP) and can go on.
pub struct Stopped {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// Runs the command until the trigger fires and stops it there, as a machine that is out of breath does.
pub fn run_until_stopped(mut command: Command, trigger: &Trigger, patience: Duration) -> Stopped {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let stdout = Stream::read(child.stdout.take().expect("it is piped"));
    let stderr = Stream::read(child.stderr.take().expect("it is piped"));
    while !fires(trigger, began, &stdout, &stderr) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped:\n{}\n{}", stdout.text(), stderr.text());
        assert!(began.elapsed() < patience, "it was never to be stopped:\n{}\n{}", stdout.text(), stderr.text());
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(child.id(), "STOP");
    while state_of(child.id()) != Some('T') {
        std::thread::sleep(Duration::from_millis(2));
    }
    Stopped { child, stdout, stderr }
}

impl Stopped {
    /// Lets it go on to its end.
    pub fn go_on(mut self, patience: Duration) -> Ended {
        signal(self.child.id(), "CONT");
        let since = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(since.elapsed() < patience, "it goes on for ever:\n{}\n{}", self.stdout.text(), self.stderr.text());
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.wait().unwrap();
        let peak_memory = 0;
        Ended { code: Some(code(status)), stdout: self.stdout.whole(), stderr: self.stderr.whole(), orphan: None, peak_memory }
    }
}

/// `R`, `S`, `T` (stopped), `Z`, …
fn state_of(pid: u32) -> Option<char> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    status.rsplit(") ").next()?.chars().next()
}

fn fires(trigger: &Trigger, began: Instant, stdout: &Stream, stderr: &Stream) -> bool {
    match trigger {
        Trigger::After(time) => began.elapsed() >= *time,
        Trigger::Printed(text) => stdout.text().contains(text) || stderr.text().contains(text),
        Trigger::When(condition) => condition(),
    }
}

/// SIGINT, SIGTERM; `None` when it outlived both waits and has to be killed.
fn climb(child: &mut Child, follows: Follows, ladder: Ladder) -> Option<ExitStatus> {
    for (name, wait) in [("INT", ladder.interrupted), ("TERM", ladder.terminated)] {
        if let Some(action) = action_of(child.id(), follows) {
            signal(action, name);
        }
        let since = Instant::now();
        while since.elapsed() < wait {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    None
}

fn action_of(pid: u32, follows: Follows) -> Option<u32> {
    match follows {
        Follows::Itself | Follows::Nobody => Some(pid),
        Follows::ItsChild => {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        }
    }
}

fn signal(pid: u32, name: &str) {
    let _ = Command::new("/bin/sh").args(["-c", &format!("kill -{name} {pid}")]).stderr(Stdio::null()).status();
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// What came through a pipe so far.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut block = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut block) {
                into.lock().unwrap().extend_from_slice(&block[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Everything up to the end of the pipe.
    fn whole(self) -> String {
        let Self { bytes, reader } = self;
        reader.join().unwrap();
        let bytes = bytes.lock().unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
