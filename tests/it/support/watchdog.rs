//! Nothing that the tests start outlives them: not after a panic, not after `kill -9`.
//!
//! A small shell holds the reading end of a pipe; the test process holds the writing end. When the
//! test process ends, however it ends, the pipe closes, and the shell ends what is still listed and
//! removes the folders.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

/// Ends a process and all that it started. Each is stopped before it is asked for its children, so
/// that it starts no more of them.
const FAMILY: &str = r#"
family() {
    while [ $# -gt 0 ]; do
        kill -STOP "$1" 2>/dev/null
        set -- "$@" $(cat /proc/"$1"/task/*/children 2>/dev/null)
        kill -KILL "$1" 2>/dev/null
        shift
    done
}
"#;

/// Reads one order a line until the pipe closes, then cleans up.
const SCRIPT: &str = r#"
killed=' ' databases=' ' newline='
' folders=
while IFS=' ' read -r order what; do
    case $order in
        kill) killed="$killed$what " ;;
        database) databases="$databases$what " ;;
        forget)
            case $killed in *" $what "*) killed="${killed%%" $what "*} ${killed#*" $what "}" ;; esac
            case $databases in
                *" $what "*) databases="${databases%%" $what "*} ${databases#*" $what "}" ;;
            esac ;;
        remove) folders="$folders$what$newline" ;;
    esac
done
for pid in $killed; do family "$pid"; done
# SIGQUIT: PostgreSQL ends at once, and still gives its shared memory back.
for pid in $databases; do kill -QUIT "$pid" 2>/dev/null; done
for pid in $databases; do
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    family "$pid"
done
IFS=$newline
for folder in $folders; do rm -rf -- "$folder"; done
"#;

/// How a process is ended when the tests are gone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// SIGKILL.
    Kill,
    /// SIGKILL, and for all that it started: a browser is its driver's child.
    Family,
    /// SIGQUIT, and time to let go of shared memory.
    Database,
}

/// Has a process ended when the tests end.
pub(crate) fn watch(pid: u32, ending: Ending) {
    match ending {
        Ending::Kill | Ending::Family => order(&format!("kill {pid}")),
        Ending::Database => order(&format!("database {pid}")),
    }
}

/// Ends a process and all that it started, now.
pub(crate) fn end_family(pid: u32) {
    let script = format!("{FAMILY}family \"$1\"");
    // An error means that nothing of it was left.
    let _ = Command::new("sh")
        .args(["-c", &script, "sh", &pid.to_string()])
        .status();
}

/// Takes a process off the list: once it has been waited for, its number may become a stranger's.
pub(crate) fn forget(pid: u32) {
    order(&format!("forget {pid}"));
}

/// Has a folder removed when the tests end.
pub(crate) fn remove_at_end(folder: &Path) {
    order(&format!("remove {}", folder.display()));
}

fn order(line: &str) {
    static WATCHDOG: OnceLock<Mutex<Child>> = OnceLock::new();
    let watchdog = WATCHDOG.get_or_init(|| {
        let shell = Command::new("sh")
            .args(["-c", &format!("{FAMILY}{SCRIPT}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // A group of its own: Ctrl-C in the terminal must not end it before its work is done.
            .process_group(0)
            .spawn()
            .expect("the watchdog starts");
        Mutex::new(shell)
    });
    let mut watchdog = watchdog.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = watchdog.stdin.as_mut().expect("its input is a pipe");
    writeln!(pipe, "{line}")
        .and_then(|()| pipe.flush())
        .expect("the watchdog listens");
}
