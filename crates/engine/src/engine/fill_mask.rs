//! Masks filled by the loaded model.

use glassformer_tasks::{Filling, Masked, Predictions, TaskError};
use web_time::Instant;

use super::{Engine, Result};
use crate::protocol::{
    Event, FilledMask, MaskAttention, MaskCut, MaskPredictions, MaskRequest, MaskResult, MaskToken,
    Prediction,
};
use crate::ready::Ready;
use crate::{Cancel, EngineError, yield_now};

impl Engine {
    /// The words behind the masks of a text. `emit` hears only of a lost device (`Moved`).
    ///
    /// # Errors
    /// If nothing is loaded, the model names no words, or the text has no masks; or on cancel.
    pub async fn fill_mask(
        &mut self,
        request: &MaskRequest,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<MaskResult> {
        let start = Instant::now();
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        loop {
            let result = ready.fill_mask(request, cancel).await;
            match result {
                Err(EngineError::Task(TaskError::Exec(error))) if error.is_of_device() => {
                    let (place, notice) = self.executors.after_loss(ready, &error).await;
                    ready.move_to(place, cancel).await?;
                    let model = ready.info.clone();
                    emit(Event::Moved { model, notice });
                }
                result => {
                    let seconds = start.elapsed().as_secs_f64();
                    return result.map(|result| MaskResult { seconds, ..result });
                }
            }
        }
    }
}

impl Ready {
    async fn fill_mask(&mut self, request: &MaskRequest, cancel: &Cancel) -> Result<MaskResult> {
        let loaded = &self.loaded;
        let tokenizer = &loaded.tokenizer;
        let pair = request.pair.as_deref().filter(|pair| !pair.is_empty());
        let masked = Masked::new(tokenizer, loaded.context, &request.text, pair)?;
        let mut filling = Filling::new(&loaded.model, self.session, &masked)?;
        let exec = self.exec.as_mut();
        let count = request.top as usize;
        yield_now().await;
        cancel.check()?;
        let (found, attention) = if request.attention {
            let (found, sizes, weights) = filling.predict_and_look(exec, count).await?;
            let [layers, heads, _] = sizes.map(|n| n as u32);
            let weights = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
            let attention = MaskAttention {
                layers,
                heads,
                weights,
            };
            (found, Some(attention))
        } else {
            (filling.predict(exec, count).await?, None)
        };
        let prediction = |id: u32, score: f32| {
            let (text, joins) = tokenizer.piece_text(id);
            Prediction {
                id,
                token: tokenizer.token_text(id),
                text,
                joins,
                score,
            }
        };
        let mut filled = Vec::new();
        while request.fill && filled.len() < found.len() {
            yield_now().await;
            cancel.check()?;
            let Some(next) = filling.fill_next(exec, tokenizer).await? else {
                break;
            };
            filled.push(FilledMask {
                mask: next.mask as u32,
                with: prediction(next.id, next.score),
            });
        }
        let mut pieces = Vec::with_capacity(request.words.len());
        for word in &request.words {
            pieces.push(tokenizer.pieces_of_word(word)? as u32);
        }
        let tokens = masked.pieces.iter().map(|piece| MaskToken {
            id: piece.id,
            text: tokenizer.token_text(piece.id),
            special: tokenizer.is_special(piece.id),
            sentence: piece.sentence.map(|sentence| sentence as u32),
            start: piece.span.start as u32,
            end: piece.span.end as u32,
            word: piece.word,
        });
        let masks = found.iter().map(|found: &Predictions| MaskPredictions {
            position: found.position as u32,
            predictions: found
                .likeliest
                .iter()
                .map(|&(id, score)| prediction(id, score))
                .collect(),
        });
        let shortened = masked.shortened.iter().map(|cut| MaskCut {
            sentence: cut.sentence as u32,
            bytes: cut.bytes as u32,
        });
        Ok(MaskResult {
            tokens: tokens.collect(),
            masks: masks.collect(),
            shortened: shortened.collect(),
            unknown: masked.unknown as u32,
            sentences: masked.sentences,
            filled,
            attention,
            pieces,
            seconds: 0.0,
        })
    }
}
