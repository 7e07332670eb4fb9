//! What goes to the terminal. Text that comes from elsewhere is shown without the characters that
//! would let it draw on the terminal.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, Write},
    sync::OnceLock,
};

use serde_json::Value;

/// Why standard output does not take what is told, since it does not. There is one of it.
static UNTOLD: OnceLock<io::Error> = OnceLock::new();

/// Lines for people, or JSON for programs. Writing always goes on: a reader that has gone away (`| head`)
/// is no reason to stop a server. All other jobs end by what [`Self::untold`] says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read this.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// A line for people; nothing when programs read.
    pub(crate) fn line(self, line: impl Display) {
        if !self.json {
            tell(line);
        }
    }

    /// A line of JSON for programs; nothing when people read.
    pub(crate) fn json(self, value: &Value) {
        if self.json {
            tell(value);
        }
    }

    /// Why what was told did not reach anybody, if that is so.
    pub(crate) fn untold(self) -> Option<&'static io::Error> {
        UNTOLD.get()
    }

    /// A word beside what people read, on standard error; nothing when programs read.
    pub(crate) fn hint(self, line: &str) {
        if !self.json {
            self.complain(line);
        }
    }

    /// A line on standard error, in the program's name.
    pub(crate) fn complain(self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "auth-agent: {line}");
    }
}

fn tell(line: impl Display) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}") {
        let _ = UNTOLD.set(error);
    }
}

/// Text as one line that cannot move the cursor.
pub(crate) fn one_line(text: &str) -> String {
    let words = text
        .split(|c: char| c.is_control())
        .filter(|part| !part.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// An argument as a shell takes it.
pub(crate) fn quoted(argument: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !argument.is_empty() && argument.bytes().all(plain) {
        Cow::Borrowed(argument)
    } else {
        Cow::Owned(format!("'{}'", argument.replace('\'', r"'\''")))
    }
}

/// The program that is running, as a shell in any folder takes it.
pub(crate) fn this_program() -> String {
    let path = std::env::current_exe().ok();
    path.and_then(|path| path.to_str().map(|path| quoted(path).into_owned()))
        .unwrap_or_else(|| "auth-agent".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_draw_on_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\nc\u{9b}d"), "a [2Jb c d");
    }

    #[test]
    fn an_argument_reaches_the_program_as_it_is() {
        assert_eq!(quoted("/tmp/a-b_c.secret"), "/tmp/a-b_c.secret");
        assert_eq!(quoted("My website"), "'My website'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
