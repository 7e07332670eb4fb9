//! What is alike for everything that is administered: listing, showing, ending, a new secret.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure, Output,
    admin::Admin,
    ask::{self, Consent},
    made::{Made, secret_file},
    output::one_line,
    server::ServerChoice,
    table,
};

/// A kind of thing, as the API has it.
#[derive(Debug)]
pub(crate) struct Kind {
    /// What one is called.
    pub(crate) word: &'static str,
    /// Its job on the command line.
    pub(crate) job: &'static str,
    /// What its ids begin with.
    pub(crate) prefix: &'static str,
    /// Where all of them stand.
    pub(crate) path: &'static str,
    /// The field with its id, which also picks its sign-ins out of the list of tokens.
    pub(crate) id: &'static str,
    /// The field with its name.
    pub(crate) name: &'static str,
    /// Whether sign-ins hang on it.
    pub(crate) has_sign_ins: bool,
    /// The field with a secret that is shown once.
    pub(crate) secret: &'static str,
    /// The columns of a list: heading and field.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    /// How one is looked at, for whoever gave an id of the wrong kind.
    pub(crate) look: &'static str,
}

/// Every kind, so that an id that is of another than the one asked for can be named.
const KINDS: [&Kind; 5] = [
    &super::client::KIND,
    &super::agent::KIND,
    &super::owner::KIND,
    &super::token::KIND,
    &super::admin_key::KIND,
];

/// A job on one thing that changes nothing, or takes nothing away.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    server: ServerChoice,
}

/// A job that ends something.
#[derive(Debug, Args)]
pub(crate) struct Ending {
    /// Its id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: ServerChoice,
}

/// Which part of a list.
#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// Show so many at most
    #[arg(
        long, value_name = "NUMBER", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "all"
    )]
    limit: u32,
    /// Show all of them
    #[arg(long)]
    all: bool,
    /// Go on where an earlier list ended: the value of its `next`
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    #[command(flatten)]
    server: ServerChoice,
}

/// A new secret.
#[derive(Debug, Args)]
pub(crate) struct RotateSecret {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// Seconds that the former secret stays valid beside the new one, at most 30 days
    #[arg(
        long, value_name = "SECONDS", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=2_592_000)
    )]
    grace: u32,
    /// Write the secret into this new file, mode 0600, instead of showing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerChoice,
}

impl Kind {
    /// The path of one thing. An id that is of another kind is named as such; what cannot be an id is
    /// never made part of a path.
    pub(crate) fn at(&self, id: &str) -> Result<String, Failure> {
        let other = KINDS
            .into_iter()
            .find(|kind| kind.prefix != self.prefix && id.starts_with(kind.prefix));
        if let Some(other) = other {
            return Err(Failure::usage(format!(
                "{} is {}, not {}: try `auth-agent {}`",
                one_line(id),
                other.with_article(),
                self.with_article(),
                other.look
            )));
        }
        let plain = id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain || !id.starts_with(self.prefix) {
            return Err(Failure::usage(format!(
                "{} is no id of {}, which begins with {}: `auth-agent {} list` shows them",
                one_line(id),
                self.with_article(),
                self.prefix,
                self.job
            )));
        }
        Ok(format!("{}/{id}", self.path))
    }

    fn with_article(&self) -> String {
        let article = if self.word.starts_with(['a', 'o']) {
            "an"
        } else {
            "a"
        };
        format!("{article} {}", self.word)
    }

    /// What is asked before something ends, when somebody is to be asked.
    async fn ask(
        &self,
        admin: &Admin,
        path: &str,
        id: &str,
        verb: &str,
        and: &str,
    ) -> Result<(), Failure> {
        let (word, name) = (self.word, self.name);
        // A sign-in has no name, and nothing that hangs on it but itself.
        let question = if name.is_empty() {
            format!("{verb} {word} {id}?")
        } else {
            let thing = admin.get(path).await?;
            let name = thing[name].as_str().map(one_line).unwrap_or_default();
            let sign_ins = if self.has_sign_ins {
                sign_ins(admin, self.id, id).await
            } else {
                String::new()
            };
            format!("{verb} {word} {name} ({id})?{sign_ins}")
        };
        ask::confirmed(&format!("{question} {and}"))
    }
}

