//! Where the nodes of a beam tree stand, and what is to be said of each after so many steps.

use glassformer_engine::tasks::translation::{BeamNode, Fate};

/// Columns that are drawn at once: more would take the page too long.
pub const MOST_COLUMNS: usize = 40;

/// What a node is to the search after the steps that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On the way to the chosen translation.
    Winner,
    /// On the way to something that is still followed, or that has ended.
    Alive,
    /// Looked at, not followed, or a dead end by now.
    Dead,
}

/// A node's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index among the nodes.
    pub node: usize,
    /// Its step.
    pub column: usize,
    /// Its rank among those of its step, best first.
    pub row: usize,
}

/// The places of all nodes, and how many columns and rows there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// In the order of the nodes.
    pub places: Vec<Place>,
    /// Steps.
    pub columns: usize,
    /// Nodes of the step that has most.
    pub rows: usize,
}

/// Ranks the nodes of every step by their scores.
pub fn layout(nodes: &[BeamNode]) -> Layout {
    let columns = nodes.iter().map(|node| node.step + 1).max().unwrap_or(0);
    let mut by_step: Vec<Vec<usize>> = vec![Vec::new(); columns];
    for (i, node) in nodes.iter().enumerate() {
        by_step[node.step].push(i);
    }
    let mut places = vec![
        Place {
            node: 0,
            column: 0,
            row: 0
        };
        nodes.len()
    ];
    for (column, step) in by_step.iter_mut().enumerate() {
        step.sort_by(|&a, &b| nodes[b].score.total_cmp(&nodes[a].score));
        for (row, &node) in step.iter().enumerate() {
            places[node] = Place { node, column, row };
        }
    }
    let rows = by_step.iter().map(Vec::len).max().unwrap_or(0);
    Layout {
        places,
        columns,
        rows,
    }
}

/// The nodes from the first to this one.
pub fn path(nodes: &[BeamNode], node: usize) -> Vec<usize> {
    let mut path = Vec::new();
    let mut at = Some(node);
    while let Some(i) = at.filter(|&i| i < nodes.len()) {
        path.push(i);
        at = nodes[i].parent;
    }
    path.reverse();
    path
}

/// What every node is once the steps before `shown` have been taken; `winner` is the last node of the
/// chosen translation.
pub fn states(nodes: &[BeamNode], shown: usize, winner: usize) -> Vec<State> {
    let mut states = vec![State::Dead; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let followed = node.step + 1 == shown && matches!(node.fate, Fate::Kept | Fate::Forced);
        let ended = node.step < shown && node.fate == Fate::Finished;
        if followed || ended {
            for each in path(nodes, i) {
                states[each] = State::Alive;
            }
        }
    }
    if nodes.get(winner).is_some_and(|node| node.step < shown) {
        for each in path(nodes, winner) {
            states[each] = State::Winner;
        }
    }
    states
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
