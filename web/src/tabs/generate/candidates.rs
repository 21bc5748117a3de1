//! The candidates of a token: what the sampler's steps made of the likeliest, redrawn from kept
//! logits when its settings are moved, and a branch for each.

use std::sync::Arc;

use glassformer_engine::graph::KEPT;
use glassformer_engine::tasks::{Fate, SHOWN, SamplerStep, Stage, Stages, stages};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

use super::cuts::{cut_after, cuts_elsewhere};
use super::run::Runs;
use super::what_if::WhatIf;
use crate::components::lens::{Detail, LensContent};
use crate::components::token_stream::{Kept, Token};
use crate::{format, surprise};

/// A token whose candidates are shown.
#[derive(Clone)]
pub struct Open {
    /// Its place in the text.
    index: usize,
    id: u32,
    text: String,
    /// Its raw logit.
    logit: f32,
    kept: Arc<Kept>,
    /// The tokens before it, prompt included.
    history: Arc<Vec<u32>>,
}

/// Adds the candidates to what the lens says, if the token's logits were kept.
pub fn with_candidates(content: LensContent, token: &Token, runs: Runs) -> LensContent {
    let Some(kept) = token.kept.clone() else {
        return content;
    };
    let index = content.subject.index;
    let logits = &kept.logits;
    let logit = logits.logit(token.id);
    let logit = logit.unwrap_or((f64::from(token.logprob) + logits.log_sum()) as f32);
    let (id, text) = (token.id, token.text.clone());
    let detail = Detail::new(move || {
        let open = Open {
            index,
            id,
            text: text.clone(),
            logit,
            kept: Arc::clone(&kept),
            history: Arc::new(runs.history(index)),
        };
        view! { <Candidates open runs/> }.into_any()
    });
    let bits = surprise::bits(token.logprob);
    LensContent {
        share: None,
        sentence: format!("Surprise {bits:.2} bits. {}", content.sentence),
        detail: Some(detail),
        ..content
    }
}

/// The steps whose probabilities can be put beside the raw ones.
const STEPS: [(&str, &str, SamplerStep); 5] = [
    ("penalty", "penalty", SamplerStep::Penalty),
    ("temperature", "temperature", SamplerStep::Temperature),
    ("top_k", "top-k", SamplerStep::TopK),
    ("top_p", "top-p", SamplerStep::TopP),
    ("min_p", "all steps", SamplerStep::MinP),
];

fn name_of(step: SamplerStep) -> &'static str {
    match step {
        SamplerStep::Penalty => "the repetition penalty",
        SamplerStep::Temperature => "temperature 0",
        SamplerStep::TopK => "top-k",
        SamplerStep::TopP => "top-p",
        SamplerStep::MinP => "min-p",
    }
}

/// The part of the lens that knows the sampler.
#[component]
fn Candidates(open: Open, runs: Runs) -> impl IntoView {
    let step = RwSignal::new(SamplerStep::MinP);
    let open = StoredValue::new(open);
    let told = Memo::new(move |_| {
        open.with_value(|open| {
            let chosen = Some((open.id, open.logit));
            let settings = runs.what_if.get();
            stages(&open.kept.logits, &settings, &open.history, chosen).ok()
        })
    });
    let options = STEPS
        .iter()
        .map(|(value, label, _)| {
            view! { <option value=*value selected=*value == "min_p">{*label}</option> }
        })
        .collect_view();
    let choose = move |value: String| {
        if let Some((.., found)) = STEPS.iter().find(|(name, ..)| *name == value) {
            step.set(*found);
        }
    };
    view! {
        <div class="candidates" data-testid="lens-candidates">
            <WhatIf runs/>
            <label class="candidates-step">
                "Beside raw: after "
                <select data-testid="lens-step" on:change:target=move |event| choose(event.target().value())>
                    {options}
                </select>
            </label>
            {move || told.get().map(|told| view! { <Table told open step=step.get() runs/> })}
            <p class="hint" data-testid="lens-kept-note">
                {format!("Redrawn from the {KEPT} likeliest tokens' logits and sums over the others, not from the whole vocabulary.")}
            </p>
        </div>
    }
}

/// The candidates and the cuts between them.
#[component]
fn Table(told: Stages, open: StoredValue<Open>, step: SamplerStep, runs: Runs) -> impl IntoView {
    let Open {
        index,
        id: chosen,
        text: chosen_text,
        kept,
        ..
    } = open.get_value();
    let shown = |stage: &Stage| stage.after[step as usize];
    let both = told
        .candidates
        .iter()
        .flat_map(|stage| [Some(stage.raw), shown(stage)]);
    let most = both.flatten().fold(1e-9, f64::max);
    let mut rows = Vec::new();
    for (at, stage) in told.candidates.iter().enumerate() {
        let text = match kept.texts.get(at) {
            Some(text) if at < SHOWN => text.clone(),
            _ => chosen_text.clone(),
        };
        if at == SHOWN {
            let rank = stage.rank.map_or_else(
                || format!("The written token ranks behind the {KEPT} kept ones."),
                |rank| {
                    format!(
                        "The written token ranks {}.",
                        format::grouped(rank as u64 + 1)
                    )
                },
            );
            rows.push(view! { <tr class="gap"><td colspan="3">{rank}</td></tr> }.into_any());
        }
        let row = Row {
            stage: *stage,
            text,
            shown: shown(stage),
            most,
            chosen: stage.id == chosen,
        };
        rows.push(row.view(index, runs).into_any());
        if at < SHOWN {
            rows.extend(cut_after(&told, at + 1).map(|label| {
                view! {
                    <tr class="cut" data-testid="lens-cut" data-after=at + 1>
                        <td colspan="3"><span>{label}</span></td>
                    </tr>
                }
                .into_any()
            }));
        }
    }
    let elsewhere = cuts_elsewhere(&told).into_iter();
    let elsewhere = elsewhere.map(|(beyond, sentence)| {
        view! {
            <p class="hint" data-testid="lens-cut" data-beyond=beyond.to_string()>{sentence}</p>
        }
    });
    let doubt = (told.doubt > 5e-4).then(|| {
        format!(
            "What lies outside the kept logits leaves these probabilities uncertain by at most {}.",
            format::percent(told.doubt)
        )
    });
    view! {
        <table on:keydown=|event| move_among(&event)>
            <caption class="unseen">
                "The likeliest tokens here, with their probability under the raw logits and after the sampler. A candidate's button continues the text with it, as a branch."
            </caption>
            <thead>
                <tr>
                    <th scope="col">"token"</th>
                    <th scope="col">"raw"</th>
                    <th scope="col">{if step == SamplerStep::MinP { "after the sampler" } else { "after this step" }}</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
        {elsewhere.collect_view()}
        {doubt.map(|sentence| view! { <p class="hint" data-testid="lens-doubt">{sentence}</p> })}
    }
}

