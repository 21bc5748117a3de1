//! Sliders of the lens: other settings for the same logits. They change nothing that was written.

use leptos::prelude::*;

use super::run::Runs;
use crate::page::Page;
use crate::settings::{SETTINGS, Setting};

/// Keys of the settings that can be tried out, with the slider's largest value and its step. The
/// largest grows with what the run used.
const TRIED: [(&str, f64, f64); 4] = [
    ("temperature", 2.0, 0.05),
    ("top_k", 100.0, 1.0),
    ("top_p", 1.0, 0.01),
    ("min_p", 0.5, 0.01),
];

/// The sliders and what to do with them.
#[component]
pub fn WhatIf(runs: Runs) -> impl IntoView {
    let page: Page = expect_context();
    let used = move || {
        runs.asked
            .with(|asked| asked.as_ref().map(|asked| asked.settings.clone()))
    };
    let moved =
        Memo::new(move |_| used().is_some_and(|used| runs.what_if.with(|tried| *tried != used)));
    let sliders = TRIED.iter().filter_map(|(key, max, step)| {
        let setting = SETTINGS.iter().find(|setting| setting.key == *key)?;
        Some(view! { <Slider setting max=*max step=*step runs/> })
    });
    let back = move |_| {
        if let Some(used) = used() {
            runs.what_if.set(used);
        }
    };
    let adopt = move |_| {
        let tried = runs.what_if.get_untracked();
        page.settings.update(|settings| {
            settings.temperature = tried.temperature;
            settings.top_k = tried.top_k;
            settings.top_p = tried.top_p;
            settings.min_p = tried.min_p;
        });
    };
    view! {
        <details
            class="what-if"
            data-testid="lens-what-if"
            open=runs.trying.get_untracked()
            on:toggle:target=move |event| runs.trying.set(event.target().has_attribute("open"))
        >
            <summary>
                "What if"
                <small>"redraws; the text and its branches keep their settings"</small>
            </summary>
            {sliders.collect_view()}
            <div class="what-if-row">
                <button type="button" class="quiet" data-testid="lens-reset" disabled=move || !moved.get() on:click=back>
                    "As it ran"
                </button>
                <button type="button" class="quiet" data-testid="lens-adopt" disabled=move || !moved.get() on:click=adopt>
                    "Use for the next run"
                </button>
            </div>
        </details>
    }
}

#[component]
fn Slider(setting: &'static Setting, max: f64, step: f64, runs: Runs) -> impl IntoView {
    let current = Memo::new(move |_| runs.what_if.with(|tried| setting.read(tried)));
    let number = move || current.get().parse::<f64>().unwrap_or(0.0);
    let largest = move || max.max(number());
    // Top-p has no zero.
    let least = if setting.key == "top_p" { step } else { 0.0 };
    let id = format!("what-if-{}", setting.key);
    let write = move |text: String| {
        let mut tried = runs.what_if.get_untracked();
        // A slider gives nothing but numbers in range.
        if setting.write(&mut tried, &text).is_ok() {
            runs.what_if.set(tried);
        }
    };
    view! {
        <div class="slider">
            <label for=id.clone()>{setting.label}</label>
            <input
                id=id
                type="range"
                min=least
                max=largest
                step=step
                title=setting.explains
                data-testid=format!("lens-{}", setting.key)
                prop:value=current
                on:input:target=move |event| write(event.target().value())
            />
            <output>{move || if setting.key == "top_k" && number() == 0.0 { "all".into() } else { current.get() }}</output>
        </div>
    }
}
