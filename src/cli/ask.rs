//! Asking before something ends.

use std::io::{self, BufRead, IsTerminal, Write};

use super::Failure;

/// Whether a person has to be asked, and can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes` was given.
    Given,
    /// There is a terminal to ask on.
    Ask,
}

impl Consent {
    /// Settled before anything is looked up: without a terminal there is nobody to ask.
    pub(crate) fn of(yes: bool) -> Result<Self, Failure> {
        if yes {
            return Ok(Self::Given);
        }
        if io::stdin().is_terminal() {
            return Ok(Self::Ask);
        }
        Err(Failure::usage(
            "this asks before it acts, and standard input is no terminal: add --yes",
        ))
    }
}

/// Puts a question that only a plain yes answers; standard output is left to the job's result.
pub(crate) fn confirmed(question: &str) -> Result<(), Failure> {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    if is_yes(&answer) {
        Ok(())
    } else {
        Err(Failure::failed("nothing was done"))
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        for (answer, yes) in [
            ("y\n", true),
            ("YES\n", true),
            (" Yes \r\n", true),
            ("\n", false),
            ("", false),
            ("yess\n", false),
            ("n\n", false),
        ] {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
