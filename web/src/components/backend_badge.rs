//! What computes, how and why, and the switch between the choices.

use glassformer_engine::protocol::{BackendChoice, ModelInfo, PrecisionChoice};
use leptos::prelude::*;

use crate::components::popover::Popover;
use crate::format;
use crate::model::{Model, Status};
use crate::page::Page;

const BACKENDS: [(BackendChoice, &str, &str); 3] = [
    (
        BackendChoice::Auto,
        "Automatic",
        "Both are measured for a moment, and the faster one is taken.",
    ),
    (
        BackendChoice::WebGpu,
        "WebGPU",
        "Compute shaders on the graphics processor.",
    ),
    (
        BackendChoice::Cpu,
        "CPU",
        "WebAssembly with SIMD: several numbers per instruction.",
    ),
];
const PRECISIONS: [(PrecisionChoice, &str, &str); 3] = [
    (
        PrecisionChoice::Auto,
        "Automatic",
        "What the backend does best.",
    ),
    (
        PrecisionChoice::Exact,
        "Exact",
        "32-bit floating point on the unpacked weights: on every backend the same answer.",
    ),
    (
        PrecisionChoice::Fast,
        "Fast",
        "On the CPU, whole-number products on values rounded to 8 bits; on a GPU, 16-bit floating point where it has it.",
    ),
];

/// The badge in the header. Before a model is loaded it names the choice, then the fact.
#[component]
pub fn BackendBadge(
    /// The open tab's.
    model: Model,
) -> impl IntoView {
    let page: Page = expect_context();
    let open = RwSignal::new(false);
    let running = move || match model.status.get() {
        Status::Ready(info) => Some(info),
        _ => None,
    };
    // Before anything runs it is what was chosen, if anything was.
    let backend = move || match running() {
        Some(info) => info.backend,
        None => match model.backend.get() {
            BackendChoice::Auto => "auto".into(),
            BackendChoice::WebGpu => "webgpu".into(),
            BackendChoice::Cpu => "cpu".into(),
        },
    };
    let precision = move || match running() {
        Some(info) => info.precision,
        None => match model.precision.get() {
            PrecisionChoice::Auto => "auto".into(),
            PrecisionChoice::Exact => "exact".into(),
            PrecisionChoice::Fast => "fast".into(),
        },
    };
    let label = move || {
        let device = match backend().as_str() {
            "webgpu" => "WebGPU".to_string(),
            "cpu" => "CPU · SIMD".to_string(),
            "auto" => "Automatic".to_string(),
            other => other.to_string(),
        };
        match precision().as_str() {
            "auto" => device,
            precision => format!("{device} · {precision}"),
        }
    };
    let why = move || match running() {
        Some(info) => info.why,
        None => "Nothing is loaded yet; the choice below takes effect with the next run.".into(),
    };
    let reload = move || running().is_some() && !model.is_ready();
    view! {
        <div
            data-testid="backend-badge"
            data-backend=backend
            data-precision=precision
            data-running=move || running().is_some().to_string()
            data-heap=move || running().map(|info| info.heap_bytes.to_string())
        >
            <Popover
                id="backend-panel"
                label="What computes"
                class="quiet badge"
                open=open
                face=move || view! { <span class="dot" aria-hidden="true"></span><span>{label}</span> }
            >
                <p class="why">{why}</p>
                {move || running().map(|info| view! { <p class="hint" data-testid="backend-facts">{facts(&info)}</p> })}
                <Choices legend="Backend" name="backend" choices=&BACKENDS value=model.backend/>
                <Choices legend="Precision" name="precision" choices=&PRECISIONS value=model.precision/>
                {move || page.debug.get().then(|| view! {
                    <button
                        class="quiet"
                        data-testid="debug-lose-device"
                        on:click=move |_| model.lose_device()
                    >
                        "Lose the GPU"
                    </button>
                })}
                <p class="hint" hidden=move || !reload()>
                    "The next run loads the model again with this choice; your text stays."
                </p>
            </Popover>
        </div>
    }
}

/// What loading cost, for whoever compares backends.
fn facts(info: &ModelInfo) -> String {
    let mut facts = format!(
        "{} model, loaded in {}",
        info.architecture,
        format::seconds(info.load_seconds)
    );
    if info.heap_bytes > 0 {
        facts.push_str(&format!(
            ", engine memory {}",
            format::bytes(info.heap_bytes)
        ));
    }
    facts + "."
}

/// A group of radio buttons, each with its sentence.
#[component]
fn Choices<T>(
    legend: &'static str,
    name: &'static str,
    choices: &'static [(T, &'static str, &'static str)],
    value: RwSignal<T>,
) -> impl IntoView
where
    T: Copy + PartialEq + Send + Sync + 'static,
{
    let options = choices
        .iter()
        .map(|&(choice, label, sentence)| {
            view! {
                <label class="choice">
                    <input
                        type="radio"
                        name=name
                        prop:checked=move || value.get() == choice
                        on:change=move |_| value.set(choice)
                    />
                    <span>
                        <b>{label}</b>
                        <small>{sentence}</small>
                    </span>
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset>
            <legend>{legend}</legend>
            {options}
        </fieldset>
    }
}
