//! Administration: who comes in, what is made, shown, stopped and recorded.

mod actors;
mod admin_keys;
mod agents;
mod audit_log;
mod changes;
mod clients;
mod ends;
mod entry;
mod grants;
mod lists;
mod owners;
mod reading;
mod rotation;
mod tail;
