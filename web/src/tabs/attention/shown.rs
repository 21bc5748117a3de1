//! A text or picture that was run, as it is drawn and named.

use std::sync::Arc;

use glassformer_engine::protocol::attention::{AttentionSummary, Habit, HeadStats, floats};
use glassformer_engine::tasks::attention::PatchGrid;

use super::scene::patches::Seen;

/// A text's tokens and heads, as they are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// What the engine said.
    pub summary: AttentionSummary,
    /// `[layers, heads, side, side]`.
    pub thumbnails: Vec<f32>,
    /// Texts of the tokens, white space trimmed or made visible.
    pub labels: Arc<Vec<String>>,
    /// Which tokens are special.
    pub special: Vec<bool>,
    /// What was recorded, for people; nothing if it is live.
    pub recorded: Option<String>,
    /// What was seen, if it is a picture.
    pub seen: Option<Arc<Seen>>,
}

impl Shown {
    /// A summary, ready to draw.
    pub fn new(mut summary: AttentionSummary, recorded: Option<String>) -> Self {
        let seen = summary.picture.as_mut().map(|picture| {
            Arc::new(Seen {
                side: picture.side,
                rgb: Arc::new(std::mem::take(&mut picture.rgb)),
                grid: PatchGrid {
                    first: picture.first as usize,
                    grid: picture.grid as usize,
                },
            })
        });
        Self {
            seen,
            thumbnails: floats(&summary.thumbnails),
            labels: Arc::new(
                summary
                    .tokens
                    .iter()
                    .map(|token| label(&token.text))
                    .collect(),
            ),
            special: summary.tokens.iter().map(|token| token.special).collect(),
            summary,
            recorded,
        }
    }

    /// A token as sentences name it.
    pub fn name(&self, at: usize) -> String {
        let label = self.labels.get(at).map_or("", String::as_str);
        let Some(seen) = &self.seen else {
            return format!("“{label}”");
        };
        match label.split_once(',') {
            Some((row, column)) if at >= seen.grid.first => format!("row {row}, column {column}"),
            _ => format!("the {label} token"),
        }
    }

    /// What a head's habit is called here.
    pub fn habit(&self, habit: Habit) -> &'static str {
        match self.seen {
            Some(_) => habit.in_words_of_picture(),
            None => habit.in_words(),
        }
    }

    /// What a head does: its habit with the mean weight behind the name, if it has one.
    pub fn does(&self, stats: &HeadStats) -> String {
        match stats.habit() {
            Some((habit, share)) => format!("{} ({share:.2})", self.habit(habit)),
            None => format!("spreads over several {}", self.places()),
        }
    }

    /// What is looked at.
    pub fn places(&self) -> &'static str {
        match self.seen {
            Some(_) => "patches",
            None => "tokens",
        }
    }

    /// Tokens that read, and those that may be read by one of them: of a translation's decoder only the
    /// source.
    pub fn readers(&self) -> usize {
        self.source().unwrap_or(self.n())
    }

    /// See [`Self::readers`].
    pub fn read_by(&self, from: usize) -> std::ops::Range<usize> {
        let end = if self.summary.shape.causal {
            from + 1
        } else {
            self.n()
        };
        self.source().unwrap_or(0)..end
    }

    fn source(&self) -> Option<usize> {
        let second = self.summary.second.filter(|_| self.summary.to_source);
        second.map(|at| at as usize)
    }

    /// How many tokens.
    pub fn n(&self) -> usize {
        self.labels.len()
    }
}

/// A token's text as a label: without the space before it, and never empty.
pub fn label(text: &str) -> String {
    let trimmed = text.trim_matches(' ');
    let shown = crate::format::visible(if trimmed.is_empty() { text } else { trimmed });
    if shown.is_empty() {
        "∅".into()
    } else {
        shown
    }
}
