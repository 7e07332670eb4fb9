//! The help of the program itself: its jobs in groups, and the first steps.

use clap::Command;

/// The jobs, by what one wants to do.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Run it", &["serve", "demo", "config"]),
    (
        "Administer it",
        &["client", "agent", "owner", "token", "admin-key", "audit"],
    ),
    (
        "Look after it",
        &["projections", "backup", "restore", "keys"],
    ),
    ("Use it", &["sign-in", "openapi", "completions", "help"]),
];

const FIRST_STEPS: &str = "\
First steps. In one terminal, the server, which goes on until Ctrl-C:
  auth-agent serve
In a second one, in the same folder, with the admin key that the server shows (without a terminal it is in data/admin.key):
  export AUTH_AGENT_ADMIN_KEY=<admin key>
  auth-agent client create --name 'My website' --redirect-uri http://localhost:8080/callback --secret-file client.secret
  auth-agent agent create --name 'My agent' --user-email you@example.com --user-name 'Your Name' --secret-file agent.secret
  auth-agent client try <client id> --secret-file client.secret
The last one shows an address. Open it in a browser and, in a third terminal, let the agent sign in on the page that waits:
  auth-agent sign-in <address of the page> --agent-id <agent id> --secret-file agent.secret --model <model>

`auth-agent help <job>` tells about one. `auth-agent demo` shows all of it at work.";

/// Puts the jobs in groups.
pub(crate) fn grouped(command: Command) -> Command {
    let mut named = command.clone();
    named.build();
    let about = |name: &str| {
        let job = named.find_subcommand(name);
        let about = job.and_then(|job| job.get_about().map(ToString::to_string));
        about.unwrap_or_default()
    };
    let mut groups = String::new();
    for (heading, names) in GROUPS {
        groups.push_str(&format!("{heading}:\n"));
        for name in names {
            groups.push_str(&format!("  {name:<12} {}\n", about(name)));
        }
        groups.push('\n');
    }
    command
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}"
        ))
        .after_help(FIRST_STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn every_job_is_in_one_group() {
        let mut listed: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        listed.sort_unstable();
        let mut command = command();
        command.build();
        let mut jobs: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        jobs.sort_unstable();
        assert_eq!(listed, jobs);
    }

    /// Jobs whose name says all there is to know of their use.
    const EXPLAIN_THEMSELVES: [&str; 2] = ["demo", "help"];

    #[test]
    fn every_job_says_what_it_does_and_shows_an_example_and_every_flag_says_what_it_is_for() {
        fn walk(job: &Command, path: &str, wrong: &mut Vec<String>) {
            let path = format!("{path} {}", job.get_name());
            if job.get_about().is_none() {
                wrong.push(format!("{path}: says nothing"));
            }
            for arg in job.get_arguments() {
                if arg.get_help().is_none() {
                    wrong.push(format!("{path}: {} has no help", arg.get_id()));
                }
            }
            let jobs: Vec<&Command> = job
                .get_subcommands()
                .filter(|job| job.get_name() != "help")
                .collect();
            let has_example = [job.get_after_help(), job.get_after_long_help()]
                .into_iter()
                .flatten()
                .any(|help| help.to_string().contains("  auth-agent "));
            if jobs.is_empty() && !has_example && !EXPLAIN_THEMSELVES.contains(&job.get_name()) {
                wrong.push(format!("{path}: no example"));
            }
            for job in jobs {
                walk(job, &path, wrong);
            }
        }
        let mut wrong = Vec::new();
        let mut command = command();
        command.build();
        walk(&command, "", &mut wrong);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// An example that is not taken as it stands teaches nothing.
    #[test]
    fn every_example_is_taken_by_the_program() {
        fn examples(job: &Command, found: &mut Vec<String>) {
            let help = job
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let lines = help.replace("\\\n", "");
            let lines = lines
                .lines()
                .filter(|line| line.starts_with("  auth-agent "));
            found.extend(lines.map(str::to_owned));
            for job in job.get_subcommands() {
                examples(job, found);
            }
        }
        let mut found = Vec::new();
        examples(&command(), &mut found);
        assert!(found.len() > 25, "{found:?}");
        for line in found {
            let plain = line.split(" > ").next().unwrap_or_default().trim();
            let parsed = command().try_get_matches_from(words(plain));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    /// Words as a shell splits them, single quotes and all.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line
            .replace("<address of the page>", "req_1")
            .replace("<agent id>", "x")
            .replace("<client id>", "x")
            .replace("$(date +%F)", "x")
            .chars()
        {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
