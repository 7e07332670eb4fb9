//! The page that shows the description of the server's surface (an OpenAPI document): endpoints by
//! group, what they take and answer, and the schemas. It needs no script.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{asset, layout::document as whole};

/// The methods in the order of the page.
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// A method of a path.
struct Operation<'a> {
    method: &'static str,
    path: &'a str,
    told: &'a Value,
}

impl Operation<'_> {
    fn id(&self) -> &str {
        text(self.told, "operationId")
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn operations<'a>(document: &'a Value, tag: &str) -> Vec<Operation<'a>> {
    let mut found = Vec::new();
    for (path, methods) in members(&document["paths"]) {
        for method in METHODS {
            let told = &methods[method];
            if items(&told["tags"]).any(|name| name == tag) {
                found.push(Operation { method, path, told });
            }
        }
    }
    found
}

/// Text with `code` in it, and paragraphs.
fn prose(text: &str) -> Markup {
    html! {
        @for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
            p { (line(paragraph)) }
        }
    }
}

fn line(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The name at the end of a reference within the document.
fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or_default()
}

/// What a value may be, in a few words.
fn kind(schema: &Value) -> Markup {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = name_of(reference);
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    if let Some(values) = schema["enum"].as_array() {
        return html! {
            @for (index, value) in values.iter().enumerate() {
                @if index > 0 { " | " }
                code { (json(value)) }
            }
        };
    }
    if !schema["const"].is_null() {
        return html! { code { (json(&schema["const"])) } };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        several => items(several).filter_map(Value::as_str).collect(),
    };
    html! {
        @for (index, name) in types.iter().enumerate() {
            @if index > 0 { " | " }
            (name)
            @if *name == "array" && !schema["items"].is_null() { " of " (kind(&schema["items"])) }
        }
        @if types.is_empty() { "one of several" }
        (bounds(schema))
    }
}

fn bounds(schema: &Value) -> Markup {
    let span = |least: &str, most: &str, unit: &str| {
        let (least, most) = (schema[least].as_u64(), schema[most].as_u64());
        let range = match (least, most) {
            (None | Some(0), Some(most)) => format!("at most {most}"),
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, None) => return html! {},
        };
        html! { ", " (range) (unit) }
    };
    html! {
        @if let Some(format) = schema["format"].as_str() { ", " (format) }
        (span("minLength", "maxLength", " characters"))
        (span("minimum", "maximum", ""))
        (span("minItems", "maxItems", " items"))
        @if let Some(pattern) = schema["pattern"].as_str() { ", like " code { (pattern) } }
        @if !schema["default"].is_null() { ", default " code { (json(&schema["default"])) } }
    }
}

