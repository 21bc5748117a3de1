//! Glassformer's page: mounts the app where `index.html` left room for it.

mod app;
mod components;
mod desk;
mod engine_client;
mod format;
mod fragment;
mod model;
mod page;
mod settings;
mod surprise;
mod tabs;

use leptos::prelude::document;
use wasm_bindgen::JsCast;

fn main() {
    console_error_panic_hook::set_once();
    let Some(place) = document().get_element_by_id("page") else {
        return;
    };
    // What stood there while the page loaded.
    place.set_text_content(None);
    leptos::mount::mount_to(place.unchecked_into(), app::App).forget();
}
