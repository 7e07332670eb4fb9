//! Why a job was not done.

use std::{fmt::Display, process::ExitCode};

use serde_json::{Map, Value, json};

use super::output::{Output, one_line};
use crate::{config::ConfigError, http::StartError};

/// The `error` of what was asked for wrongly, where no server has a word for it.
const INVALID_USAGE: &str = "invalid_usage";
/// The `error` of what was tried and failed, likewise.
const FAILED: &str = "failed";

/// One line for a person, an exit status, and one object for a program: the server's answer where it
/// refused.
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
        let status = self.status;
        output.complain(&one_line(&self.message));
        output.json(&self.for_programs());
        ExitCode::from(status)
    }

    /// What a program reads, whatever went wrong: `error` and `error_description` are always there.
    fn for_programs(self) -> Value {
        let error = if self.status == 2 {
            INVALID_USAGE
        } else {
            FAILED
        };
        let mut told = match self.answer {
            Some(Value::Object(answer)) => answer,
            _ => Map::new(),
        };
        told.entry("error").or_insert_with(|| json!(error));
        told.entry("error_description")
            .or_insert_with(|| json!(one_line(&self.message)));
        Value::Object(told)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_find_the_same_two_members_whatever_went_wrong() {
        let told = Failure::usage("no\nsecret").for_programs();
        assert_eq!(
            told,
            json!({"error": "invalid_usage", "error_description": "no secret"})
        );
        let told = Failure::failed("no server answers").for_programs();
        assert_eq!(told["error"], "failed");
        // An answer that is none, one that lacks the words, and one that is whole.
        let told = Failure::refused("502 Bad Gateway", Value::Null).for_programs();
        assert_eq!(told["error_description"], "502 Bad Gateway");
        let answer = json!({"error": "slow_down", "success": false});
        let told = Failure::refused("too many", answer).for_programs();
        assert_eq!(
            told,
            json!({"error": "slow_down", "success": false, "error_description": "too many"})
        );
        let answer = json!({"error": "conflict", "error_description": "its own words"});
        assert_eq!(Failure::refused("x", answer.clone()).for_programs(), answer);
    }
}
