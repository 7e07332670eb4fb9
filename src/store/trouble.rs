//! What is the matter with a database that does not do what it is asked, in words that say what to do.

use std::{fmt, fs::OpenOptions, io, path::Path};

use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What is the matter, by what it means for whoever asked and for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One command's own data was at fault.
    Command,
    Full,
    /// A write failed; the database does not say why.
    Failing,
    ReadOnly,
    NotOpened,
    /// Somebody else has the lock, and kept it for too long.
    Held,
    Damaged,
    /// A file of it is not there any more.
    Gone,
    /// Another file bears its name.
    Replaced,
    /// Whatever else it said no to.
    Refused,
    /// No answer: what was asked last may have been done.
    Unreachable,
    /// An answer that is not understood.
    Unexpected,
}

impl Kind {
    const fn words(self) -> &'static str {
        match self {
            Self::Command => "a statement was refused",
            Self::Full => "its disk is full",
            Self::Failing => "its disk takes nothing: it is full, read-only or broken",
            Self::ReadOnly => "it is read-only",
            Self::NotOpened => "its file, or one beside it (-wal, -shm), cannot be opened or made",
            Self::Held => "somebody else holds its lock",
            Self::Damaged => "it is damaged, or no database",
            Self::Gone | Self::Replaced | Self::Refused => "it refuses",
            Self::Unreachable => "it cannot be reached",
            Self::Unexpected => "it answers what is not expected",
        }
    }

    /// By SQLite's result code, extended or not.
    const fn of_sqlite(code: u32) -> Self {
        // IOERR_SHMSIZE: the file of shared memory could not grow.
        const NO_ROOM_FOR_SHARED_MEMORY: u32 = 10 | (19 << 8);
        match (code & 0xff, code) {
            (_, NO_ROOM_FOR_SHARED_MEMORY) | (13, _) => Self::Full,
            // An error in a statement (also malformed JSON), too big, a constraint, a mismatch.
            (1 | 18 | 19 | 20, _) => Self::Command,
            (5 | 6, _) => Self::Held,
            (8, _) => Self::ReadOnly,
            (10, _) => Self::Failing,
            (11 | 26, _) => Self::Damaged,
            (14, _) => Self::NotOpened,
            _ => Self::Refused,
        }
    }

    /// By PostgreSQL's SQLSTATE.
    fn of_postgres(error: &PgDatabaseError) -> Self {
        let code = error.code();
        let ends_the_session = matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic);
        match code {
            _ if ends_the_session || ["08", "57P"].iter().any(|class| code.starts_with(class)) => {
                Self::Unreachable
            }
            // "Statement completion unknown".
            "40003" => Self::Unreachable,
            "53100" => Self::Full,
            "25006" => Self::ReadOnly,
            "58030" => Self::Failing,
            "55P03" | "57014" => Self::Held,
            // Data exception, integrity constraint violation.
            _ if code.starts_with("22") || code.starts_with("23") => Self::Command,
            _ => Self::Refused,
        }
    }
}

/// Why the database cannot be used.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub(crate) kind: Kind,
    /// In the words of whoever noticed.
    cause: String,
    /// The file, where it is one, and where it is known by whoever tells.
    file: Option<String>,
    /// The writer has said so in the log, once for however many it refuses.
    pub(crate) is_told: bool,
}

impl Trouble {
    pub(crate) const fn new(kind: Kind, cause: String) -> Self {
        Self {
            kind,
            cause,
            file: None,
            is_told: false,
        }
    }

    pub(crate) fn of(error: &sqlx::Error) -> Self {
        let sqlx::Error::Database(error) = error else {
            let kind = match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Kind::Unreachable,
                _ => Kind::Unexpected,
            };
            return Self::new(kind, error.to_string());
        };
        let code = error.code().unwrap_or_default().into_owned();
        let kind = match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => Kind::of_postgres(error),
            None => code.parse().map_or(Kind::Refused, Kind::of_sqlite),
        };
        Self::new(kind, format!("{}, code {code}", error.message()))
    }

    /// The same, once the writer has told of it.
    pub(crate) fn told(&self) -> Self {
        Self {
            is_told: true,
            ..self.clone()
        }
    }

    /// The same, of that file.
    pub(crate) fn at(mut self, file: &Path) -> Self {
        self.file.get_or_insert_with(|| file.display().to_string());
        self
    }

    /// The same of a file that could not be opened as a database, with the system's own word for it if it
    /// has one. Only while this process has the file open nowhere: closing it gives up SQLite's locks.
    pub(crate) fn of_opening(mut self, file: &Path) -> Self {
        if matches!(self.kind, Kind::Failing | Kind::ReadOnly | Kind::NotOpened)
            && let Err(error) = OpenOptions::new().write(true).open(file)
        {
            self.kind = match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Kind::ReadOnly
                }
                _ => Kind::NotOpened,
            };
            self.cause = error.to_string();
        }
        self.at(file)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.file) {
            // In whole sentences, which name the file.
            (Kind::Gone | Kind::Replaced, _) => f.write_str(&self.cause),
            (kind, Some(file)) => write!(
                f,
                "the database {file} cannot be used: {} ({})",
                kind.words(),
                self.cause
            ),
            (kind, None) => write!(
                f,
                "the database cannot be used: {} ({})",
                kind.words(),
                self.cause
            ),
        }
    }
}

impl std::error::Error for Trouble {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_says_is_told_in_words() {
        for (code, kind) in [
            (13, Kind::Full),
            (4874, Kind::Full),
            (778, Kind::Failing),
            (8, Kind::ReadOnly),
            (1032, Kind::ReadOnly),
            (14, Kind::NotOpened),
            (517, Kind::Held),
            (2067, Kind::Command),
            (26, Kind::Damaged),
            (7, Kind::Refused),
        ] {
            assert_eq!(Kind::of_sqlite(code), kind, "{code}");
        }
        let full = Trouble::new(Kind::Full, "database or disk is full, code 13".to_owned());
        assert_eq!(
            full.at(Path::new("data/a.db"))
                .at(Path::new("b.db"))
                .to_string(),
            "the database data/a.db cannot be used: its disk is full (database or disk is full, code 13)"
        );
    }

    #[test]
    fn a_network_that_fails_is_no_refusal() {
        let lost = Trouble::of(&sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        assert_eq!(lost.kind, Kind::Unreachable);
        let told = lost.to_string();
        assert!(
            told.starts_with("the database cannot be used: it cannot be reached ("),
            "{told}"
        );
    }
}
