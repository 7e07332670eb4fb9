//! What a person sees: the real program, a real Chromium, no mock in between.

mod demo;
mod disturbed;
mod driver;
mod proxy;
mod scene;
mod waiting_page;
mod website;
