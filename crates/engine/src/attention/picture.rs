//! Running pictures to look at what a tower sees of itself.

use glassformer_images::Seen;
use glassformer_tasks::TaskError;
use glassformer_tasks::attention::AttentionText;
use glassformer_tasks::matching::Sight;
use web_time::Instant;

use super::{Encoded, Result};
use crate::engine::Engine;
use crate::engine::matching::numbers;
use crate::protocol::attention::{AttentionSummary, SeenPlaces};
use crate::protocol::{Event, PromptToken};
use crate::{Cancel, EngineError};

/// Names of a classifier that are told.
const MOST_LABELS: usize = 5;

/// The places of a picture as tokens: what is learned by its name, patches as "row,column", from 1.
pub(super) fn tokens(places: &SeenPlaces) -> Vec<PromptToken> {
    let SeenPlaces { first, grid, .. } = *places;
    let name = |place: u32| match place.checked_sub(first) {
        Some(patch) => format!("{},{}", patch / grid + 1, patch % grid + 1),
        // DeiT's second token has learned from a teacher.
        None => ["class", "distilled"]
            .get(place as usize)
            .map_or_else(|| format!("learned {place}"), |name| (*name).into()),
    };
    let token = |id: u32| PromptToken {
        id,
        text: name(id),
        special: id < first,
    };
    (0..first + grid * grid).map(token).collect()
}

impl Engine {
    /// Runs a prepared picture through the tower of the chosen model that sees, and keeps what every head
    /// looked at under the number `run`, as [`Engine::attend`] does. A classifier names what it sees, too.
    ///
    /// # Errors
    /// As [`Engine::preprocessing`], if the picture has another size than the model's, or on cancel.
    pub async fn attend_picture(
        &mut self,
        run: u32,
        picture: &Seen,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<AttentionSummary> {
        let start = Instant::now();
        let preprocessing = self.preprocessing()?;
        let labels = match self.classify(picture, emit, cancel).await {
            Ok(mut labels) => {
                labels.truncate(MOST_LABELS);
                labels
            }
            Err(EngineError::Task(TaskError::NoLabels)) => Vec::new(),
            Err(error) => return Err(error),
        };
        let ready = self.models.last().ok_or(EngineError::NoModel)?;
        let sight = Sight::find(&ready.loaded.model)?;
        let pixels = numbers(&preprocessing, &sight, [&picture.rgb[..]].into_iter())?;
        let encoded = Encoded {
            text: AttentionText::of_picture(&sight, pixels),
            stack: None,
            shown: Vec::new(),
            second: None,
            of: sight.positions(),
            more: false,
            picture: Some(SeenPlaces {
                first: sight.first as u32,
                grid: sight.grid as u32,
                side: sight.side as u32,
                rgb: picture.rgb.clone(),
                labels,
            }),
        };
        self.look_at(run, encoded, start, emit, cancel).await
    }
}
