//! From which language to which: the two choices, the model that they mean, and the way back.

use glassformer_engine::registry;
use leptos::prelude::*;

use super::run::Runs;
use crate::desk::Desk;
use crate::fragment::Values;
use crate::model::Chosen;

/// Languages by their codes (ISO 639-1), as people call them.
const NAMES: [(&str, &str); 2] = [("en", "English"), ("pt", "Portuguese")];

/// From and to.
pub type Pair = [String; 2];

/// Every direction there is a model for.
fn pairs() -> impl Iterator<Item = &'static [String; 2]> {
    registry::manifest()
        .iter()
        .filter_map(|entry| entry.languages.as_ref())
}

/// A language as people call it; its code where nobody has named it.
pub fn name(code: &str) -> String {
    let found = NAMES.iter().find(|(known, _)| *known == code);
    found.map_or(code, |(_, name)| name).to_owned()
}

/// Takes a language that can be translated.
pub fn check(value: &str) -> Result<(), String> {
    if pairs().any(|pair| pair.iter().any(|code| code == value)) {
        return Ok(());
    }
    let mut codes: Vec<&str> = pairs().flatten().map(String::as_str).collect();
    codes.sort_unstable();
    codes.dedup();
    Err(codes.join(" or "))
}

/// What the settings say, with another language to translate to where there is no such direction.
pub fn read(values: &Values) -> Pair {
    let [from, to] = [("from", "en"), ("to", "pt")]
        .map(|(key, default)| values.get(key).map_or(default, String::as_str).to_owned());
    to_of(&from, &to).map_or_else(|| [from.clone(), to.clone()], |to| [from.clone(), to])
}

/// The language wanted if it can be had, else the first that can.
fn to_of(from: &str, wanted: &str) -> Option<String> {
    let all: Vec<&String> = pairs()
        .filter(|pair| pair[0] == from)
        .map(|pair| &pair[1])
        .collect();
    let found = all
        .iter()
        .find(|to| to.as_str() == wanted)
        .or_else(|| all.first());
    found.map(|to| to.to_string())
}

/// Chooses a direction; the settings keep what differs from their defaults.
pub fn choose(desk: Desk, from: &str, to: &str) {
    let Some(to) = to_of(from, to) else {
        return;
    };
    let set = |values: &mut Values| {
        for (name, value, default) in [("from", from, "en"), ("to", to.as_str(), "pt")] {
            if value == default {
                values.remove(name);
            } else {
                values.insert(name, value.to_owned());
            }
        }
    };
    let mut changed = desk.values.get_untracked();
    set(&mut changed);
    if desk.values.with_untracked(|values| *values != changed) {
        desk.values.set(changed);
    }
}

/// Keeps the model and the direction together: whichever changed last decides.
pub fn follow(desk: Desk) {
    Effect::new(move |before: Option<(Pair, Chosen)>| {
        let pair = desk.values.with(read);
        let chosen = desk.model.chosen.get();
        let languages = match &chosen {
            Chosen::Manifest(entry) => entry.languages.clone(),
            _ => None,
        };
        // A link may name the direction or the model; a direction that is not the usual one was named.
        let by_pair = match &before {
            Some((old, _)) => *old != pair,
            None => pair != read(&Values::new()),
        };
        match languages {
            Some(languages) if !by_pair => choose(desk, &languages[0], &languages[1]),
            Some(languages) if languages == pair => {}
            // Opened files have their own languages.
            _ if by_pair && !matches!(chosen, Chosen::Opened { .. }) => {
                if let Some(entry) = registry::translator(&pair[0], &pair[1]) {
                    desk.model.choose_manifest(&entry.id);
                }
            }
            _ => {}
        }
        (pair, desk.model.chosen.get_untracked())
    });
}

/// The two choices, and the button that swaps them.
#[component]
pub fn Languages(runs: Runs) -> impl IntoView {
    let desk = runs.desk;
    let pair = Memo::new(move |_| desk.values.with(read));
    let froms: Vec<&'static str> = {
        let mut all: Vec<&str> = pairs().map(|pair| pair[0].as_str()).collect();
        all.dedup();
        all
    };
    let from_options = froms
        .into_iter()
        .map(|code| {
            let selected = move || pair.with(|pair| pair[0] == code);
            view! { <option value=code selected=selected>{name(code)}</option> }
        })
        .collect_view();
    let to_options = move || {
        let [from, to] = pair.get();
        let all = pairs().filter(|pair| pair[0] == from);
        all.map(|pair| {
            let code = pair[1].clone();
            let selected = code == to;
            view! { <option value=code.clone() selected=selected>{name(&code)}</option> }
        })
        .collect_view()
    };
    let swap = move |_| {
        let [from, to] = pair.get_untracked();
        choose(desk, &to, &from);
    };
    let opened = move || {
        let model = desk.model.chosen;
        model.with(|chosen| matches!(chosen, Chosen::Opened { .. }))
    };
    let can_swap = move || pair.with(|[from, to]| registry::translator(to, from).is_some());
    view! {
        <div class="languages">
            <label>
                <span class="unseen">{move || if opened() { "Sentences end as in" } else { "From" }}</span>
                <select
                    data-testid="translate-from"
                    prop:value=move || pair.with(|pair| pair[0].clone())
                    on:change:target=move |event| {
                        let to = pair.with_untracked(|pair| pair[1].clone());
                        choose(desk, &event.target().value(), &to);
                    }
                >
                    {from_options}
                </select>
            </label>
            <button
                type="button"
                class="quiet icon"
                data-testid="translate-swap"
                aria-label="Swap the languages; the text stays"
                title="Swap the languages; the text stays"
                hidden=opened
                disabled=move || !can_swap()
                on:click=swap
            >
                "⇄"
            </button>
            <label hidden=opened>
                <span class="unseen">"To"</span>
                <select
                    data-testid="translate-to"
                    prop:value=move || pair.with(|pair| pair[1].clone())
                    on:change:target=move |event| {
                        let from = pair.with_untracked(|pair| pair[0].clone());
                        choose(desk, &from, &event.target().value());
                    }
                >
                    {to_options}
                </select>
            </label>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_those_of_the_models() {
        assert_eq!(read(&Values::new()), ["en", "pt"]);
        let mut values = Values::new();
        values.insert("from", "pt".into());
        // From Portuguese to Portuguese is no direction.
        assert_eq!(read(&values), ["pt", "en"]);
        assert_eq!(check("pt"), Ok(()));
        assert_eq!(check("xx"), Err("en or pt".into()));
        assert_eq!(name("pt"), "Portuguese");
    }
}
