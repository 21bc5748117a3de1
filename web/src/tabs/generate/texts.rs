//! What a run does to the texts: makes room, adds tokens, shows another branch, brings back what a
//! run replaced.

use glassformer_engine::protocol::PromptToken;
use leptos::prelude::*;

use super::run::{Asked, Into, Runs};
use super::status::Phase;
use super::tree::Tree;
use crate::components::token_stream::Token;
use crate::fragment::Mode;
use crate::page::BranchLink;

/// Everything a run replaces, to have it back.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    asked: Asked,
    tree: Tree,
    seen: Vec<PromptToken>,
}

impl Runs {
    /// Shows another text of the tree.
    pub fn show(self, node: usize) {
        self.tree.update(|tree| tree.show(node));
        self.show_current();
        // A run under way keeps its own phase in sight.
        if !self.phase.with_untracked(Phase::is_active) {
            let phase = self
                .tree
                .with_untracked(|tree| tree.shown().map(|node| node.phase));
            self.phase.set(phase.unwrap_or_default());
        }
    }

    /// Brings back what the last run replaced, and puts that in its place.
    pub fn undo(self) {
        let Some(before) = self.before.get_untracked() else {
            return;
        };
        self.stop();
        self.run.update_value(|run| *run += 1);
        self.before.set(self.snapshot());
        self.what_if.set(before.asked.settings.clone());
        self.asked.set(Some(before.asked));
        self.seen.set(before.seen);
        self.tree.set(before.tree);
        self.phase.set(Phase::Idle);
        let node = self.tree.with_untracked(Tree::current);
        self.show(node);
    }

    fn snapshot(self) -> Option<Before> {
        Some(Before {
            asked: self.asked.get_untracked()?,
            tree: self.tree.get_untracked(),
            seen: self.seen.get_untracked(),
        })
    }

    /// Draws the text that the tree shows, and puts it into the link.
    fn show_current(self) {
        let (tokens, tail, steps) = self.tree.with_untracked(|tree| {
            let node = tree.current();
            let tail = tree.shown().map(|node| node.tail.clone());
            (tree.text(node), tail.unwrap_or_default(), tree.steps(node))
        });
        self.written.replace(tokens);
        self.written.append_text(&tail);
        if let Some(asked) = self.asked.get_untracked() {
            self.page.branch.set(BranchLink {
                text: asked.text,
                mode: asked.mode,
                settings: asked.settings,
                steps,
                pending: false,
            });
        }
    }

    /// The text that is shown, as it reads: behind the prompt where it continues that.
    pub fn text(self) -> String {
        let asked = self.asked.get_untracked();
        let prompt = asked.filter(|asked| asked.mode == Mode::Plain);
        self.tree.with_untracked(|tree| {
            let tokens = tree.text(tree.current());
            let written = tokens.iter().map(|token| token.text.as_str());
            let tail = tree.shown().map(|node| node.tail.as_str());
            prompt
                .iter()
                .map(|asked| asked.text.as_str())
                .chain(written)
                .chain(tail)
                .collect()
        })
    }

    /// The tokens before a place of the text that is shown, prompt included.
    pub fn history(self, index: usize) -> Vec<u32> {
        let prompt = self
            .seen
            .with_untracked(|seen| seen.iter().map(|t| t.id).collect::<Vec<_>>());
        let text = self.tree.with_untracked(|tree| tree.text(tree.current()));
        let written = text.iter().take(index).map(|token| token.id);
        prompt.into_iter().chain(written).collect()
    }

    /// Makes room for what is about to be written; what was there stays until the engine has taken
    /// the prompt.
    pub(super) fn make_room(self, asked: Asked, into: Into, seen: Vec<PromptToken>) {
        match into {
            Into::NewText(steps) => {
                self.recorded.set(None);
                self.before.set(self.snapshot());
                self.what_if.set(asked.settings.clone());
                self.asked.set(Some(asked));
                self.seen.set(seen);
                self.tree.set(Tree::with_steps(&steps));
                self.written.clear();
            }
            Into::Branch { node, at, id, text } => {
                self.tree.update(|tree| {
                    tree.show(node);
                    tree.grow(at, id, text);
                });
            }
        }
        self.writing
            .set_value(Some(self.tree.with_untracked(Tree::current)));
        self.show_current();
    }

    /// Adds a token to the text that is being written, and shows it if that text is shown.
    pub(super) fn take(self, index: usize, token: Token) {
        let Some(node) = self.writing.get_value() else {
            return;
        };
        let shown = self.tree.with_untracked(Tree::current) == node;
        if shown {
            self.written.append(token.clone());
        }
        // The list of branches does not change with a token.
        let first = self.tree.try_update_untracked(|tree| {
            tree.write(node, index, token);
            let branch = tree.nodes().get(node)?;
            (branch.parent.is_some() && branch.at == index).then_some(index)
        });
        // The lens goes along with the token that the person chose.
        if let (true, Some(Some(index))) = (shown, first) {
            self.written.open(index);
        }
    }

    pub(super) fn finish(self, phase: Phase, tail: String) {
        let Some(node) = self.writing.get_value() else {
            return;
        };
        let shown = self.tree.with_untracked(Tree::current) == node;
        if shown {
            self.written.append_text(&tail);
        }
        let mut short = false;
        self.tree.update(|tree| {
            if let Some(node) = tree.node_mut(node) {
                (node.phase, node.tail) = (phase, tail);
            }
            short = tree.prune();
        });
        if short {
            self.page.notices.say(
                "The text ended before the branch that the link asks for; the branch was left out.",
            );
            self.show_current();
        }
        self.writing.set_value(None);
    }
}
