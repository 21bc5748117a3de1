//! Any node of the loaded model, after one run of a text.

use glassformer_graph::{Input, Run, Tap, TapPolicy, Tensor};
use glassformer_text::SpecialTokens;

use super::{Engine, Result};
use crate::EngineError;

/// A node's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The entry that ran.
    pub entry: &'static str,
    /// Tokens of the text.
    pub ids: Vec<u32>,
    /// What the node computed.
    pub value: Tensor,
}

impl Engine {
    /// Runs a text, or two sentences where the model knows pairs, and reads the node `name`. Outputs of
    /// rows are computed for all positions.
    ///
    /// # Errors
    /// If nothing is loaded, the model has no such node, or the text is empty or does not fit.
    pub async fn look(&mut self, text: &str, pair: Option<&str>, name: &str) -> Result<Seen> {
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        let model = &ready.loaded.model;
        let found = ["decode", "encode"].into_iter().find_map(|entry| {
            let node = model.entries.get(entry)?.find(name)?;
            Some((entry, node))
        });
        let unknown = glassformer_graph::ExecError::Unknown {
            what: "node",
            name: name.into(),
        };
        let (entry, node) = found.ok_or(unknown)?;
        let tokenizer = &ready.loaded.tokenizer;
        let (ids, types) = if entry == "decode" {
            let ids = tokenizer.encode(text, SpecialTokens::Add)?;
            (ids, Vec::new())
        } else {
            let pieces = tokenizer.pieces(text, pair)?;
            pieces.iter().map(|piece| (piece.id, piece.type_id)).unzip()
        };
        if ids.is_empty() {
            return Err(glassformer_tasks::TaskError::EmptyPrompt.into());
        }
        let rows: Vec<u32> = (0..ids.len() as u32).collect();
        let lengths = [ids.len() as u32];
        let inputs = [
            ("ids", &ids[..]),
            ("types", &types),
            ("lengths", &lengths),
            ("rows", &rows),
        ];
        let inputs = inputs.map(|(name, data)| Input { name, data });
        let policy = TapPolicy::Last;
        ready.held.clear();
        let exec = ready.exec.as_mut();
        exec.truncate(ready.session, 0)?;
        exec.run(Run {
            session: ready.session,
            entry,
            inputs: &inputs,
            taps: &[Tap { node, policy }],
        })?;
        let read = exec.read(ready.session, entry, node, &[]).await?;
        let value = read.into_iter().next_back().ok_or(EngineError::NoModel)?;
        Ok(Seen { entry, ids, value })
    }
}
