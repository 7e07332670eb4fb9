//! How far a long job is: one line that is written over, on a terminal and nowhere else.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use super::Output;
use crate::edge;

/// How often the line is written again.
const PAUSE: Duration = Duration::from_millis(200);
/// Before that much time there is nothing to estimate from.
const FIRST_ESTIMATE: Duration = Duration::from_secs(1);

/// Something that is counted until it is done.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    shown: bool,
    began: Duration,
    told: Duration,
}

impl Progress {
    /// Begins to count, for whoever watches standard error.
    pub(crate) fn new(output: Output) -> Self {
        let now = edge::elapsed();
        Self {
            what: "",
            shown: io::stderr().is_terminal() && !output.is_json(),
            began: now,
            told: now,
        }
    }

    /// So many are done. What is counted may be another thing from one step of the job to the next.
    pub(crate) fn at(&mut self, what: &'static str, done: u64, total: u64) {
        let now = edge::elapsed();
        if what != self.what {
            self.what = what;
            self.began = now;
        }
        if !self.shown || now.saturating_sub(self.told) < PAUSE {
            return;
        }
        self.told = now;
        let line = line(self.what, done, total, now.saturating_sub(self.began));
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r\u{1b}[K{line}");
        let _ = stderr.flush();
    }
}

impl Drop for Progress {
    /// Leaves the line empty for what the job has to say.
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}

/// `events: 12000 of 50000 (24 %), 8000/s, 5 s left`
fn line(what: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let percent = (done * 100).checked_div(total).unwrap_or(100).min(100);
    let line = format!("{what}: {done} of {total} ({percent} %)");
    if elapsed < FIRST_ESTIMATE || done == 0 {
        return line;
    }
    let milliseconds = elapsed.as_millis();
    let rate = u128::from(done) * 1_000 / milliseconds.max(1);
    let left = u128::from(total.saturating_sub(done)) * milliseconds / u128::from(done) / 1_000;
    format!("{line}, {rate}/s, {} left", duration(left))
}

fn duration(seconds: u128) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s} s"),
        (h, min, _) => format!("{h} h {min} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is_how_fast_and_how_long_it_will_take() {
        let line = |done, total, seconds| line("events", done, total, Duration::from_secs(seconds));
        assert_eq!(line(0, 50, 0), "events: 0 of 50 (0 %)");
        assert_eq!(line(0, 50, 9), "events: 0 of 50 (0 %)");
        assert_eq!(
            line(12_000, 60_000, 2),
            "events: 12000 of 60000 (20 %), 6000/s, 8 s left"
        );
        assert_eq!(line(10, 0, 2), "events: 10 of 0 (100 %), 5/s, 0 s left");
        assert!(line(1, 4_000, 1).ends_with("1/s, 1 h 6 min left"));
        assert!(line(1, 100, 1).ends_with("1/s, 1 min 39 s left"));
    }
}