/// One candidate.
struct Row {
    stage: Stage,
    text: String,
    /// After the step that is looked at.
    shown: Option<f64>,
    /// The widest bar of the table.
    most: f64,
    chosen: bool,
}

impl Row {
    fn view(self, index: usize, runs: Runs) -> impl IntoView {
        let Self {
            stage,
            text,
            shown,
            most,
            chosen,
        } = self;
        let after = |step: SamplerStep| stage.after[step as usize].map(|p| p.to_string());
        let fate = match stage.fate {
            Fate::Kept => "kept",
            Fate::Dropped(_) => "dropped",
            Fate::Unknown(_) => "unknown",
        };
        let words = match stage.fate {
            Fate::Kept => String::new(),
            Fate::Dropped(step) => format!("excluded by {}", name_of(step)),
            Fate::Unknown(step) => format!("{} cuts beyond the kept logits", name_of(step)),
        };
        let visible = format::visible(&text);
        let name = if chosen {
            view! { <b>{if fate == "dropped" { view! { <s>{visible.clone()}</s> }.into_any() } else { visible.clone().into_any() }}</b> }.into_any()
        } else {
            visible.clone().into_any()
        };
        let mark = chosen.then(|| view! { <small>"written"</small> });
        let note = (chosen && !words.is_empty()).then(|| {
            let sentence = match stage.fate {
                Fate::Unknown(_) => {
                    format!("Whether the written token stays cannot be told: {words}.")
                }
                _ => format!("The written token would now be {words}."),
            };
            view! {
                <tr class="gap" data-testid="lens-struck">
                    <td colspan="3">{sentence}</td>
                </tr>
            }
        });
        let title = if chosen {
            "The token that was written".to_string()
        } else {
            format!("Continue with {visible} instead, as a branch")
        };
        let label = if words.is_empty() {
            title.clone()
        } else {
            format!("{title}; {words}")
        };
        let id = stage.id;
        let branch = move |_| {
            if !chosen {
                runs.branch(index, id, text.clone());
            }
        };
        let bar = move |p: Option<f64>, kind: &'static str| {
            let width = p.map_or(0.0, |p| (p / most * 100.0).clamp(0.0, 100.0));
            let value = p.map_or_else(
                || "?".to_string(),
                |p| {
                    if p == 0.0 {
                        "–".into()
                    } else {
                        format::percent(p)
                    }
                },
            );
            view! {
                <td class=kind>
                    <span class="bar" style:width=format!("{width:.2}%") aria-hidden="true"></span>
                    <span class="number">{value}</span>
                </td>
            }
        };
        view! {
            <tr
                data-testid="lens-candidate"
                data-id=stage.id
                data-raw=stage.raw.to_string()
                data-final=after(SamplerStep::MinP)
                data-stage-penalty=after(SamplerStep::Penalty)
                data-stage-temperature=after(SamplerStep::Temperature)
                data-stage-top_k=after(SamplerStep::TopK)
                data-stage-top_p=after(SamplerStep::TopP)
                data-stage-min_p=after(SamplerStep::MinP)
                data-chosen=chosen.to_string()
                data-fate=fate
            >
                <th scope="row">
                    <button
                        type="button"
                        title=title
                        aria-label=format!("{visible}: {label}")
                        aria-current=chosen.then_some("true")
                        on:click=branch
                    >
                        {name}
                        {mark}
                    </button>
                </th>
                {bar(Some(stage.raw), "raw")}
                {bar(shown, "after")}
            </tr>
            {note}
        }
    }
}

/// Arrow keys move among the candidates.
fn move_among(event: &KeyboardEvent) {
    let Some(target) = event
        .target()
        .and_then(|target| target.dyn_into::<HtmlElement>().ok())
    else {
        return;
    };
    let Ok(Some(table)) = target.closest("table") else {
        return;
    };
    let Ok(buttons) = table.query_selector_all("[data-testid=lens-candidate] button") else {
        return;
    };
    let at = (0..buttons.length()).find(|at| {
        buttons
            .item(*at)
            .is_some_and(|b| b.is_same_node(Some(&target)))
    });
    let Some(at) = at else { return };
    let next = match event.key().as_str() {
        "ArrowDown" => at + 1,
        "ArrowUp" => u32::saturating_sub(at, 1),
        "Home" => 0,
        "End" => buttons.length().saturating_sub(1),
        _ => return,
    };
    event.prevent_default();
    if let Some(next) = buttons.item(next.min(buttons.length().saturating_sub(1))) {
        let _ = next.unchecked_into::<HtmlElement>().focus();
    }
}
