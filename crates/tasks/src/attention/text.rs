//! What is run to look at its attention.

use super::PatchGrid;
use crate::matching::Sight;

/// A text to run, or a picture, whose places count as tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionText {
    /// Its tokens; of a decoder, what goes into it; of a picture the numbers of its places.
    pub ids: Vec<u32>,
    /// For each 0, and 1 in a second sentence.
    pub types: Vec<u32>,
    /// Which are special.
    pub special: Vec<bool>,
    /// What is translated, for decoders.
    pub source: Option<AttentionSource>,
    /// What is seen, for towers that see.
    pub picture: Option<AttentionPicture>,
}

/// A picture as a model takes it, cut into patches.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionPicture {
    /// `[side · side, channels]`.
    pub pixels: Vec<f32>,
    /// Where its patches are.
    pub places: PatchGrid,
}

impl AttentionText {
    /// A picture `[side · side, channels]` for the tower of a model that sees.
    pub fn of_picture(sight: &Sight, pixels: Vec<f32>) -> Self {
        let n = sight.positions();
        let (first, grid) = (sight.first, sight.grid);
        Self {
            ids: (0..n as u32).collect(),
            types: vec![0; n],
            special: (0..n).map(|place| place < first).collect(),
            source: None,
            picture: Some(AttentionPicture {
                pixels,
                places: PatchGrid { first, grid },
            }),
        }
    }
}

/// The source that a decoder reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttentionSource {
    /// Its tokens, its end included.
    pub ids: Vec<u32>,
    /// Which are special.
    pub special: Vec<bool>,
}
