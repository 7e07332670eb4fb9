//! The sign-in, told as *given these facts, when this is asked, then these facts and this answer*.
//!
//! [`harness`] holds the small world that the stories play in, [`facts`] what may have happened in
//! it, [`commands`] what can be asked; [`properties`] lets anything happen ([`steps`])
//! in any order and checks what must hold all the same.

mod authenticate;
mod authenticate_policy;
mod code;
mod commands;
mod cut_off;
mod facts;
mod fold;
mod harness;
mod properties;
mod redeem;
mod refresh;
mod refresh_reuse;
mod revoke;
mod status;
mod steps;
