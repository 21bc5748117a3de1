//! A worked example: three words, queries, keys and values of two numbers each, every product shown
//! and recomputed while one types.

use std::fmt::Write;

use leptos::html::Input;
use leptos::prelude::*;

use crate::components::number::show_number;

const WORDS: [&str; 3] = ["I", "love", "AI"];

/// `[words, 2]`.
type Rows = [[f64; 2]; 3];

const QUERIES: Rows = [[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]];
const KEYS: Rows = [[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]];
const VALUES: Rows = [[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]];

/// Everything between the three matrices and the result, `[words, words]` and `[words, 2]`.
#[derive(Clone, Debug, PartialEq)]
struct Worked {
    dots: [[f64; 3]; 3],
    scores: [[f64; 3]; 3],
    weights: [[f64; 3]; 3],
    outputs: Rows,
}

fn work(queries: &Rows, keys: &Rows, values: &Rows, causal: bool) -> Worked {
    let dot = |a: &[f64; 2], b: &[f64; 2]| a[0] * b[0] + a[1] * b[1];
    let sees = |i: usize, j: usize| !causal || j <= i;
    let dots = queries.map(|query| keys.map(|key| dot(&query, &key)));
    let scores = dots.map(|row| row.map(|dot| dot / 2f64.sqrt()));
    let mut weights = [[0.0; 3]; 3];
    for i in 0..3 {
        let seen = (0..3).filter(|&j| sees(i, j));
        let largest = seen.clone().map(|j| scores[i][j]).fold(f64::MIN, f64::max);
        let sum: f64 = seen.clone().map(|j| (scores[i][j] - largest).exp()).sum();
        for j in seen {
            weights[i][j] = (scores[i][j] - largest).exp() / sum;
        }
    }
    let outputs = weights.map(|row| [0, 1].map(|c| (0..3).map(|j| row[j] * values[j][c]).sum()));
    Worked {
        dots,
        scores,
        weights,
        outputs,
    }
}

fn tidy(x: f64) -> String {
    let text = format!("{x:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

/// The example, folded until it is wanted.
#[component]
pub fn WorkedExample() -> impl IntoView {
    let matrices = [QUERIES, KEYS, VALUES].map(RwSignal::new);
    let [queries, keys, values] = matrices;
    let causal = RwSignal::new(false);
    let worked = Memo::new(move |_| work(&queries.get(), &keys.get(), &values.get(), causal.get()));
    let matrix = |name: &'static str, means: &'static str, rows: RwSignal<Rows>| {
        let cell = move |i: usize, c: usize| {
            let field = NodeRef::<Input>::new();
            let number = Signal::derive(move || tidy(rows.get()[i][c]));
            show_number(field, number);
            view! {
                <td>
                    <input
                        type="number"
                        step="0.5"
                        inputmode="decimal"
                        aria-label=format!("{name}, “{}”, number {}", WORDS[i], c + 1)
                        node_ref=field
                        on:blur:target=move |event| event.target().set_value(&number.get_untracked())
                        on:input:target=move |event| {
                            let number = event.target().value().parse::<f64>();
                            if let Some(number) = number.ok().filter(|x| x.abs() <= 1e3) {
                                rows.update(|rows| rows[i][c] = number);
                            }
                        }
                    />
                </td>
            }
        };
        view! {
            <table class="worked-matrix">
                <caption><b>{name}</b><small>{means}</small></caption>
                <tbody>
                    {(0..3).map(|i| view! { <tr><th scope="row">{WORDS[i]}</th>{cell(i, 0)}{cell(i, 1)}</tr> }).collect_view()}
                </tbody>
            </table>
        }
    };
    let table = move || {
        worked.with(|worked| {
            explain(
                worked,
                &queries.get(),
                &keys.get(),
                &values.get(),
                causal.get(),
            )
        })
    };
    view! {
        <details class="worked" data-testid="attention-worked">
            <summary>"By hand: “I love AI”"</summary>
            <p class="hint">
                "Three words, two numbers for each query, key and value. Change any of them; everything below is recomputed."
            </p>
            <div class="worked-in">
                {matrix("Q", "what each word asks", queries)}
                {matrix("K", "what each word offers", keys)}
                {matrix("V", "what each word gives", values)}
            </div>
            <label class="check">
                <input type="checkbox" prop:checked=causal on:change:target=move |event| causal.set(event.target().checked())/>
                <span>"Causal: a word sees only itself and those before"</span>
            </label>
            <div class="numbers" inner_html=table></div>
            <button
                type="button"
                class="quiet"
                on:click=move |_| {
                    queries.set(QUERIES);
                    keys.set(KEYS);
                    values.set(VALUES);
                    causal.set(false);
                }
            >
                "Back to the start"
            </button>
        </details>
    }
}

/// Every product, written out.
fn explain(worked: &Worked, queries: &Rows, keys: &Rows, values: &Rows, causal: bool) -> String {
    let mut html = String::new();
    // Writing to a string does not fail.
    for i in 0..3 {
        let _ = write!(
            html,
            "<table><caption>“{}” looks</caption><thead><tr><th>at</th><th>query · key</th><th>÷ √2</th><th>softmax</th><th>weight · value</th></tr></thead><tbody>",
            WORDS[i]
        );
        for j in 0..3 {
            let _ = write!(html, "<tr><th scope=\"row\">{}</th>", WORDS[j]);
            if causal && j > i {
                html.push_str("<td colspan=\"4\">masked: it comes later</td></tr>");
                continue;
            }
            let ([q0, q1], [k0, k1], [v0, v1]) =
                (queries[i].map(tidy), keys[j].map(tidy), values[j].map(tidy));
            let (dot, score, weight) = (
                tidy(worked.dots[i][j]),
                tidy(worked.scores[i][j]),
                tidy(worked.weights[i][j]),
            );
            let _ = write!(
                html,
                "<td>{q0}·{k0} + {q1}·{k1} = {dot}</td><td>{score}</td><td>{weight}</td><td>{weight}·({v0}, {v1})</td></tr>"
            );
        }
        let [a, b] = worked.outputs[i].map(tidy);
        let _ = write!(
            html,
            "<tr><th scope=\"row\">sum</th><td></td><td></td><td>{}</td><td><b>({a}, {b})</b></td></tr></tbody></table>",
            tidy(worked.weights[i].iter().sum())
        );
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sum_to_one_and_the_mask_hides_what_comes() {
        for causal in [false, true] {
            let worked = work(&QUERIES, &KEYS, &VALUES, causal);
            for (i, row) in worked.weights.iter().enumerate() {
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!(!causal || row[i + 1..].iter().all(|weight| *weight == 0.0));
            }
        }
        let worked = work(&QUERIES, &KEYS, &VALUES, true);
        // The first word sees only itself.
        assert_eq!(worked.outputs[0], VALUES[0]);
        assert_eq!(worked.dots[2], [0.0, 2.0, 4.0]);
    }

    #[test]
    fn the_softmax_of_two_even_scores() {
        let worked = work(&[[1.0, 0.0]; 3], &[[0.0, 1.0]; 3], &VALUES, false);
        assert_eq!(worked.scores, [[0.0; 3]; 3]);
        assert!(
            worked
                .weights
                .iter()
                .flatten()
                .all(|w| (w - 1.0 / 3.0).abs() < 1e-12)
        );
        assert_eq!(worked.outputs[0].map(tidy), ["1", "1"]);
    }
}
