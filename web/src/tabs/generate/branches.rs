//! The tree of texts: every branch within one click.

use leptos::prelude::*;

use super::run::Runs;
use super::tree::Tree;
use crate::format;

/// The trunk and its branches as a nested list; nothing until there is a branch.
#[component]
pub fn Branches(runs: Runs) -> impl IntoView {
    let any = move || runs.tree.with(|tree| tree.nodes().len() > 1);
    view! {
        <nav class="branches" aria-label="Branches" data-testid="branches" hidden=move || !any()>
            <h3>"Branches"</h3>
            {move || runs.tree.with(|tree| (tree.nodes().len() > 1).then(|| view! { <ul>{entry(tree, 0, runs)}</ul> }))}
        </nav>
    }
}

fn entry(tree: &Tree, at: usize, runs: Runs) -> AnyView {
    let Some(node) = tree.nodes().get(at) else {
        return ().into_any();
    };
    let (name, place) = match &node.forced {
        Some((_, text)) => (
            format::visible(text),
            format!("at token {}", format::grouped(node.at as u64 + 1)),
        ),
        None => ("the text".into(), "as it was first written".into()),
    };
    let current = tree.current() == at;
    let children: Vec<AnyView> = tree
        .nodes()
        .iter()
        .enumerate()
        .filter(|(_, child)| child.parent == Some(at))
        .map(|(child, _)| entry(tree, child, runs))
        .collect();
    view! {
        <li>
            <button
                type="button"
                data-testid="branch-node"
                data-node=at
                data-at=node.at
                data-id=node.forced.as_ref().map(|(id, _)| *id)
                data-current=current.to_string()
                aria-current=current.then_some("true")
                aria-label=format!("{name}, {place}")
                on:click=move |_| runs.show(at)
            >
                <span class="branch-name">{name.clone()}</span>
                <small>{place.clone()}</small>
            </button>
            {(!children.is_empty()).then(|| view! { <ul>{children}</ul> })}
        </li>
    }
    .into_any()
}
