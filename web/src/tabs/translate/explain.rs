//! What the lens says about words and about nodes of the tree.

use glassformer_engine::tasks::translation::Fate;
use leptos::prelude::*;

use super::shown::{Pointed, Shown, Side};
use super::tree::layout;
use super::words;
use super::{NODES, SOURCE};
use crate::components::lens::{Detail, Fact, LensContent, Subject};
use crate::format;
use crate::surprise;

/// Words with less of the attention than this are not listed.
const LISTED: f32 = 0.01;

fn fact(name: &'static str, value: String, means: impl Into<String>) -> Fact {
    let means = means.into();
    Fact { name, value, means }
}

/// A score or log-probability as it is written everywhere.
pub fn score(value: f64) -> String {
    // A rounding above certainty is still certainty.
    format!("{:.3}", value.min(0.0) + 0.0).replace('-', "−")
}

/// A word of either text.
pub fn word(shown: &Shown, pointed: Pointed) -> Option<LensContent> {
    let word = shown.words(pointed.side).get(pointed.word)?;
    let found = shown.found();
    let across = shown.across(pointed.side, pointed.word);
    let other = match pointed.side {
        Side::Source => Side::Target,
        Side::Target => Side::Source,
    };
    let mut weights: Vec<(String, f32)> = shown
        .words(other)
        .iter()
        .zip(&across)
        .map(|(word, weight)| (word.text.clone(), *weight))
        .filter(|(_, weight)| *weight >= LISTED)
        .collect();
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    let pieces = word.tokens.len();
    let derived = pieces > 1 || shown.words(other).iter().any(|word| word.tokens.len() > 1);
    let tokens = match pointed.side {
        Side::Source => &shown.sentence.tokens,
        Side::Target => &found.tokens,
    };
    let tokens = tokens.get(word.tokens.clone()).unwrap_or_default();
    let ids: Vec<String> = tokens.iter().map(|token| token.id.to_string()).collect();
    let texts: Vec<String> = tokens
        .iter()
        .map(|token| format::visible(&token.text))
        .collect();
    let mut facts = Vec::new();
    let mut share = None;
    let sentence = match pointed.side {
        Side::Source => {
            "A word of the source; listed is how much of it each word of the translation read."
        }
        Side::Target => {
            let sum = words::log_prob(found, word);
            let probability = sum.exp().min(1.0);
            share = Some((probability, surprise::step(surprise::bits(sum as f32))));
            let means = if pieces > 1 {
                let each = tokens
                    .iter()
                    .filter_map(|token| token.log_prob)
                    .map(|log_prob| format::percent(log_prob.exp().min(1.0)));
                format!("its pieces: {}", each.collect::<Vec<_>>().join(" · "))
            } else {
                format::one_in(probability)
            };
            facts.push(fact("probability", format::percent(probability), means));
            facts.push(fact(
                "log-probability",
                score(sum),
                "natural log; zero would be certain",
            ));
            in_words(probability)
        }
    };
    facts.push(fact(
        if pieces > 1 { "pieces" } else { "token" },
        texts.join(" + "),
        format!("id {}", ids.join(", ")),
    ));
    let (title, note) = match pointed.side {
        Side::Source => ("Read by", "share of each word's attention that went here"),
        Side::Target => ("Came from", "share of the attention while it was written"),
    };
    let name = match pointed.side {
        Side::Source => "source",
        Side::Target => "translation",
    };
    Some(LensContent {
        subject: Subject {
            source: SOURCE,
            index: pointed.index(),
        },
        caption: format!(
            "Sentence {}, {name}, word {}",
            pointed.sentence + 1,
            pointed.word + 1
        ),
        heading: word.text.clone(),
        sentence: sentence.into(),
        share,
        detail: Some(Detail::new(move || {
            bars(title, note, weights.clone(), derived)
        })),
        facts,
    })
}

/// One sentence on how sure the model was of a word.
fn in_words(probability: f64) -> &'static str {
    if probability >= 0.9 {
        "The model was nearly certain of this word."
    } else if probability >= 0.5 {
        "The model held this for more likely than everything else together."
    } else if probability >= 0.1 {
        "One of a few words the model held for likely."
    } else {
        "The model was unsure; the alternatives may say it otherwise."
    }
}

