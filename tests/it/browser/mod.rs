//! What a person sees: the real program, a real Chromium, no mock in between.

mod appearance;
mod control;
mod demo;
mod disturbed;
mod driver;
mod examiner;
mod existing_agent;
mod mishaps;
mod proxy;
mod scene;
mod session_swap;
mod tabs;
mod waiting_page;
mod website;
mod weight;
