//! How much is measured, by the arguments.

use std::time::Duration;

use crate::client::Result;

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) repetitions: usize,
    /// How long each single load lasts.
    pub(crate) length: Duration,
    /// Callers of the store at a time.
    pub(crate) callers: &'static [usize],
    /// Agents at a time.
    pub(crate) agents: &'static [usize],
    /// Pages that wait meanwhile.
    pub(crate) pages: Vec<usize>,
    /// Sign-ins whose push is timed.
    pub(crate) samples: usize,
}

impl Plan {
    fn full() -> Self {
        Self {
            repetitions: 3,
            length: Duration::from_secs(3),
            callers: &[1, 16, 64, 256],
            agents: &[1, 16, 64],
            pages: vec![0, 1_000],
            samples: 500,
        }
    }

    fn short() -> Self {
        Self {
            repetitions: 1,
            length: Duration::from_millis(100),
            callers: &[1, 8],
            agents: &[1, 4],
            pages: vec![0, 10],
            samples: 5,
        }
    }

    /// Whether it only shows that everything still works.
    pub(crate) fn is_short(&self) -> bool {
        self.length < Duration::from_secs(1)
    }

    /// Reads the arguments. Cargo says `--bench` only when it is asked for figures.
    pub(crate) fn of(arguments: &[String]) -> Result<Self> {
        let says = |word: &str| arguments.iter().any(|argument| argument == word);
        let mut plan = if says("--short") || !says("--bench") {
            Self::short()
        } else {
            Self::full()
        };
        let mut rest = arguments
            .iter()
            .filter(|a| !["--short", "--bench"].contains(&a.as_str()));
        while let Some(argument) = rest.next() {
            match (argument.as_str(), rest.next()) {
                ("--pages", Some(number)) => plan.pages = vec![0, number.parse()?],
                ("--repetitions", Some(number)) => plan.repetitions = number.parse()?,
                _ => {
                    let known = "--short, --pages <number>, --repetitions <number>";
                    return Err(format!("{argument}? known are {known}").into());
                }
            }
        }
        Ok(plan)
    }
}
