//! MarianMT's vocabulary: a SentencePiece model cuts text into pieces, and `vocab.json` numbers them,
//! those of the source and of the target language together. Reference: `tokenization_marian.py`,
//! PyTorch transformers 4.49.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use crate::TextError;
use crate::tokenizer::{Parts, SpecialIds, Tokenizer};

/// Tokens beyond which no vocabulary is one.
const MOST: usize = 1 << 20;

/// The numbers of pieces.
#[derive(Debug)]
pub(crate) struct Lexicon {
    ids: HashMap<String, u32>,
    /// By id.
    tokens: Vec<String>,
    unknown: u32,
}

impl Lexicon {
    /// The number of a piece, or of what is unknown.
    pub(crate) fn id(&self, piece: &str) -> u32 {
        self.ids.get(piece).copied().unwrap_or(self.unknown)
    }

    /// The piece of a number.
    pub(crate) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// Models of several languages take the one to translate to as a token before the text, written
    /// `>>por<<`: it, its bytes in the text, and what follows. One that the model does not know is unknown.
    pub(crate) fn language<'t>(&self, text: &'t str) -> (Option<(u32, usize)>, &'t str) {
        let name = text
            .strip_prefix(">>")
            .and_then(|rest| rest.split_once("<<"));
        match name {
            Some((name, rest)) if !name.is_empty() && !name.contains('\n') => {
                let code = &text[..text.len() - rest.len()];
                (Some((self.id(code), code.len())), rest)
            }
            _ => (None, text),
        }
    }

    /// Text of these tokens.
    pub(crate) fn decode(&self, ids: impl Iterator<Item = u32>) -> String {
        let tokens = ids.filter_map(|id| self.token(id));
        let text: String = tokens.collect();
        text.replace('\u{2581}', " ").trim().to_owned()
    }
}

/// `vocab.json`, bounded while it is read.
struct Entries(Vec<(String, u32)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("tokens and their numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == MOST {
                        return Err(serde::de::Error::custom("there are too many tokens"));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl Tokenizer {
    /// Makes the tokenizer of a MarianMT checkpoint from its `source.spm` and `vocab.json`, or that of
    /// translations, which `target.spm` cuts. Its end token
    /// is `</s>`; encoding adds it only where asked for.
    ///
    /// # Errors
    /// If a file is damaged, the SentencePiece model is of a kind that is not supported, or the vocabulary
    /// lacks what every text needs.
    pub fn from_marian(source: &[u8], vocabulary: &[u8]) -> Result<Self, TextError> {
        let refused = |reason: &str| TextError::Vocabulary {
            reason: reason.into(),
        };
        let Entries(entries) =
            serde_json::from_slice(vocabulary).map_err(|error| refused(&error.to_string()))?;
        let mut tokens = vec![None; entries.len()];
        for (token, id) in entries {
            match tokens.get_mut(id as usize) {
                Some(place @ None) => *place = Some(token),
                _ => return Err(refused("its numbers are not those from 0 on, each once")),
            }
        }
        let tokens: Vec<String> = tokens.into_iter().flatten().collect();
        let ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
        if ids.len() != tokens.len() {
            return Err(refused("it gives a token twice"));
        }
        let special = |name: &str| ids.get(name).copied();
        let (Some(end), Some(unknown)) = (special("</s>"), special("<unk>")) else {
            return Err(refused("it lacks </s> or <unk>"));
        };
        let padding = special("<pad>");
        let mut hidden: Vec<u32> = [Some(end), Some(unknown), padding]
            .into_iter()
            .flatten()
            .collect();
        hidden.sort_unstable();
        let Parts {
            library, decoding, ..
        } = Self::parts_of_spm(source)?;
        Ok(Self::assemble(Parts {
            library,
            decoding,
            size: tokens.len(),
            hidden,
            literal: Vec::new(),
            cut_at_spaces: false,
            special: SpecialIds {
                eos: Some(end),
                unknown: Some(unknown),
                padding,
                ..SpecialIds::default()
            },
            add_bos: false,
            add_eos: true,
            chat_template: None,
            lexicon: Some(Lexicon {
                ids,
                tokens,
                unknown,
            }),
        }))
    }
}

#[cfg(test)]
mod tests;
