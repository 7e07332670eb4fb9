//! Child processes whose output is kept, and free ports for them.

use std::{
    collections::HashSet,
    hash::{BuildHasher, Hasher, RandomState},
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use super::{
    ledger,
    watchdog::{self, Ending},
};

/// Long enough for the slowest machine: reached only when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How long the output of a process that has ended may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often something is looked at again.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// A lock that a panic elsewhere does not spoil.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 64 arbitrary bits, so that names, ports and keys of two runs differ.
pub(crate) fn arbitrary() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// An arbitrary text of 64 characters of `[0-9a-f]`.
pub(crate) fn arbitrary_text() -> String {
    (0..4).map(|_| format!("{:016x}", arbitrary())).collect()
}

/// A TCP port of 127.0.0.1 that nobody listens on, never given out twice. From below the range that
/// the system takes for outgoing connections, which could otherwise occupy it before its server does.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = locked(&GIVEN);
    let given = given.get_or_insert_default();
    for _ in 0..10_000 {
        let port = 10_500 + u16::try_from(arbitrary() % 22_000).expect("fits");
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    panic!("no TCP port is free");
}

/// Asks again and again until there is an answer.
///
/// # Panics
///
/// When there is none within [`PATIENCE`].
pub(crate) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a process that has ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit status; -1 when a signal ended it.
    pub(crate) status: i32,
    /// What it had to say.
    pub(crate) stdout: String,
    /// What it complained about.
    pub(crate) stderr: String,
}

impl Ended {
    /// Its one line of complaint.
    ///
    /// # Panics
    ///
    /// Unless it ended with this status and printed nothing but one line of its own on standard
    /// error.
    #[track_caller]
    pub(crate) fn complaint(&self, status: i32) -> &str {
        assert_eq!(self.status, status, "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!((lines.len(), &*self.stdout), (1, ""), "{self:?}");
        let line = lines[0].strip_prefix("auth-agent: ");
        line.unwrap_or_else(|| panic!("not in the program's name: {self:?}"))
    }

    /// What it said.
    ///
    /// # Panics
    ///
    /// Unless it ended well.
    #[track_caller]
    pub(crate) fn said(&self) -> &str {
        assert_eq!(self.status, 0, "{self:?}");
        &self.stdout
    }

    /// What it said to a program.
    ///
    /// # Panics
    ///
    /// Unless it ended well, and said one line of JSON.
    #[track_caller]
    pub(crate) fn told(&self) -> serde_json::Value {
        self.said();
        self.json()
    }

    /// What it said, well or not, which is one line of JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a process without standard input to its end.
///
/// # Panics
///
/// When it does not end.
pub(crate) async fn completed(command: &mut Command) -> Ended {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let pid = child.id();
    watchdog::watch(pid, Ending::Kill);
    let end = tokio::task::spawn_blocking(move || child.wait_with_output());
    let Ok(end) = tokio::time::timeout(PATIENCE, end).await else {
        watchdog::end_family(pid);
        panic!("{command:?} does not end");
    };
    watchdog::forget(pid);
    let output = end.expect("nothing panics").expect("it can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    ledger::printed(command, [&stdout, &stderr]);
    Ended {
        status: output.status.code().unwrap_or(-1),
        stdout,
        stderr,
    }
}

/// What a process has printed so far, both streams, in the order of the lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output(Arc<Mutex<String>>);

impl Output {
    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        locked(&self.0).clone()
    }

    /// Takes down what comes until the end, which it then tells by hanging up.
    fn follow(&self, stream: impl Read + Send + 'static, until: mpsc::Sender<()>) {
        let Self(text) = self.clone();
        std::thread::spawn(move || {
            let _until = until;
            let mut lines = BufReader::new(stream);
            let mut line = Vec::new();
            while lines
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                locked(&text).push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
    }
}

/// A running child process; killed when dropped, and by the watchdog when the tests die.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    output: Output,
    /// Hung up once the output is whole.
    whole: Mutex<mpsc::Receiver<()>>,
    ending: Ending,
    /// Where it runs, if what it prints is looked through for secrets at its end.
    looked_through: Option<PathBuf>,
}

impl Process {
    /// Starts a process without standard input. Nothing that it prints may be secret.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = Self::start_with(command, Output::default(), Ending::Kill);
        let folder = command.get_current_dir();
        process.looked_through = Some(folder.map_or_else(PathBuf::new, PathBuf::from));
        process
    }

    /// The same, adding its output to what an earlier process printed; whoever keeps that looks through it.
    pub(crate) fn start_with(command: &mut Command, output: Output, ending: Ending) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        watchdog::watch(child.id(), ending);
        let (until, whole) = mpsc::channel();
        let stdout = child.stdout.take().expect("its output is a pipe");
        output.follow(stdout, until.clone());
        let stderr = child.stderr.take().expect("its errors are a pipe");
        output.follow(stderr, until);
        Self {
            child,
            name,
            output,
            whole: Mutex::new(whole),
            ending,
            looked_through: None,
        }
    }

    /// What it has printed so far.
    pub(crate) fn output(&self) -> Output {
        self.output.clone()
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for a line of the output that `pick` recognises.
    ///
    /// # Panics
    ///
    /// When the process ends first, or never prints it.
    pub(crate) async fn line<T>(&mut self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let ended = self.ended();
            let output = self.output.text();
            // A line still without its end is not looked at: half an address is no address.
            let whole = output.rfind('\n').map_or("", |end| &output[..end]);
            if let Some(found) = whole.lines().find_map(&pick) {
                return found;
            }
            let name = &self.name;
            assert!(
                ended.is_none(),
                "{name} ended ({ended:?}) before {what}:\n{output}"
            );
            assert!(
                start.elapsed() < PATIENCE,
                "{name} never printed {what}:\n{output}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        // The shell's own `kill`: the program of that name is not on every machine.
        let status = Command::new("sh")
            .args([
                "-c",
                "kill -s \"$1\" \"$2\"",
                "sh",
                signal,
                &self.child.id().to_string(),
            ])
            .status()
            .expect("a shell is there");
        assert!(status.success(), "{} cannot be sent SIG{signal}", self.name);
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it has not ended within `limit`.
    pub(crate) async fn end(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                watchdog::forget(self.child.id());
                return status;
            }
            let output = || self.output.text();
            assert!(
                start.elapsed() < limit,
                "{} does not end:\n{}",
                self.name,
                output()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// SIGTERM, and waits until it has ended well.
    ///
    /// # Panics
    ///
    /// When it does not, or not soon.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        let status = self.end(PATIENCE).await;
        assert!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.name,
            self.output.text()
        );
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        watchdog::forget(self.child.id());
        // Once it has been waited for, its number may be a stranger's.
        if matches!(self.ending, Ending::Family) && self.ended().is_none() {
            watchdog::end_family(self.child.id());
        }
        // An error means that it had ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        match self.ending {
            Ending::Kill => {
                self.kill();
                // Nothing is ever sent. What it started itself may hold its output open for longer.
                let _ = locked(&self.whole).recv_timeout(LAST_WORDS);
            }
            Ending::Family => self.kill(),
            // It lives as long as the tests, unless it ended by itself.
            Ending::Database => {
                if self.ended().is_some() {
                    watchdog::forget(self.child.id());
                }
            }
        }
        // A second panic would hide the first.
        if let Some(folder) = self.looked_through.take()
            && !std::thread::panicking()
        {
            ledger::note_keys(&folder.join("data"));
            let what = format!("what {} printed", self.name);
            ledger::assert_none_in(&what, &self.output.text());
        }
    }
}
