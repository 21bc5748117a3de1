//! The tree as a table, for whoever reads rather than looks.

use leptos::prelude::*;

use super::super::explain;
use super::super::shown::Shown;
use crate::format;

/// Rows that are listed at most.
const MOST_ROWS: usize = 640;

/// Every token that was looked at, in the order of the search; made when it is opened.
#[component]
pub fn TreeTable(
    /// The sentence.
    shown: Shown,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let shown = StoredValue::new(shown);
    let rows = move || {
        shown.with_value(|shown| {
            let nodes = shown.sentence.tree.iter().zip(&shown.sentence.texts);
            nodes
                .take(MOST_ROWS)
                .map(|(node, text)| {
                    let before = node
                        .parent
                        .map_or_else(String::new, |parent| explain::text_so_far(shown, parent));
                    view! {
                        <tr>
                            <td>{(node.step + 1).to_string()}</td>
                            <td>{before.trim_start().to_owned()}</td>
                            <td>{format::visible(text)}</td>
                            <td>{format::percent(node.log_prob.exp().min(1.0))}</td>
                            <td>{explain::score(node.score)}</td>
                            <td>{explain::fate(node.fate)}</td>
                        </tr>
                    }
                })
                .collect_view()
        })
    };
    let more = shown.with_value(|shown| shown.sentence.tree.len().saturating_sub(MOST_ROWS));
    view! {
        <details
            class="tree-as-table"
            on:toggle=move |_| open.update(|open| *open = !*open)
        >
            <summary>"The tree as a table"</summary>
            {move || open.get().then(|| view! {
                <div class="table-scroll">
                    <table data-testid="beam-table">
                        <thead>
                            <tr>
                                <th scope="col">"step"</th>
                                <th scope="col">"behind"</th>
                                <th scope="col">"token"</th>
                                <th scope="col">"probability"</th>
                                <th scope="col">"score"</th>
                                <th scope="col">"fate"</th>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
                {(more > 0).then(|| view! { <p class="hint">{format!("and {more} more")}</p> })}
            })}
        </details>
    }
}
