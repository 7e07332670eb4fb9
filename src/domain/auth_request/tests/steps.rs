//! What may happen in a story that nobody wrote, and how often.

use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    sample::Index,
};

use super::harness::{
    AGENT, CLIENT, DAY, MINUTE, OTHER_CLIENT, OTHER_OWNER, OWNER, REDIRECT_URI, RIGHT, SIBLING,
    STRANGER, WRONG,
};
use crate::domain::{AgentId, Binding, ClientId, OwnerId};

/// What may happen. An [`Index`] picks one of the codes or tokens issued so far.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Authenticate(AgentId, Option<Binding>, Option<&'static str>),
    Reissue,
    Redeem(Index, ClientId, &'static str, Option<&'static str>),
    Refresh(Index, ClientId, Option<&'static str>),
    RevokeAccessToken(Index),
    RevokeGrant,
    SuspendAgent(AgentId),
    ReinstateAgent(AgentId),
    SuspendOwner(OwnerId),
    ReinstateOwner(OwnerId),
    Wait(i64),
}

fn agent() -> impl Strategy<Value = AgentId> {
    prop_oneof![3 => Just(AGENT), 1 => Just(SIBLING), 1 => Just(STRANGER)]
}

fn owner() -> impl Strategy<Value = OwnerId> {
    prop_oneof![Just(OWNER), Just(OTHER_OWNER)]
}

fn client() -> impl Strategy<Value = ClientId> {
    prop_oneof![5 => Just(CLIENT), 1 => Just(OTHER_CLIENT)]
}

fn binding() -> impl Strategy<Value = Option<Binding>> {
    prop_oneof![
        4 => Just(Some(Binding::Browser)),
        1 => Just(Some(Binding::Address)),
        1 => Just(Some(Binding::None)),
        1 => Just(None),
    ]
}

/// Any step, the telling ones more often.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let origin = prop_oneof![
        3 => Just(None),
        1 => Just(Some("https://profilio.example")),
        1 => Just(Some("https://other.example")),
    ];
    let verifier = prop_oneof![4 => Just(RIGHT), 1 => Just(WRONG)];
    let redirect_uri = prop_oneof![
        2 => Just(Some(REDIRECT_URI)),
        2 => Just(None),
        1 => Just(Some("https://profilio.example/other")),
    ];
    let scopes = prop_oneof![
        4 => Just(None),
        1 => Just(Some("openid")),
        1 => Just(Some("openid profile email")),
    ];
    let pause = prop_oneof![
        6 => 0..5_i64,
        3 => Just(10),
        3 => Just(MINUTE),
        1 => Just(10 * MINUTE),
        1 => Just(29 * DAY),
        1 => Just(30 * DAY),
    ];
    prop_oneof![
        4 => (agent(), binding(), origin).prop_map(|(a, b, o)| Step::Authenticate(a, b, o)),
        2 => Just(Step::Reissue),
        5 => (any::<Index>(), client(), verifier, redirect_uri)
            .prop_map(|(i, c, v, u)| Step::Redeem(i, c, v, u)),
        8 => (any::<Index>(), client(), scopes).prop_map(|(i, c, s)| Step::Refresh(i, c, s)),
        2 => any::<Index>().prop_map(Step::RevokeAccessToken),
        1 => prop_oneof![1 => Just(Step::RevokeGrant), 3 => Just(Step::Reissue)],
        1 => agent().prop_map(Step::SuspendAgent),
        1 => agent().prop_map(Step::ReinstateAgent),
        1 => prop_oneof![
            owner().prop_map(Step::SuspendOwner),
            owner().prop_map(Step::ReinstateOwner),
            Just(Step::Reissue),
        ],
        6 => pause.prop_map(Step::Wait),
    ]
}
