//! Why a job was not done.

use std::{fmt::Display, process::ExitCode};

use serde_json::Value;

use super::output::{Output, one_line};
use crate::{config::ConfigError, http::StartError};

/// One line for a person, an exit status, and the server's own words for a program.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    message: String,
    answer: Option<Value>,
}

impl Failure {
    /// Asked for wrongly, or a setting cannot be used: exit status 2.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self {
            status: 2,
            message: message.to_string(),
            answer: None,
        }
    }

    /// Tried, and failed: exit status 1.
    pub(crate) fn failed(message: impl Display) -> Self {
        Self {
            status: 1,
            message: message.to_string(),
            answer: None,
        }
    }

    /// Refused by the server, whose answer a program may want to read.
    pub(crate) fn refused(message: impl Display, answer: Value) -> Self {
        Self {
            status: 1,
            message: message.to_string(),
            answer: Some(answer),
        }
    }

    /// The line that a person reads.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Tells whoever asked, and yields the exit status.
    pub(crate) fn report(self, output: Output) -> ExitCode {
        output.complain(&one_line(&self.message));
        if let Some(answer) = &self.answer {
            output.json(answer);
        }
        ExitCode::from(self.status)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::usage(error)
    }
}
