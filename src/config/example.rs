//! `auth-agent.toml` with every setting in it, made from the settings themselves.

use clap::{Arg, Args as _, Command};

use super::{
    Config,
    file::{FILE_SETTING, is_number},
};

/// Longest line of a comment.
const WIDTH: usize = 100;
/// What is written for settings that have no default to be shown.
const EXAMPLES: [(&str, &str); 6] = [
    ("admin-listen", "127.0.0.1:3001"),
    ("issuer", "https://auth.example"),
    (
        "database-url",
        "postgres://auth-agent:password@db.example/auth-agent",
    ),
    ("trusted-proxies", "192.0.2.7,fd00::7"),
    ("log-format", "json"),
    ("archive-dir", "./data/archive"),
];
const HEAD: &str = "\
# The settings of auth-agent, each with its default, or an example where it has none.
# Printed by `auth-agent config example`. A flag comes before the environment, which comes before
# this file. SIGHUP makes a running server read it again: the limits, trusted-proxies and log then
# hold at once, the others from the next start on. Keys never stand here: set AUTH_AGENT_ADMIN_KEY
# and AUTH_AGENT_MASTER_KEY in the environment.
";

/// The whole file, every setting commented out.
#[must_use]
pub fn example() -> String {
    let settings = Config::augment_args(Command::new("settings"));
    let mut text = HEAD.to_owned();
    for arg in settings.get_arguments() {
        if let Some(name) = arg.get_long().filter(|_| arg.get_id() != FILE_SETTING) {
            text.push('\n');
            text.push_str(&comment(arg, name));
            text.push_str(&format!("#{name} = {}\n", value(arg, name)));
        }
    }
    text
}

fn comment(arg: &Arg, name: &str) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut paragraphs: Vec<String> = help
        .map(ToString::to_string)
        .unwrap_or_default()
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "))
        .collect();
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|choice| choice.get_name().to_owned())
        .collect();
    if !choices.is_empty() {
        paragraphs.push(format!("One of: {}.", choices.join(", ")));
    }
    let variable = arg
        .get_env()
        .map(|name| name.to_string_lossy().into_owned());
    paragraphs.push(format!("--{name}, {}", variable.unwrap_or_default()));
    paragraphs
        .iter()
        .map(|paragraph| wrapped(paragraph))
        .collect()
}

fn wrapped(paragraph: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in paragraph.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

fn value(arg: &Arg, name: &str) -> String {
    let default = arg.get_default_values().first();
    let text = match default {
        Some(default) => default.to_string_lossy().into_owned(),
        None => {
            let example = EXAMPLES.iter().find(|(setting, _)| *setting == name);
            example.map_or_else(String::new, |(_, example)| (*example).to_owned())
        }
    };
    if is_number(arg) {
        text
    } else {
        format!("\"{}\"", text.escape_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made anew by `auth-agent config example > auth-agent.example.toml`.
    #[test]
    fn the_file_in_the_repository_is_the_one_that_is_printed() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/auth-agent.example.toml");
        let kept = std::fs::read_to_string(file).unwrap();
        assert_eq!(kept, example());
    }

    #[test]
    fn every_setting_is_in_it_with_a_value_that_it_takes() {
        let example = example();
        let mut taken = String::new();
        for line in example.lines() {
            assert!(line.is_empty() || line.starts_with('#'), "{line}");
            assert!(line.chars().count() <= WIDTH, "{line}");
            if let Some(setting) = line.strip_prefix('#').filter(|line| !line.starts_with(' ')) {
                taken.push_str(setting);
                taken.push('\n');
            }
        }
        let settings = Config::augment_args(Command::new("settings"));
        for arg in settings.get_arguments() {
            let Some(name) = arg.get_long().filter(|_| arg.get_id() != FILE_SETTING) else {
                continue;
            };
            let line = taken
                .lines()
                .find(|line| line.starts_with(&format!("{name} = ")));
            let line = line.unwrap_or_else(|| panic!("{name} is missing"));
            assert!(!line.ends_with("\"\""), "{name} needs an entry in EXAMPLES");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auth-agent.toml");
        std::fs::write(&file, taken).unwrap();
        let args = ["program".into(), "--config".into(), file.into_os_string()];
        super::super::settings(Config::augment_args(Command::new("program")), &args).unwrap();
    }
}
