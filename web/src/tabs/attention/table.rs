//! The weights that are drawn as tables, for screen readers and whoever wants to copy them.

use std::fmt::Write;
use std::sync::Arc;

use glassformer_engine::protocol::attention::MapOf;
use leptos::prelude::*;

use super::chosen::Chosen;
use super::options::Options;

/// More tokens than these are not listed pair by pair; each row then lists its largest weights.
const MOST_TOKENS: usize = 64;
/// How many of them.
const LARGEST: usize = 8;

/// The table twin of the picture.
#[component]
pub fn WeightTable(
    /// What is drawn.
    chosen: Memo<Option<Chosen>>,
    /// How.
    options: Memo<Options>,
) -> impl IntoView {
    // Scripts find the chosen head's numbers at any time; those of heads drawn over it are many.
    let open = RwSignal::new(false);
    let html = Memo::new(move |_| {
        let derived = options.with(Options::derives);
        let most = if open.get() { usize::MAX } else { 1 };
        chosen.with(|chosen| {
            let chosen = chosen.as_ref()?;
            let maps = chosen.maps.iter().take(most);
            Some(
                maps.map(|map| table(chosen, map, derived))
                    .collect::<String>(),
            )
        })
    });
    view! {
        <details class="twin" on:toggle:target=move |event| open.set(event.target().has_attribute("open"))>
            <summary>"The numbers as a table"</summary>
            <div class="numbers" data-testid="attention-table" inner_html=move || html.get().unwrap_or_default()></div>
        </details>
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// One of the maps that are drawn, as a table.
fn table(chosen: &Chosen, (of, map): &(MapOf, Arc<Vec<f32>>), derived: bool) -> String {
    let (labels, n) = (&chosen.shown.labels, chosen.shown.n());
    let shown = &chosen.shown;
    let readers = shown.readers();
    let columns = shown.read_by(n.saturating_sub(1));
    let (layer, head, what) = match of {
        MapOf::Head { layer, head } => (
            *layer,
            head.to_string(),
            format!("Layer {layer}, head {head}"),
        ),
        MapOf::Rollout { layer } => (
            *layer,
            String::new(),
            format!("Rollout up to layer {layer}"),
        ),
    };
    let derived = if derived { " data-derived" } else { "" };
    let cell = |from: usize, to: usize| {
        let weight = map[from * n + to];
        format!(
            "<td data-testid=\"attention-cell\" data-layer=\"{layer}\" data-head=\"{head}\" data-from=\"{from}\" data-to=\"{to}\" data-weight=\"{weight}\"{derived}>"
        )
    };
    let mut html = String::new();
    // Writing to a string does not fail.
    if n <= MOST_TOKENS {
        let _ = write!(
            html,
            "<table><caption>{what}: rows look at columns</caption><thead><tr><th></th>"
        );
        for (j, label) in labels
            .iter()
            .enumerate()
            .filter(|(j, _)| columns.contains(j))
        {
            let _ = write!(
                html,
                "<th scope=\"col\"><bdi>{}</bdi> <small>{j}</small></th>",
                escape(label)
            );
        }
        html.push_str("</tr></thead><tbody>");
        for (i, label) in labels.iter().enumerate().take(readers) {
            let _ = write!(
                html,
                "<tr><th scope=\"row\"><bdi>{}</bdi> <small>{i}</small></th>",
                escape(label)
            );
            for j in shown.read_by(i) {
                let _ = write!(html, "{}{:.4}</td>", cell(i, j), map[i * n + j]);
            }
            html.push_str("</tr>");
        }
    } else {
        let _ = write!(
            html,
            "<table><caption>{what}: the {LARGEST} largest weights of each row</caption><tbody>"
        );
        for (i, label) in labels.iter().enumerate().take(readers) {
            let _ = write!(
                html,
                "<tr><th scope=\"row\"><bdi>{}</bdi> <small>{i}</small></th>",
                escape(label)
            );
            let mut row: Vec<usize> = shown.read_by(i).collect();
            row.sort_by(|a, b| map[i * n + b].total_cmp(&map[i * n + a]));
            for &j in row.iter().take(LARGEST) {
                let label = escape(&labels[j]);
                let _ = write!(
                    html,
                    "{}<bdi>{label}</bdi> <small>{j}</small> {:.4}</td>",
                    cell(i, j),
                    map[i * n + j]
                );
            }
            html.push_str("</tr>");
        }
    }
    html + "</tbody></table>"
}