/// What a question says of the sign-ins that end; nothing when that cannot be found out.
async fn sign_ins(admin: &Admin, field: &'static str, id: &str) -> String {
    const COUNTED: usize = 500;
    let query = [(field, id.to_owned())];
    let path = super::token::KIND.path;
    let Ok(page) = admin.list(path, &query, None, Some(COUNTED)).await else {
        return String::new();
    };
    match (page.items.len(), page.next) {
        (_, Some(_)) => format!(" Its more than {COUNTED} sign-ins end."),
        (0, None) => " It has no sign-ins.".to_owned(),
        (1, None) => " Its 1 sign-in ends.".to_owned(),
        (many, None) => format!(" Its {many} sign-ins end."),
    }
}

/// Shows a list.
pub(crate) async fn list(
    kind: &Kind,
    listing: Listing,
    query: &[(&str, String)],
    output: Output,
) -> Result<(), Failure> {
    let most = (!listing.all).then(|| usize::try_from(listing.limit).unwrap_or(usize::MAX));
    let admin = Admin::open(listing.server).await?;
    let page = admin
        .list(kind.path, query, listing.after.as_deref(), most)
        .await;
    admin.close().await;
    let page = page?;
    let (headings, names): (Vec<&str>, Vec<&str>) = kind.columns.iter().copied().unzip();
    let row = |item: &Value| names.iter().map(|name| table::text(&item[*name])).collect();
    let rows: Vec<Vec<String>> = page.items.iter().map(row).collect();
    if rows.is_empty() {
        output.line(format!("There is no {}.", kind.word));
    } else {
        for line in table::lines(&headings, &rows) {
            output.line(line);
        }
    }
    if let Some(next) = &page.next {
        output.hint(&format!(
            "there are more: --all shows them, or --after {next}"
        ));
    }
    output.json(&json!({ "items": page.items, "next": page.next }));
    Ok(())
}

/// Shows one thing.
pub(crate) async fn show(kind: &Kind, one: One, output: Output) -> Result<(), Failure> {
    let path = kind.at(&one.id)?;
    let admin = Admin::open(one.server).await?;
    let answer = admin.get(&path).await;
    admin.close().await;
    tell(kind, &answer?, output);
    Ok(())
}

/// A thing as it is, for people or for programs.
pub(crate) fn tell(kind: &Kind, thing: &Value, output: Output) {
    output.json(thing);
    table::fields(thing, &[kind.id, kind.name, "status"], output);
}

/// Changes what is given.
pub(crate) async fn update(
    kind: &Kind,
    id: &str,
    changes: Value,
    server: ServerChoice,
    output: Output,
) -> Result<(), Failure> {
    let path = kind.at(id)?;
    if changes.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Failure::usage(format!(
            "nothing to change: `auth-agent {} update --help` lists what can be",
            kind.job
        )));
    }
    let admin = Admin::open(server).await?;
    let answer = admin.put(&path, &changes).await;
    admin.close().await;
    tell(kind, &answer?, output);
    Ok(())
}

/// Ends something for good. The API answers with nothing, and so do we to programs: `{}`.
pub(crate) async fn delete(
    kind: &Kind,
    verb: &str,
    ending: Ending,
    and: &str,
    output: Output,
) -> Result<(), Failure> {
    delete_noting(kind, verb, ending, and, async |_| None, output).await
}

