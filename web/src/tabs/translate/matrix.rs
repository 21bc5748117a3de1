//! The alignment as a table of numbers: which token of the translation read how much of which token of
//! the source.

use std::sync::Arc;

use glassformer_engine::protocol::TranslateToken;
use leptos::prelude::*;

use super::run::Runs;
use super::shown::Shown;
use crate::components::theme::Dark;
use crate::format;
use crate::model::Status;
use crate::tabs::attention::colour::{Paint, Palette};

/// Cells beyond which the table is not drawn: a page of numbers nobody reads.
const MOST_CELLS: usize = 4096;

/// The matrix of the selected sentence, of the head that words are aligned by or of another.
#[component]
pub fn Matrix(
    /// Whom to ask for other heads.
    runs: Runs,
    /// The sentence.
    shown: Shown,
) -> impl IntoView {
    let index = shown.sentence.index as usize;
    let version = shown.version;
    let other = Memo::new(move |_| {
        runs.heads
            .get()
            .filter(|heads| heads.index == index && heads.version == version)
    });
    let usual = Arc::new(shown.found().alignment.clone());
    let tokens = shown.sentence.tokens.clone();
    let written = shown.found().tokens.clone();
    let table = move || {
        let alignment = other
            .get()
            .map_or_else(|| Arc::clone(&usual), |heads| heads.alignment);
        let cells = tokens.len() * written.len();
        if cells > MOST_CELLS {
            let words = format!(
                "{} numbers are too many for a table; point at words above to see theirs.",
                format::grouped(cells as u64)
            );
            return view! { <p class="hint">{words}</p> }.into_any();
        }
        view! { <Table source=tokens.clone() written=written.clone() alignment/> }.into_any()
    };
    view! {
        <section class="alignment" aria-label="Alignment">
            <div class="alignment-top">
                <h3>"What each token of the translation read"</h3>
                <HeadChoice runs index other=Signal::derive(move || other.get().map(|h| [h.layer, h.head]))/>
            </div>
            {table}
            <p class="hint">
                "Rows are tokens of the translation, columns those of the source; a row sums to one. "
                "Attention shows where information was read from, not why the model decided."
            </p>
        </section>
    }
}

/// Which layer and head.
#[component]
fn HeadChoice(runs: Runs, index: usize, other: Signal<Option<[u32; 2]>>) -> impl IntoView {
    let shape = move || {
        runs.desk.model.status.with(|status| match status {
            Status::Ready(info) => info.translator,
            _ => None,
        })
    };
    let options = move || {
        let shape = shape()?;
        let heads = (0..shape.layers).flat_map(move |l| (0..shape.heads).map(move |h| [l, h]));
        let items = heads.map(|[layer, head]| {
            let taught = layer + 1 == shape.layers && head == 0;
            let label = format!(
                "layer {layer}, head {head}{}",
                if taught { " (taught to align)" } else { "" }
            );
            let selected = other.get_untracked() == Some([layer, head])
                || other.get_untracked().is_none() && taught;
            view! { <option value=format!("{layer},{head}") selected=selected>{label}</option> }
        });
        Some(items.collect_view())
    };
    let choose = move |value: String| {
        let parts: Vec<u32> = value.split(',').filter_map(|n| n.parse().ok()).collect();
        let taught = shape().map(|shape| [shape.layers - 1, 0]);
        let asked = <[u32; 2]>::try_from(parts).ok();
        runs.want_head(index, asked.filter(|asked| Some(*asked) != taught));
    };
    let usable = move || shape().is_some() && !runs.is_recorded();
    view! {
        <label hidden=move || !usable()>
            <span>"head "</span>
            <select
                data-testid="translate-head"
                disabled=move || !runs.can_ask()
                on:change:target=move |event| choose(event.target().value())
            >
                {options}
            </select>
        </label>
    }
}

#[component]
fn Table(
    source: Vec<TranslateToken>,
    written: Vec<TranslateToken>,
    alignment: Arc<Vec<Vec<f32>>>,
) -> impl IntoView {
    let Dark(dark) = expect_context();
    let head = source
        .iter()
        .map(|token| view! { <th scope="col"><span>{format::visible(&token.text)}</span></th> })
        .collect_view();
    let rows = written
        .iter()
        .zip(alignment.iter())
        .enumerate()
        .map(|(from, (token, row))| {
            let cells = row
                .iter()
                .enumerate()
                .map(|(to, &weight)| {
                    let css = move |paint| Palette::new(dark.get()).css(paint);
                    view! {
                        <td
                            data-testid="alignment-cell"
                            data-from=from.to_string()
                            data-to=to.to_string()
                            data-weight=weight.to_string()
                            style:background=move || css(Paint::Scale(weight))
                            style:color=move || css(Paint::OnScale(weight))
                        >
                            {short(weight)}
                        </td>
                    }
                })
                .collect_view();
            view! {
                <tr>
                    <th scope="row">{format::visible(&token.text)}</th>
                    {cells}
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="alignment-scroll" tabindex="0" role="region" aria-label="Alignment table">
            <table data-testid="alignment-table">
                <thead>
                    <tr>
                        <td></td>
                        {head}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

/// Two digits: ".62"; nothing for what rounds to nothing.
fn short(weight: f32) -> String {
    let hundredths = (weight * 100.0).round();
    if hundredths >= 100.0 {
        "1".into()
    } else if hundredths < 1.0 {
        "·".into()
    } else {
        format!(".{hundredths:02.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_two_digits() {
        assert_eq!(short(0.624), ".62");
        assert_eq!(short(0.05), ".05");
        assert_eq!(short(0.004), "·");
        assert_eq!(short(0.999), "1");
    }
}
