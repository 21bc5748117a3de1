//! What a mask looked at: arcs from it to the tokens of its sentence, and the same numbers as a table.

mod picture;

use glassformer_engine::protocol::MaskResult;
use leptos::prelude::*;

use self::picture::Picture;
use super::run::Runs;
use super::side::Answered;

/// Name of its tokens in the lens.
pub const SOURCE: &str = "fill-mask-arcs";

/// Of which of the two texts a subject of the lens is.
pub fn side_of(index: usize) -> usize {
    picture::token_of(index).1
}

/// A layer or head of the link: "mean", or a number from 1.
fn chosen(value: Option<&String>) -> Option<usize> {
    value
        .and_then(|value| value.parse::<usize>().ok())
        .filter(|n| *n > 0)
}

/// The weights of one mask over all tokens; the mean over layers or heads where none is chosen.
/// `None` if there is no such layer or head.
fn weights(
    result: &MaskResult,
    mask: usize,
    [layer, head]: [Option<usize>; 2],
) -> Option<Vec<f32>> {
    let attention = result.attention.as_ref()?;
    let all = |chosen: Option<usize>, count: u32| match chosen {
        Some(n) => n - 1..n,
        None => 0..count as usize,
    };
    let (layers, heads) = (all(layer, attention.layers), all(head, attention.heads));
    let (masks, tokens) = (result.masks.len(), result.tokens.len());
    let mut sums = vec![0.0; tokens];
    let mut rows = 0;
    for layer in layers {
        for head in heads.clone() {
            let row = attention.row([layer, head, mask], masks, tokens)?;
            sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += w);
            rows += 1;
        }
    }
    (rows > 0).then(|| sums.iter().map(|sum| sum / rows as f32).collect())
}

/// The picture with its choices.
#[component]
pub fn Arcs(
    /// Whose texts.
    runs: Runs,
    /// Which of them.
    place: usize,
) -> impl IntoView {
    let side = runs.sides[place];
    let values = runs.desk.values;
    let choice = move |name: &'static str| values.with(|values| chosen(values.get(name)));
    let sizes = Memo::new(move |_| {
        side.answer.with(|answer| {
            let attention = answer.as_ref()?.result.attention.as_ref()?;
            Some([attention.layers, attention.heads])
        })
    });
    let masks = Memo::new(move |_| {
        side.answer.with(|answer| {
            answer
                .as_ref()
                .map_or(0, |answer| answer.result.masks.len())
        })
    });
    let single = move || masks.get() < 2;
    let picture = move || {
        let Answered { result, .. } = side.answer.get()?;
        let mask = side.mask.get().min(result.masks.len().checked_sub(1)?);
        let chosen = [choice("layer"), choice("head")];
        Some(match weights(&result, mask, chosen) {
            Some(weights) => {
                let derived = chosen.iter().any(Option::is_none);
                view! { <Picture lens=runs.desk.lens place result weights mask derived/> }
                    .into_any()
            }
            None => view! {
                <p class="hint">"This model has no such layer or head; choose another."</p>
            }
            .into_any(),
        })
    };
    view! {
        <section class="arcs" aria-label="What the mask looked at" hidden=move || sizes.get().is_none()>
            <div class="arcs-top">
                <h3>"What the mask looked at"</h3>
                <label hidden=single>
                    "mask "
                    <select
                        data-testid="fill-mask-arcs-mask"
                        prop:value=move || side.mask.get().to_string()
                        on:change:target=move |event| {
                            side.mask.set(event.target().value().parse().unwrap_or(0));
                        }
                    >
                        {move || (0..masks.get()).map(|mask| view! {
                            <option value=mask.to_string() selected=move || side.mask.get() == mask>
                                {(mask + 1).to_string()}
                            </option>
                        }).collect_view()}
                    </select>
                </label>
                <Choice runs name="layer" count=Signal::derive(move || sizes.get().map_or(0, |s| s[0]))/>
                <Choice runs name="head" count=Signal::derive(move || sizes.get().map_or(0, |s| s[1]))/>
            </div>
            {picture}
            <p class="hint">
                "Attention shows where information was read from, not why the model decided."
            </p>
        </section>
    }
}

/// Which layer or head.
#[component]
fn Choice(runs: Runs, name: &'static str, count: Signal<u32>) -> impl IntoView {
    let values = runs.desk.values;
    let current = move || values.with(|values| chosen(values.get(name)).unwrap_or(0) as u32);
    let choose = move |value: String| {
        values.update(|values| match value.as_str() {
            "0" => {
                values.remove(name);
            }
            _ => {
                values.insert(name, value);
            }
        });
    };
    let options = move || {
        (0..=count.get())
            .map(|n| {
                let label = if n == 0 {
                    "mean of all".into()
                } else {
                    n.to_string()
                };
                view! {
                    <option value=n.to_string() selected=move || current() == n>{label}</option>
                }
            })
            .collect_view()
    };
    view! {
        <label>
            {format!("{name} ")}
            <select
                data-testid=format!("fill-mask-{name}")
                prop:value=move || current().to_string()
                on:change:target=move |event| choose(event.target().value())
            >
                {options}
            </select>
        </label>
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tabs::fill_mask::recorded::Recording;

    #[test]
    fn means_are_of_all_layers_and_heads() {
        let result = Recording::load().unwrap().result;
        let mean = weights(&result, 0, [None, None]).unwrap();
        assert!((mean.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        let one = weights(&result, 0, [Some(2), Some(12)]).unwrap();
        let row = result
            .attention
            .as_ref()
            .unwrap()
            .row([1, 11, 0], 1, one.len());
        assert_eq!(Some(one), row);
        assert_eq!(weights(&result, 0, [Some(7), None]), None);
        assert_eq!(weights(&result, 0, [None, Some(13)]), None);
    }

    #[test]
    fn links_name_layers_from_one() {
        assert_eq!(chosen(Some(&"3".to_owned())), Some(3));
        assert_eq!(chosen(Some(&"0".to_owned())), None);
        assert_eq!(chosen(Some(&"mean".to_owned())), None);
        assert_eq!(chosen(None), None);
    }
}
