//! What happens, as it is appended to the log: one short line each.

use serde_json::{Value, json};

use super::stage::{MODEL, Stage};
use crate::cli::output::{Output, one_line, quoted, this_program};

/// Shows events, and for a page that waits, what to paste.
pub(super) struct Feed<'a> {
    stage: &'a Stage,
    output: Output,
    /// Whether a person plays the agent.
    tells_what_to_paste: bool,
}

impl<'a> Feed<'a> {
    pub(super) const fn new(stage: &'a Stage, output: Output, tells_what_to_paste: bool) -> Self {
        Self {
            stage,
            output,
            tells_what_to_paste,
        }
    }

    /// Shows an event of a sign-in; others are not what the demo is about.
    pub(super) fn show(&mut self, event: &Value) {
        let Some((request, type_name, line)) = line(event) else {
            return;
        };
        let waits = type_name == "Created" && self.tells_what_to_paste;
        let paste = waits.then(|| self.paste(request));
        let mut told = json!({
            "event": type_name, "position": event["position"], "request_id": request,
        });
        if let Some(paste) = &paste {
            told["sign_in"] = json!(paste);
        }
        self.output.json(&told);
        self.output.line(line);
        if let Some(paste) = paste {
            self.output
                .line("\nA page waits. Paste this into a second terminal:\n");
            self.output.line(paste);
            self.output.line("");
        }
    }

    /// The one line that acts as the agent.
    fn paste(&self, request: &str) -> String {
        let agent = &self.stage.agent;
        format!(
            "{} sign-in {} --server {} --agent-id {} --secret-file {} --model {MODEL}",
            this_program(),
            quoted(request),
            self.stage.server.issuer(),
            agent.id,
            quoted(&agent.secret_file.to_string_lossy()),
        )
    }
}

/// The request, the type, and the line for a person, if the event is of a sign-in.
fn line(event: &Value) -> Option<(&str, &str, String)> {
    let request = event["stream"].as_str()?.strip_prefix("auth_request/")?;
    let type_name = event["type"].as_str()?;
    let position = event["position"].as_u64()?;
    let line = one_line(&format!("  event {position:>3}  {type_name:<19} {request}"));
    Some((request, type_name, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_s_event_is_one_line_and_others_are_none() {
        let event = json!({"position": 12, "stream": "auth_request/req_1", "type": "CodeRedeemed"});
        let (request, type_name, told) = line(&event).unwrap();
        assert_eq!((request, type_name), ("req_1", "CodeRedeemed"));
        assert_eq!(told, "  event  12  CodeRedeemed        req_1");
        assert!(line(&json!({"position": 1, "stream": "agent/agent_1", "type": "X"})).is_none());
    }
}
