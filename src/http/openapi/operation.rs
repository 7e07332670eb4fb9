//! One operation, told in a table's words: what it takes, what it answers, and with which codes it refuses.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::schema::{Object, object, one_of, text, with_nulls};
use crate::{http::error::status_of, oauth::ErrorCode};

pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const EVENTS: &str = "text/event-stream";

/// How it tells what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Json,
    /// JSON with `"success": false`.
    Agent,
    /// A page for a person.
    Page,
}

#[derive(Default)]
struct Answer {
    said: Vec<String>,
    content: BTreeMap<&'static str, Value>,
    codes: Vec<&'static str>,
    headers: Vec<&'static str>,
}

/// A method of a path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: String,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    security: Vec<Value>,
    parameters: Vec<Value>,
    body: Option<Value>,
    told: Told,
    answers: BTreeMap<u16, Answer>,
}

macro_rules! methods {
    ($($method:ident)+) => {$(
        #[doc = concat!("Begins a ", stringify!($method), ".")]
        pub(super) fn $method(path: &str, id: &'static str, summary: &'static str) -> Operation {
            Operation::new(stringify!($method), path, id, summary)
        }
    )+};
}
methods!(get post put delete);

impl Operation {
    fn new(method: &'static str, path: &str, id: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            id,
            tag: "",
            summary,
            description: "",
            security: Vec::new(),
            parameters: Vec::new(),
            body: None,
            told: Told::Json,
            answers: BTreeMap::new(),
        }
    }

    /// Which group it stands in.
    pub(super) const fn tagged(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// More about it.
    pub(super) const fn says(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// Faults are shown on a page.
    pub(super) const fn on_a_page(mut self) -> Self {
        self.told = Told::Page;
        self
    }

    /// Faults say `"success": false` besides.
    pub(super) const fn answering_an_agent(mut self) -> Self {
        self.told = Told::Agent;
        self
    }

    /// One way of proving who calls; several are alternatives.
    pub(super) fn secured(mut self, scheme: &str) -> Self {
        self.security.push(json!({ scheme: [] }));
        self
    }

    /// Or in a way that no scheme describes, or not at all.
    pub(super) fn or_otherwise(mut self) -> Self {
        self.security.push(json!({}));
        self
    }

    fn parameter(
        mut self,
        (place, name, required): (&str, &str, bool),
        schema: Value,
        description: &str,
    ) -> Self {
        self.parameters.push(json!({
            "in": place, "name": name, "required": required, "schema": schema,
            "description": description,
        }));
        self
    }

    /// The parameter of the path.
    pub(super) fn path(self, name: &str, schema: Value, description: &str) -> Self {
        self.parameter(("path", name, true), schema, description)
    }

    /// A parameter of the query.
    pub(super) fn query(self, name: &str, schema: Value, description: &str) -> Self {
        self.parameter(("query", name, false), schema, description)
    }

    /// One that has to be there.
    pub(super) fn query_with(self, name: &str, schema: Value, description: &str) -> Self {
        self.parameter(("query", name, true), schema, description)
    }

    /// A header that matters.
    pub(super) fn header(self, name: &str, schema: Value, description: &str) -> Self {
        self.parameter(("header", name, false), schema, description)
    }

    /// A body, and what can be wrong with any: its size, its type, that it never comes.
    pub(super) fn takes(
        mut self,
        media_types: &[&str],
        schema: &Value,
        required: bool,
        example: &Value,
    ) -> Self {
        let content: Map<String, Value> = media_types
            .iter()
            .map(|media_type| {
                let content = json!({ "schema": schema, "example": example });
                ((*media_type).to_owned(), content)
            })
            .collect();
        self.body = Some(json!({ "required": required, "content": content }));
        self.refuses(ErrorCode::InvalidRequest, "the body cannot be read, or a value in it does not fit; the description names the one at fault")
            .refuses_as(StatusCode::REQUEST_TIMEOUT, ErrorCode::InvalidRequest, "the body did not arrive in time")
            .refuses(ErrorCode::TooLarge, "the body is larger than this path takes")
            .refuses(ErrorCode::UnsupportedMediaType, "the body is of another type")
    }

    /// Parameters in a form, or as JSON, where null counts as absent.
    pub(super) fn takes_parameters(self, schema: &Value, required: bool, example: &Value) -> Self {
        let mut taking = self.takes(&[FORM, JSON], schema, required, example);
        if let Some(body) = &mut taking.body {
            body["content"][JSON]["schema"] = with_nulls(schema.clone());
        }
        taking
    }

    fn at(&mut self, status: u16) -> &mut Answer {
        self.answers.entry(status).or_default()
    }

    /// An answer without a body.
    pub(super) fn answers(mut self, status: u16, description: &str) -> Self {
        self.at(status).said.push(description.to_owned());
        self
    }

    /// An answer with a body of that type.
    pub(super) fn answers_with(
        mut self,
        status: u16,
        media_type: &'static str,
        schema: Value,
        description: &str,
    ) -> Self {
        let answer = self.at(status);
        if !answer.said.iter().any(|said| said == description) {
            answer.said.push(description.to_owned());
        }
        answer
            .content
            .insert(media_type, json!({ "schema": schema }));
        self
    }

    /// An answer in JSON, with an example.
    pub(super) fn answers_json(
        self,
        status: u16,
        schema: Value,
        description: &str,
        example: Value,
    ) -> Self {
        let mut answering = self.answers_with(status, JSON, schema, description);
        if let Some(content) = answering.at(status).content.get_mut(JSON) {
            content["example"] = example;
        }
        answering
    }

    /// A header that the answer of that status bears.
    pub(super) fn bearing(mut self, status: u16, header: &'static str) -> Self {
        self.at(status).headers.push(header);
        self
    }

    /// A refusal, with the status that its code has.
    pub(super) fn refuses(self, code: ErrorCode, when: &str) -> Self {
        self.refuses_as(status_of(code), code, when)
    }

    /// A refusal with a status of its own.
    pub(super) fn refuses_as(mut self, status: StatusCode, code: ErrorCode, when: &str) -> Self {
        let name = code.as_str();
        let answer = self.at(status.as_u16());
        answer.said.push(format!("`{name}`: {when}."));
        if !answer.codes.contains(&name) {
            answer.codes.push(name);
        }
        let header = match code {
            ErrorCode::InvalidClient
            | ErrorCode::InvalidToken
            | ErrorCode::InsufficientScope
            | ErrorCode::Unauthorized => Some("WWW-Authenticate"),
            ErrorCode::SlowDown | ErrorCode::TemporarilyUnavailable => Some("Retry-After"),
            _ => None,
        };
        if let Some(header) = header
            && !answer.headers.contains(&header)
        {
            answer.headers.push(header);
        }
        self
    }

    /// What every operation can answer that asks the database.
    pub(super) fn asks_the_store(self) -> Self {
        self.refuses(
            ErrorCode::TemporarilyUnavailable,
            "the server cannot do it right now; nothing was lost, try again",
        )
    }

    /// The Operation Object.
    pub(super) fn done(self) -> Value {
        let told = self.told;
        let answers: Map<String, Value> = self
            .answers
            .into_iter()
            .map(|(status, answer)| (status.to_string(), answer.done(told)))
            .collect();
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "responses": answers,
        });
        if !self.description.is_empty() {
            operation["description"] = json!(self.description);
        }
        if !self.security.is_empty() {
            operation["security"] = json!(self.security);
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = json!(self.parameters);
        }
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation
    }
}

impl Answer {
    fn done(mut self, told: Told) -> Value {
        if !self.codes.is_empty() {
            let (media_type, schema) = match told {
                Told::Json => (JSON, refusal(&self.codes).done()),
                Told::Agent => {
                    let success = json!({ "const": false });
                    let told = refusal(&self.codes).must("success", success, "");
                    (JSON, told.done())
                }
                Told::Page => (HTML, text()),
            };
            self.content.insert(media_type, json!({ "schema": schema }));
        }
        let mut headers = Map::new();
        for name in self.headers.into_iter().chain(["X-Request-Id"]) {
            let component = format!("#/components/headers/{name}");
            headers.insert(name.to_owned(), json!({ "$ref": component }));
        }
        let mut answer = json!({ "description": self.said.join(" "), "headers": headers });
        if !self.content.is_empty() {
            answer["content"] = json!(self.content);
        }
        answer
    }
}

/// The body of a refusal with one of these codes.
pub(super) fn refusal(codes: &[&str]) -> Object {
    object().must("error", one_of(codes), "").must(
        "error_description",
        text(),
        "What was wrong and, where it can, what to do.",
    )
}
