//! `config` and the help of the program itself.

use std::fs;

use crate::support::{process::completed, server::program};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_shown_with_where_they_come_from_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let job = |args: &[&str]| {
        let mut command = program();
        command
            .current_dir(folder.path())
            .args(args)
            .env(
                "AUTH_AGENT_DATABASE_URL",
                "postgres://app:hush@db.example/app",
            )
            .env("AUTH_AGENT_ADMIN_KEY", "0123456789abcdef0123456789abcdef");
        command
    };
    fs::write(
        folder.path().join("auth-agent.toml"),
        "listen = \"127.0.0.1:4000\"\n",
    )
    .unwrap();
    let show = ["config", "show", "--code-lifetime", "30"];
    let json = completed(job(&show).arg("--json")).await.told();
    let from = |name: &str| {
        let settings = json["settings"].as_array().unwrap();
        let found = settings.iter().find(|setting| setting["name"] == name);
        let found = found.unwrap_or_else(|| panic!("no {name}"));
        (
            found["value"].as_str().map(str::to_owned),
            found["from"].as_str().unwrap(),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(from("listen"), (some("127.0.0.1:4000"), "file"));
    assert_eq!(from("code-lifetime"), (some("30"), "flag"));
    assert_eq!(
        from("database-url"),
        (some("postgres://app:***@db.example/app"), "environment")
    );
    assert_eq!(from("request-lifetime"), (some("600"), "default"));
    assert_eq!(
        (&json["keys"][0]["set"], &json["keys"][1]["set"]),
        (&true.into(), &false.into())
    );
    let lines = completed(&mut job(&show)).await;
    for text in [lines.said(), &json.to_string()] {
        assert!(
            !text.contains("hush") && !text.contains("0123456789abcdef"),
            "{text}"
        );
    }

    // As `serve` would say, and nothing is made.
    let check = completed(&mut job(&["config", "check"])).await;
    assert!(
        check
            .complaint(2)
            .starts_with("AUTH_AGENT_MASTER_KEY is required")
    );
    let check = ["config", "check", "--database-url", "sqlite://x.db"];
    completed(&mut job(&check)).await.said();
    let check = completed(&mut job(&["config", "check", "--log", "=x=y"])).await;
    assert!(check.complaint(2).contains("--log"));
    let sudden = [
        "config",
        "check",
        "--database-url",
        "sqlite://x.db",
        "--key-publish-ahead",
        "60",
    ];
    let check = completed(&mut job(&sudden)).await;
    let warned = "Warning: --key-publish-ahead 60 is less than 300 seconds";
    assert_eq!(check.said().matches(warned).count(), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_holds_every_setting_of_serve_and_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let job = |args: &[&str]| {
        let mut command = program();
        command.current_dir(folder.path()).args(args);
        command
    };
    let example = completed(&mut job(&["config", "example"])).await;
    let example = example.said().to_owned();
    let help = completed(&mut job(&["serve", "--help"])).await;
    let mut settings = 0;
    for line in help.said().lines() {
        let Some(flag) = line.trim().strip_prefix("--") else {
            continue;
        };
        let name = flag.split(' ').next().unwrap();
        // What one start alone may be told is no setting.
        if !["config", "json", "help", "new-database"].contains(&name) {
            settings += 1;
            assert!(example.contains(&format!("\n#{name} = ")), "{name}");
        }
    }
    assert!(settings > 15, "{settings}");
    fs::write(folder.path().join("auth-agent.toml"), example).unwrap();
    completed(&mut job(&["config", "check"])).await.said();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_groups_the_jobs_and_shells_complete_them() {
    for args in [&["help"][..], &["--help"]] {
        let help = completed(program().args(args)).await;
        let help = help.said();
        for part in [
            "Administer it:",
            "  admin-key ",
            "First steps",
            "auth-agent sign-in <",
        ] {
            assert!(help.contains(part), "{part}:\n{help}");
        }
        assert!(!help.contains('{'), "{help}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = completed(program().args(["completions", shell])).await;
        assert!(script.said().contains("rotate-secret"), "{shell}");
    }
}
