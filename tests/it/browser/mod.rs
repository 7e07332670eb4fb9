//! What a person sees: the real program, a real Chromium, no mock in between.

mod demo;
mod driver;
mod proxy;
mod waiting_page;
mod website;
