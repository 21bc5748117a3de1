//! The wall as a table: every head with its numbers, and a button that chooses it.

use leptos::prelude::*;

use super::options::{HeadId, Options};
use super::text::Text;
use super::wall;

/// The table twin of the wall. Its rows are made when it is unfolded: a model may have hundreds of heads.
#[component]
pub fn HeadTable(
    /// Whose heads.
    text: Text,
    /// How they are drawn.
    options: Memo<Options>,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let chosen = Memo::new(move |_| options.with(|options| options.head));
    let rows = move || {
        let shown = text.shown.get().filter(|_| open.get())?;
        let heads = shown.summary.shape.heads.max(1) as usize;
        let row = |(i, stats)| {
            let id: HeadId = (i / heads, i % heads);
            let (layer, head) = id;
            view! {
                <tr>
                    <th scope="row">
                        <button
                            type="button"
                            class="quiet"
                            data-testid="attention-head"
                            aria-label=format!("Layer {layer}, head {head}")
                            aria-pressed=move || (chosen.get() == Some(id)).to_string()
                            on:click=move |_| wall::choose(text, id, false)
                        >
                            {format!("{layer}·{head}")}
                        </button>
                    </th>
                    <td class="words">{shown.does(stats)}</td>
                    <td>{format!("{:.2}", stats.entropy)}</td>
                    <td>{format!("{:.2}", stats.distance)}</td>
                </tr>
            }
        };
        let stats = shown.summary.stats.iter().enumerate();
        Some(stats.map(row).collect_view())
    };
    let places = move || {
        let shown = text.shown.get();
        shown.map_or("tokens", |shown| shown.places())
    };
    view! {
        <details class="twin" data-testid="attention-heads" on:toggle:target=move |event| open.set(event.target().has_attribute("open"))>
            <summary>"All heads as a table"</summary>
            <div class="numbers heads">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Head"</th>
                            <th scope="col" class="words">"What it does"</th>
                            <th scope="col">"Entropy, bits"</th>
                            <th scope="col">"Mean distance, " {places}</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </details>
    }
}
