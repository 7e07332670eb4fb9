use super::*;

fn refused(args: &[&str]) -> String {
    let args: Vec<OsString> = args.iter().map(Into::into).collect();
    match read(&args) {
        Err(Unread::Refused(failure)) => failure.message().to_owned(),
        Err(Unread::Shown(_)) => panic!("help was shown for {args:?}"),
        Ok(cli) => panic!("taken: {cli:?}"),
    }
}

#[test]
fn the_arguments_fit_together() {
    command().debug_assert();
}

#[test]
fn what_is_wrong_with_the_arguments_is_one_line() {
    for (args, part) in [
        (
            &["auth-agent", "serve", "--no-such-flag"][..],
            "unexpected argument '--no-such-flag'",
        ),
        (
            &["auth-agent", "serve", "--listen", "x"],
            "'x' for '--listen",
        ),
        (
            &["auth-agent", "serve", "--issuer", "https://a.example?x=1"],
            "must have no query and no fragment",
        ),
        (
            &["auth-agent", "client", "create", "--name", "x"],
            "--redirect-uri",
        ),
        (
            &["auth-agent", "sign-in", "req_1", "--agent-id", "agent_1"],
            "--model",
        ),
        (&["auth-agent", "demo", "--port", "70000"], "70000"),
    ] {
        let told = refused(args);
        assert!(told.contains(part), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }
}

#[test]
fn no_secret_can_be_given_as_a_flag() {
    for flag in ["--secret", "--agent-secret", "--admin-key", "--master-key"] {
        for job in [&["serve"][..], &["sign-in", "req_1"], &["agent", "create"]] {
            let args = [&["auth-agent"], job, &[flag, "value"]].concat();
            assert!(refused(&args).contains("unexpected argument"), "{args:?}");
        }
    }
}

#[test]
fn every_job_takes_json() {
    let args = ["auth-agent", "demo", "--json"].map(OsString::from);
    assert!(read(&args).is_ok_and(|cli| cli.json));
    let args = ["auth-agent", "--json", "serve"].map(OsString::from);
    assert!(read(&args).is_ok_and(|cli| cli.json));
}
