//! Small SentencePiece models.

use prost::Message as _;

use super::proto::{ModelProto, Piece, kind};

/// A model of these pieces and scores, behind an end and what is unknown.
pub(super) fn model(words: &[(&str, f32)]) -> ModelProto {
    let piece = |text: &str, score: f32, kind: i32| Piece {
        piece: Some(text.into()),
        score: Some(score),
        kind: Some(kind),
    };
    let mut pieces = vec![
        piece("</s>", 0.0, kind::CONTROL),
        piece("<unk>", 0.0, kind::UNKNOWN),
    ];
    pieces.extend(words.iter().map(|(w, s)| piece(w, *s, kind::NORMAL)));
    ModelProto {
        pieces,
        ..ModelProto::default()
    }
}

/// Some pieces.
pub(super) const WORDS: [(&str, f32); 5] = [
    ("\u{2581}", -3.0),
    ("\u{2581}the", -1.0),
    ("s", -2.0),
    ("/", -4.0),
    ("\u{2581}a", -1.5),
];

/// A model of [`WORDS`] as a file.
pub(crate) fn small_model() -> Vec<u8> {
    model(&WORDS).encode_to_vec()
}