/// The same, with a note for whoever is asked, and once it is done.
pub(crate) async fn delete_noting(
    kind: &Kind,
    verb: &str,
    ending: Ending,
    and: &str,
    note: impl AsyncFnOnce(&Admin) -> Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let path = kind.at(&ending.id)?;
    let consent = Consent::of(ending.yes)?;
    let admin = Admin::open(ending.server).await?;
    let done = async {
        let note = note(&admin).await;
        if consent == Consent::Ask {
            let and = [Some(and), note.as_deref()].map(Option::unwrap_or_default);
            kind.ask(&admin, &path, &ending.id, verb, and.join(" ").trim_end())
                .await?;
        }
        admin.delete(&path).await?;
        Ok::<_, Failure>(note)
    };
    let done = done.await;
    admin.close().await;
    if let Some(note) = done? {
        output.hint(&note);
    }
    output.json(&json!({}));
    output.line(format!("{verb}d: {} {}.", kind.word, ending.id));
    Ok(())
}

/// The kill switch.
pub(crate) async fn suspend(kind: &Kind, ending: Ending, output: Output) -> Result<(), Failure> {
    let path = kind.at(&ending.id)?;
    let consent = Consent::of(ending.yes)?;
    let admin = Admin::open(ending.server).await?;
    let done = async {
        if consent == Consent::Ask {
            let and = "Reinstating revives none.";
            kind.ask(&admin, &path, &ending.id, "Suspend", and).await?;
        }
        admin.post(&format!("{path}/suspend"), &json!({})).await
    };
    let done = done.await;
    admin.close().await;
    output.json(&done?);
    output.line(format!(
        "Suspended: {} {id}. What was signed in is dead. `auth-agent {} reinstate {id}` lets it sign in anew.",
        kind.word,
        kind.job,
        id = ending.id
    ));
    Ok(())
}

/// The way back from the kill switch.
pub(crate) async fn reinstate(kind: &Kind, one: One, output: Output) -> Result<(), Failure> {
    let path = kind.at(&one.id)?;
    let admin = Admin::open(one.server).await?;
    let done = admin.post(&format!("{path}/reinstate"), &json!({})).await;
    admin.close().await;
    output.json(&done?);
    output.line(format!(
        "Reinstated: {} {}. It may sign in anew; what was dead stays dead.",
        kind.word, one.id
    ));
    Ok(())
}

/// Gives a new secret; `next` is what to do with it.
pub(crate) async fn rotate_secret(
    kind: &Kind,
    rotate: RotateSecret,
    next: &str,
    output: Output,
) -> Result<(), Failure> {
    let path = kind.at(&rotate.id)?;
    let file = secret_file(rotate.secret_file.as_deref())?;
    let body = json!({ "grace_seconds": rotate.grace });
    let admin = Admin::open(rotate.server).await?;
    let answer = admin.post(&format!("{path}/rotate-secret"), &body).await;
    admin.close().await;
    let made = Made::keep(answer?, kind.secret, file, rotate.secret_file)?;
    output.json(&made.answer);
    output.line(format!("A new secret for {} {}:", kind.word, rotate.id));
    made.tell_secret(&kind.secret.replace('_', " "), output)?;
    output.line(match made.answer["previous_secret_expires_at"].as_str() {
        Some(until) => format!(
            "The former one stays valid until {}. {next}",
            one_line(until)
        ),
        None => format!("The former one is refused from now on. {next}"),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_kind_is_named_as_such() {
        let told = |kind: &Kind, id: &str| kind.at(id).unwrap_err().message().to_owned();
        let client = &super::super::client::KIND;
        assert_eq!(
            told(client, "agent_1"),
            "agent_1 is an agent, not a client: try `auth-agent agent show`"
        );
        assert!(told(client, "admin_key_1").contains("is an admin key, not a client"));
        assert!(told(&super::super::token::KIND, "owner_1").contains("is an owner, not a sign-in"));
        for odd in ["", "Profilio", "client_1/../../agents", "client_1?x"] {
            assert!(
                told(client, odd).contains("`auth-agent client list`"),
                "{odd}"
            );
        }
        assert_eq!(
            client.at("client_1").unwrap(),
            "/api/admin/clients/client_1"
        );
    }
}
