#![allow(clippy::unwrap_used)]

use super::*;
use crate::tabs::translate::recorded::Recording;

fn recorded() -> (Vec<BeamNode>, usize) {
    let sentence = Recording::load().unwrap().sentence;
    let winner = sentence.alternatives[0].node as usize;
    (sentence.tree, winner)
}

#[test]
fn every_step_is_ranked_by_score() {
    let (nodes, _) = recorded();
    let layout = layout(&nodes);
    assert_eq!(layout.places.len(), nodes.len());
    assert!(layout.rows <= 8 && layout.columns >= 6);
    for (place, node) in layout.places.iter().zip(&nodes) {
        assert_eq!(place.column, node.step);
        let better = layout
            .places
            .iter()
            .filter(|other| other.column == place.column && other.row < place.row);
        assert!(
            better
                .into_iter()
                .all(|other| nodes[other.node].score >= node.score)
        );
    }
    assert_eq!(super::layout(&[]), Layout::default());
}

#[test]
fn the_winner_stands_out_only_once_it_has_ended() {
    let (nodes, winner) = recorded();
    let steps = nodes[winner].step + 1;
    let all = states(&nodes, steps, winner);
    let won: Vec<usize> = (0..nodes.len())
        .filter(|&i| all[i] == State::Winner)
        .collect();
    assert_eq!(won, path(&nodes, winner));
    let before = states(&nodes, steps - 1, winner);
    assert!(!before.contains(&State::Winner));
    // What is followed after the first step is exactly what was kept there.
    let first = states(&nodes, 1, winner);
    for (i, node) in nodes.iter().enumerate() {
        let kept = node.step == 0 && matches!(node.fate, Fate::Kept | Fate::Finished);
        assert_eq!(first[i] == State::Alive, kept, "{i}");
    }
}
