//! Administration: who comes in, what is made, shown, stopped and recorded.

mod agents;
mod audit_log;
mod changes;
mod clients;
mod ends;
mod entry;
mod lists;
mod reading;
mod rotation;
mod tail;
