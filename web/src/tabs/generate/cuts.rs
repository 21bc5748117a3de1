//! Where the sampler's cuts are, in words for the lens.

use glassformer_engine::graph::KEPT;
use glassformer_engine::tasks::{Cut, SHOWN, Stages};

use crate::format;

const CUTS: [&str; 3] = ["top-k", "top-p", "min-p"];

/// The names of the cuts behind the first `count` candidates.
pub fn cut_after(told: &Stages, count: usize) -> Option<String> {
    let here = CUTS
        .iter()
        .zip(told.cuts)
        .filter(|(_, cut)| *cut == Cut::After(count));
    let names: Vec<&str> = here.map(|(name, _)| *name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Sentences on cuts that cannot be drawn here; whether they lie beyond what is known.
pub fn cuts_elsewhere(told: &Stages) -> Vec<(bool, String)> {
    let sentence = |(name, cut): (&&str, Cut)| match cut {
        Cut::After(count) if count > SHOWN => Some((
            false,
            format!(
                "{name} keeps {} tokens: its cut lies below this list.",
                format::grouped(count as u64)
            ),
        )),
        Cut::Beyond => Some((
            true,
            format!("The cut of {name} lies beyond the {KEPT} kept tokens."),
        )),
        _ => None,
    };
    CUTS.iter().zip(told.cuts).filter_map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cuts: [Cut; 3]) -> Stages {
        Stages {
            candidates: Vec::new(),
            cuts,
            doubt: 0.0,
        }
    }

    #[test]
    fn cuts_are_drawn_where_they_are_and_said_where_they_cannot_be() {
        let here = told([Cut::After(3), Cut::After(3), Cut::None]);
        assert_eq!(cut_after(&here, 3).as_deref(), Some("top-k, top-p"));
        assert_eq!(cut_after(&here, 2), None);
        assert!(cuts_elsewhere(&here).is_empty());
        let away = told([Cut::After(40), Cut::None, Cut::Beyond]);
        let sentences = cuts_elsewhere(&away);
        assert_eq!(
            sentences[0],
            (
                false,
                "top-k keeps 40 tokens: its cut lies below this list.".into()
            )
        );
        assert_eq!(
            sentences[1],
            (
                true,
                "The cut of min-p lies beyond the 256 kept tokens.".into()
            )
        );
    }
}
