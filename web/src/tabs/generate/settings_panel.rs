//! The settings: one line that opens into labelled controls.

use glassformer_engine::protocol::GenerateSettings;
use leptos::html::Input;
use leptos::prelude::*;

use crate::components::number::show_number;
use crate::page::Page;
use crate::settings::{self, SETTINGS, Setting};

/// The line and what is behind it.
#[component]
pub fn SettingsPanel() -> impl IntoView {
    let page: Page = expect_context();
    let values = page.settings;
    let changed = move || values.with(|values| *values != GenerateSettings::default());
    view! {
        <details class="settings" data-testid="generate-settings">
            <summary>
                <span class="settings-label">"Settings"</span>
                <span class="settings-line" data-testid="generate-settings-line">
                    {move || values.with(settings::in_a_line)}
                </span>
            </summary>
            <div class="controls">
                {SETTINGS.iter().map(|setting| view! { <Number setting values/> }).collect_view()}
                <StopStrings values/>
            </div>
            <button
                type="button"
                class="quiet"
                hidden=move || !changed()
                on:click=move |_| values.set(GenerateSettings::default())
            >
                "Back to the defaults"
            </button>
        </details>
    }
}

/// One number.
#[component]
fn Number(setting: &'static Setting, values: RwSignal<GenerateSettings>) -> impl IntoView {
    // What is typed may be no number yet; then it stays in the field and the value stays as it was.
    let wrong = RwSignal::new(None::<String>);
    let id = format!("setting-{}", setting.key);
    let explains = format!("{id}-explains");
    let write = move |text: String| {
        let mut changed = values.get_untracked();
        match setting.write(&mut changed, &text) {
            Ok(()) => {
                wrong.set(None);
                if changed != values.get_untracked() {
                    values.set(changed);
                }
            }
            Err(expected) => wrong.set(Some(expected)),
        }
    };
    let current = Memo::new(move |_| values.with(|values| setting.read(values)));
    let field = NodeRef::<Input>::new();
    show_number(field, current.into());
    let draw = move |_| write(((js_sys::Math::random() * 1e6) as u32).to_string());
    view! {
        <div class="control">
            <label for=id.clone()>{setting.label}</label>
            <div class="control-row">
                <input
                    id=id
                    type="number"
                    inputmode="decimal"
                    min=setting.min
                    max=setting.max
                    step=setting.step
                    data-testid=format!("setting-{}", setting.key)
                    aria-describedby=explains.clone()
                    aria-invalid=move || wrong.with(Option::is_some).to_string()
                    node_ref=field
                    on:input:target=move |event| write(event.target().value())
                    on:blur:target=move |event| {
                        wrong.set(None);
                        event.target().set_value(&current.get_untracked());
                    }
                />
                {(setting.key == "seed").then(|| view! {
                    <button type="button" class="quiet" data-testid="new-seed" on:click=draw>"New seed"</button>
                })}
            </div>
            <small id=explains>
                {move || match wrong.get() {
                    Some(expected) => view! { <em>{format!("Needs {expected}; {} stays in use.", current.get())}</em> }.into_any(),
                    None => setting.explains.into_any(),
                }}
            </small>
        </div>
    }
}

/// The stop strings, one a line.
#[component]
fn StopStrings(values: RwSignal<GenerateSettings>) -> impl IntoView {
    let current = Memo::new(move |_| values.with(|values| values.stop.clone()));
    // Rewriting the field while it is typed in would swallow an empty last line.
    let typed = RwSignal::new(settings::stop_to_lines(&current.get_untracked()));
    Effect::new(move |_| {
        let stop = current.get();
        if settings::stop_from_lines(&typed.get_untracked()) != stop {
            typed.set(settings::stop_to_lines(&stop));
        }
    });
    let write = move |lines: String| {
        let stop = settings::stop_from_lines(&lines);
        typed.set(lines);
        values.update(|values| values.stop = stop);
    };
    view! {
        <div class="control">
            <label for="setting-stop">"Stop strings"</label>
            <textarea
                id="setting-stop"
                rows="2"
                spellcheck="false"
                data-testid="setting-stop"
                aria-describedby="setting-stop-explains"
                prop:value=typed
                on:input:target=move |event| write(event.target().value())
            ></textarea>
            <small id="setting-stop-explains">
                "Writing ends before the first of these; one per line, \\n stands for a line break."
            </small>
        </div>
    }
}
