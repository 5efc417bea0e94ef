//! The parent's part for one child: starts it, follows its events, and says how it ended.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt as _;

use anyhow::{Context as _, Result};

use crate::event::Event;

/// How much of what a child wrote to its standard error is kept for the report of a crash.
const KEPT_BYTES: usize = 2000;

/// What a child came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChildEnd {
    /// Runs that were right.
    pub runs: u64,
    /// Their tasks.
    pub tasks: u64,
    /// From start to end.
    pub elapsed: Duration,
    /// Its peak of resident memory, and the bytes of its tensors; `None` if it did not live to tell.
    pub memory: Option<(u64, u64)>,
    /// Runs that were wrong.
    pub failures: u64,
    /// What is wrong first.
    pub problem: Option<String>,
    /// The seed under which it is.
    pub failed_seed: Option<u64>,
}

/// Runs a child to its end, but no longer than `limit`.
///
/// # Errors
///
/// It cannot be started or waited for.
pub fn run(command: &mut Command, limit: Duration) -> Result<ChildEnd> {
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start a process for the scene")?;
    let complaints = child.stderr.take().map(|stderr| thread::spawn(move || tail(stderr)));
    let lines = lines_of(&mut child);

    let mut end = ChildEnd::default();
    let mut place = String::from("before the first run");
    let mut is_late = false;
    loop {
        let rest = limit.saturating_sub(start.elapsed());
        match lines.recv_timeout(rest).map(|line| Event::of_line(&line)) {
            Ok(Some(Event::At { setting })) => place = setting,
            Ok(Some(Event::Ran { tasks })) => {
                end.runs += 1;
                end.tasks += tasks;
            }
            Ok(Some(Event::Failed { message, seed })) => {
                end.failures += 1;
                if end.problem.is_none() {
                    (end.problem, end.failed_seed) = (Some(message), seed);
                }
            }
            Ok(Some(Event::End { peak_bytes, tensor_bytes })) => {
                end.memory = Some((peak_bytes, tensor_bytes));
            }
            // Kernels may print; it is nobody's business here.
            Ok(None) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                is_late = true;
                child.kill().context("cannot end a scene that is late")?;
                break;
            }
        }
    }
    let status = child.wait().context("cannot wait for a scene")?;
    end.elapsed = start.elapsed();
    let complaint = complaints.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if is_late {
        end.problem = Some(format!("{place}: no end within {limit:?}; it was killed"));
    } else if end.problem.is_none() && (!status.success() || end.memory.is_none()) {
        end.problem = Some(format!("{place}: {}{complaint}", how(status)));
    }
    Ok(end)
}

/// The lines of a child's standard output, as they come.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
    }
    lines
}

/// The end of what a child wrote to its standard error, after ": ".
fn tail(mut stderr: impl Read) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut chunk) {
        kept.extend_from_slice(&chunk[..count]);
        let surplus = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..surplus);
    }
    let text = String::from_utf8_lossy(&kept);
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

/// How a process ended, in words.
fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal} ({})", signal_name(signal)),
        (None, Some(code)) => format!("ended with exit code {code} before it was done"),
        (None, None) => format!("ended with {status}"),
    }
}

/// The names of the signals that user code ends with.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => "see `kill -l`",
    }
}