/// Words of the other text with their weights.
fn bars(
    title: &'static str,
    note: &'static str,
    weights: Vec<(String, f32)>,
    derived: bool,
) -> AnyView {
    let rows = weights
        .into_iter()
        .map(|(text, weight)| {
            view! {
                <li data-testid="lens-across" data-weight=weight.to_string() data-derived=derived.then_some("true")>
                    <span class="across-word">{text}</span>
                    <span class="across-bar"><span style:width=format!("{:.1}%", weight * 100.0)></span></span>
                    <span class="across-number">{format!("{weight:.3}")}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <section class="across">
            <h3>{title}</h3>
            <ul>{rows}</ul>
            <small>{note}{derived.then_some("; words of several pieces: sums and means of theirs")}</small>
        </section>
    }
    .into_any()
}

/// A token as it stands in a tree: a piece that goes on with a word shows that.
pub fn node_text(text: &str, is_end: bool) -> String {
    if is_end {
        return "end".into();
    }
    let trimmed = text.trim_start();
    let joins = trimmed.len() == text.len() && trimmed.chars().any(char::is_alphanumeric);
    let shown = format::visible(trimmed);
    match (joins, shown.is_empty()) {
        (_, true) => "∅".into(),
        (true, _) => format!("‑{shown}"),
        _ => shown,
    }
}

/// What became of a node.
pub fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Forced => "chosen by you",
        Fate::Kept => "followed",
        Fate::Pruned => "pruned",
        Fate::Finished => "ended",
    }
}

/// The text from the beginning to a node.
pub fn text_so_far(shown: &Shown, node: usize) -> String {
    let path = layout::path(&shown.sentence.tree, node);
    let texts = path.iter().filter_map(|&i| shown.sentence.texts.get(i));
    texts.map(String::as_str).collect::<String>()
}

/// A node of the tree; `choosing` says when it can be chosen.
pub fn node(
    shown: &Shown,
    index: usize,
    [rank, of]: [usize; 2],
    is_end: bool,
    choosing: &str,
) -> Option<LensContent> {
    let node = shown.sentence.tree.get(index)?;
    let text = shown.sentence.texts.get(index)?;
    let probability = node.log_prob.exp().min(1.0);
    let sentence = match node.fate {
        Fate::Forced => "You chose this; the search went on from here.".into(),
        Fate::Kept => format!(
            "Among the best of its step, so it was followed; {choosing} it to begin the translation like this."
        ),
        Fate::Pruned => format!(
            "Others of its step were better, so it was not followed; {choosing} it to follow it all the same."
        ),
        Fate::Finished => {
            "The model ended the sentence here: one of the translations to choose from.".into()
        }
    };
    Some(LensContent {
        subject: Subject {
            source: NODES,
            index,
        },
        caption: format!(
            "Step {}, rank {rank} of {of}, {}",
            node.step + 1,
            fate(node.fate)
        ),
        heading: node_text(text, is_end),
        sentence,
        share: Some((
            probability,
            surprise::step(surprise::bits(node.log_prob as f32)),
        )),
        detail: None,
        facts: vec![
            fact(
                "probability",
                format::percent(probability),
                "behind the words before it",
            ),
            fact(
                "score",
                score(node.score),
                "sum of the log-probabilities from the beginning to here",
            ),
            fact(
                "per token",
                score(node.score / (node.step + 1) as f64),
                "score divided by length: what translations are compared by",
            ),
            fact(
                "so far",
                text_so_far(shown, index).trim_start().to_owned(),
                format!("token id {}", node.id),
            ),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_ends_are_told_apart() {
        assert_eq!(node_text(" margem", false), "margem");
        assert_eq!(node_text("ens", false), "‑ens");
        assert_eq!(node_text(".", false), ".");
        assert_eq!(node_text("</s>", true), "end");
        assert_eq!(node_text(" ", false), "∅");
        assert_eq!(score(-1.978_62), "−1.979");
        assert_eq!(score(1e-9), "0.000");
    }
}
