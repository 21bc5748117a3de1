#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use prost::Message as _;

use super::check_charsmap;
use super::proto::{ModelProto, Normalizer};
use super::testing::{WORDS, model};
use crate::{SpecialTokens, Tokenizer};

#[test]
fn text_becomes_pieces_and_comes_back() {
    let tokenizer = Tokenizer::from_spm(&model(&WORDS).encode_to_vec()).unwrap();
    let ids = tokenizer
        .encode("  the   thes a ", SpecialTokens::Add)
        .unwrap();
    assert_eq!(ids, [3, 3, 4, 6, 0]);
    assert_eq!(tokenizer.end_ids(), [0]);
    assert_eq!(tokenizer.decode(&ids), "the thes a");
    assert_eq!(tokenizer.token_text(0), "</s>");
    assert_eq!(tokenizer.token_text(3), " the");
}

#[test]
fn control_pieces_cannot_be_typed() {
    let tokenizer = Tokenizer::from_spm(&model(&WORDS).encode_to_vec()).unwrap();
    let ids = tokenizer.encode("</s>", SpecialTokens::Parse).unwrap();
    assert!(!ids.contains(&0), "{ids:?}");
    assert!(ids.contains(&1), "{ids:?}");
}

#[test]
fn what_is_not_supported_is_refused() {
    let refused = |change: fn(&mut ModelProto)| {
        let mut model = model(&WORDS);
        change(&mut model);
        Tokenizer::from_spm(&model.encode_to_vec())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(|m| m.pieces[3].kind = Some(4)).contains("kind not supported"));
    assert!(refused(|m| m.pieces[3].score = Some(f32::NAN)).contains("damaged"));
    assert!(refused(|m| m.pieces.truncate(1)).contains("unknown"));
    let bpe = |m: &mut ModelProto| {
        m.trainer = Some(super::proto::Trainer {
            model_type: Some(2),
            byte_fallback: None,
        });
    };
    assert!(refused(bpe).contains("unigram"));
    let map = |m: &mut ModelProto| {
        m.normalizer = Some(Normalizer {
            charsmap: Some(vec![8, 0, 0, 0, 1]),
            ..Normalizer::default()
        });
    };
    assert!(refused(map).contains("table"));
    assert!(Tokenizer::from_spm(b"PK\x03\x04 something else").is_err());
}

proptest! {
    /// Whatever the bytes are, reading them does not panic.
    #[test]
    fn bytes_of_any_kind_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Tokenizer::from_spm(&bytes);
    }

    /// A table that was accepted can be searched for anything.
    #[test]
    fn tables_that_are_accepted_can_be_searched(
        units in prop::collection::vec(any::<u32>(), 256),
        texts in "[a-z\\x00é]{0,40}",
        text in "\\PC{0,20}",
        changed in prop::collection::vec((0usize..256, 0u32..1 << 20), 0..6),
    ) {
        // Mostly empty units, as in a real table, and some that lead anywhere.
        let mut table = vec![0u32; 256];
        for (at, unit) in changed {
            table[at] = unit;
        }
        for units in [units, table] {
            let mut map = (4 * units.len() as u32).to_le_bytes().to_vec();
            map.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
            map.extend(texts.as_bytes());
            let mut model = model(&WORDS);
            let accepted = check_charsmap(&map).is_some();
            model.normalizer = Some(Normalizer { charsmap: Some(map), ..Normalizer::default() });
            let tokenizer = Tokenizer::from_spm(&model.encode_to_vec());
            prop_assert_eq!(tokenizer.is_ok(), accepted);
            if let Ok(tokenizer) = tokenizer {
                let _ = tokenizer.encode(&text, SpecialTokens::Add);
            }
        }
    }
}