/// A value as short JSON; a text without its quotes.
fn json(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn field(name: &str, schema: &Value, required: bool, description: &str) -> Markup {
    html! {
        li {
            code.name { (name) } " " span.kind { (kind(schema)) }
            @if required { " " span.required { "required" } }
            @if !description.is_empty() { span.says { (line(description)) } }
            (inside(schema))
        }
    }
}

/// The members of an object, of the items of a list, or of what may be one of several.
fn inside(schema: &Value) -> Markup {
    let required = |name: &str| items(&schema["required"]).any(|required| required == name);
    html! {
        @if schema["properties"].is_object() {
            ul.fields {
                @for (name, member) in members(&schema["properties"]) {
                    (field(name, member, required(name), text(member, "description")))
                }
            }
        }
        @for one in items(&schema["oneOf"]) {
            p.one { (line(text(one, "description"))) }
            (inside(one))
        }
        @if schema["items"].is_object() { (inside(&schema["items"])) }
    }
}

fn example(value: &Value) -> Markup {
    html! {
        @if !value.is_null() {
            details {
                summary { "Example" }
                pre { (serde_json::to_string_pretty(value).unwrap_or_default()) }
            }
        }
    }
}

fn access(operation: &Value) -> Markup {
    html! {
        @if operation["security"].is_array() {
            p.access {
                "Access: "
                @for (index, way) in items(&operation["security"]).enumerate() {
                    @if index > 0 { ", or " }
                    @for (scheme, _) in members(way) { a href={ "#scheme-" (scheme) } { (scheme) } }
                    @if way.as_object().is_some_and(Map::is_empty) { "without" }
                }
            }
        }
    }
}

fn parameters(operation: &Value) -> Markup {
    html! {
        @if operation["parameters"].is_array() {
            h4 { "Parameters" }
            ul.fields {
                @for parameter in items(&operation["parameters"]) {
                    li {
                        code.name { (text(parameter, "name")) } " "
                        span.kind { "in " (text(parameter, "in")) ", " (kind(&parameter["schema"])) }
                        @if parameter["required"] == true { " " span.required { "required" } }
                        span.says { (line(text(parameter, "description"))) }
                    }
                }
            }
        }
    }
}

fn body(operation: &Value) -> Markup {
    let body = &operation["requestBody"];
    let content: Vec<_> = members(&body["content"]).collect();
    html! {
        @if let Some((_, first)) = content.first() {
            h4 { "Body" }
            p {
                @for (index, (media_type, _)) in content.iter().enumerate() {
                    @if index > 0 { " or " }
                    code { (media_type) }
                }
                @if body["required"] != true { ", or none" }
                ": " (kind(&first["schema"]))
            }
            (inside(&first["schema"]))
            (example(&first["example"]))
        }
    }
}

fn answers(operation: &Value) -> Markup {
    html! {
        h4 { "Answers" }
        ul.answers {
            @for (status, answer) in members(&operation["responses"]) {
                li {
                    code.status.refused[!status.starts_with(['2', '3'])] { (status) }
                    div {
                        p { (line(text(answer, "description"))) }
                        @for (media_type, content) in members(&answer["content"]) {
                            p.kind {
                                code { (media_type) }
                                @if status.starts_with('2') { ": " (kind(&content["schema"])) }
                            }
                            @if status.starts_with('2') {
                                (inside(&content["schema"]))
                                (example(&content["example"]))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shown(operation: &Operation<'_>) -> Markup {
    let told = operation.told;
    html! {
        article id=(operation.id()) {
            h3 {
                span.method.{ (operation.method) } { (operation.method.to_uppercase()) }
                " " code { (operation.path) }
            }
            p.summary { (text(told, "summary")) }
            (prose(text(told, "description")))
            (access(told))
            (parameters(told))
            (body(told))
            (answers(told))
        }
    }
}

fn contents(document: &Value) -> Markup {
    html! {
        nav aria-label="Contents" {
            @for tag in items(&document["tags"]) {
                p { (text(tag, "name")) }
                ul {
                    @for operation in operations(document, text(tag, "name")) {
                        li { a href={ "#" (operation.id()) } { (text(operation.told, "summary")) } }
                    }
                }
            }
            p { a href="#access" { "Access" } }
            p { a href="#schemas" { "Schemas" } }
        }
    }
}

/// The page. `base_path` is the path of the issuer, "" or "/auth".
#[must_use]
pub fn openapi_page(base_path: &str, document: &Value) -> Markup {
    let info = &document["info"];
    let head = html! {
        link rel="stylesheet" href=(asset::path(base_path, "openapi.css"));
    };
    let main = html! {
        main.reference.card {
            header {
                h1 { (text(info, "title")) " " span.version { (text(info, "version")) } }
                (prose(text(info, "description")))
                p {
                    "All paths are below " code { (text(&document["servers"][0], "url")) } ". For programs: "
                    a href={ (base_path) "/openapi.json" } { "openapi.json" } " (OpenAPI "
                    (text(document, "openapi")) ")."
                }
            }
            (contents(document))
            div.all {
                @for tag in items(&document["tags"]) {
                    section {
                        h2 { (text(tag, "name")) }
                        (prose(text(tag, "description")))
                        @for operation in operations(document, text(tag, "name")) { (shown(&operation)) }
                    }
                }
                section id="access" {
                    h2 { "Access" }
                    ul.fields {
                        @for (name, scheme) in members(&document["components"]["securitySchemes"]) {
                            li id={ "scheme-" (name) } {
                                code.name { (name) } " "
                                span.kind { (text(scheme, "type")) " " (text(scheme, "scheme")) }
                                span.says { (line(text(scheme, "description"))) }
                            }
                        }
                    }
                }
                section id="schemas" {
                    h2 { "Schemas" }
                    @for (name, schema) in members(&document["components"]["schemas"]) {
                        article id={ "schema-" (name) } {
                            h3 { (name) }
                            (prose(text(schema, "description")))
                            (inside(schema))
                        }
                    }
                }
            }
        }
    };
    whole(base_path, "Auth Agent API", &head, &main)
}
