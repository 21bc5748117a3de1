//! Pictures and texts compared by the loaded model, and why they score as they do.

use glassformer_images::{COLOURS, Preprocessing, Seen};
use glassformer_tasks::TaskError;
use glassformer_tasks::attention::{AttentionRun, AttentionText};
use glassformer_tasks::matching::{
    Caption, Occluding, Reading, Sight, TOGETHER, cosine, deletion, reaching, softmax, words,
};
use web_time::Instant;

use super::{Engine, Result};
use crate::protocol::{Event, ReadText, TextsRead, Why, WhyDeletion, WhyRequest, WhyWord};
use crate::ready::Ready;
use crate::{Cancel, EngineError, yield_now};

/// Parts of a picture that the test of an occlusion map hides at once.
const DELETED: usize = 10;

/// Seed of the random parts beside them: the same picture gives the same numbers.
const SEED: u64 = 7;

/// A name and how likely it is.
pub type Label = (String, f32);

impl Engine {
    /// How the chosen model wants its pictures.
    ///
    /// # Errors
    /// If nothing is loaded, the model sees no pictures, or its files do not say how they are prepared.
    pub fn preprocessing(&self) -> Result<Preprocessing> {
        let ready = self.models.last().ok_or(EngineError::NoModel)?;
        let sight = Sight::find(&ready.loaded.model)?;
        let found = ready.loaded.pictures.preprocessing.clone();
        let found = found.ok_or(EngineError::NoPreprocessing)?;
        match found.seen() {
            Some(sides) if sides != [sight.side; 2] || sight.channels != COLOURS => {
                let [height, width] = sides;
                Err(EngineError::NotAModel(format!(
                    "preprocessor_config.json makes pictures of {width} × {height} pixels, and the model sees \
                     {} × {}: these files do not belong together.",
                    sight.side, sight.side
                )))
            }
            _ => Ok(found),
        }
    }

    /// Embeddings of prepared pictures, of length one. `emit` hears only of a lost device (`Moved`).
    ///
    /// # Errors
    /// As [`Self::preprocessing`], if a picture has another size than the model's, or on cancel.
    pub async fn see(
        &mut self,
        pictures: &[Seen],
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f32>>> {
        let preprocessing = self.preprocessing()?;
        self.recovering(emit, cancel, async |ready: &mut Ready| {
            Reading::find(&ready.loaded.model, ready.loaded.context)?;
            let sight = Sight::find(&ready.loaded.model)?;
            let mut all = Vec::with_capacity(pictures.len());
            for some in pictures.chunks(TOGETHER) {
                yield_now().await;
                cancel.check()?;
                let pixels = numbers(
                    &preprocessing,
                    &sight,
                    some.iter().map(|seen| &seen.rgb[..]),
                )?;
                all.extend(sight.embed(ready.exec.as_mut(), &pixels).await?);
            }
            Ok(all)
        })
        .await
    }

    /// A classifier's names for a prepared picture, likeliest first.
    ///
    /// # Errors
    /// As [`Self::see`], or if the model has no names.
    pub async fn classify(
        &mut self,
        picture: &Seen,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Vec<Label>> {
        let preprocessing = self.preprocessing()?;
        self.recovering(emit, cancel, async |ready: &mut Ready| {
            let labels = &ready.loaded.pictures.labels;
            let sight = Sight::find(&ready.loaded.model)?;
            let reads = ready.loaded.model.entries.contains_key("text");
            if reads || labels.is_empty() {
                return Err(TaskError::NoLabels.into());
            }
            let pixels = numbers(&preprocessing, &sight, [&picture.rgb[..]].into_iter())?;
            let logits = sight.outputs(ready.exec.as_mut(), &pixels).await?;
            let shares = softmax(&logits.concat(), 1.0);
            let mut named: Vec<Label> = labels.iter().cloned().zip(shares).collect();
            named.sort_by(|a, b| b.1.total_cmp(&a.1));
            Ok(named)
        })
        .await
    }

    /// Embeddings of texts, of length one. A text that cannot be read has its problem told beside the
    /// others.
    ///
    /// # Errors
    /// If nothing is loaded or the model does not compare texts with pictures, or on cancel.
    pub async fn read_texts(
        &mut self,
        texts: &[String],
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<TextsRead> {
        let start = Instant::now();
        let read = self.recovering(emit, cancel, async |ready: &mut Ready| {
            ready.read_texts(texts, cancel).await
        });
        let read = read.await?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(TextsRead { seconds, ..read })
    }

    /// What of a picture and of a text mattered for their score. `emit` hears how far it is (`Prefill`).
    ///
    /// # Errors
    /// As [`Self::see`] and [`Self::read_texts`].
    pub async fn explain(
        &mut self,
        request: &WhyRequest,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Why> {
        let start = Instant::now();
        let preprocessing = self.preprocessing()?;
        let mut told = Vec::new();
        let why = loop {
            let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
            match ready.explain(request, &preprocessing, emit, cancel).await {
                Err(EngineError::Task(TaskError::Exec(error))) if error.is_of_device() => {
                    self.recover(&error, &mut |event| told.push(event), cancel)
                        .await?;
                    told.drain(..).for_each(&mut *emit);
                }
                result => break result?,
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        Ok(Why { seconds, ..why })
    }

    /// Loads the chosen model again elsewhere after its device was lost, and tells it.
    async fn recover(
        &mut self,
        error: &glassformer_graph::ExecError,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<()> {
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        let (place, notice) = self.executors.after_loss(ready, error).await;
        ready.move_to(place, cancel).await?;
        let model = ready.info.clone();
        emit(Event::Moved { model, notice });
        Ok(())
    }

    /// Does something with the chosen model, again elsewhere if its device is lost on the way.
    async fn recovering<T>(
        &mut self,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
        mut work: impl AsyncFnMut(&mut Ready) -> Result<T>,
    ) -> Result<T> {
        loop {
            let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
            match work(ready).await {
                Err(EngineError::Task(TaskError::Exec(error))) if error.is_of_device() => {
                    self.recover(&error, emit, cancel).await?;
                }
                result => return result,
            }
        }
    }
}

/// What the model takes of pictures.
pub(crate) fn numbers<'p>(
    preprocessing: &Preprocessing,
    sight: &Sight,
    pictures: impl Iterator<Item = &'p [u8]>,
) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for rgb in pictures {
        if rgb.len() != sight.numbers() {
            return Err(EngineError::PictureSize { side: sight.side });
        }
        all.extend(preprocessing.pixels(rgb));
    }
    Ok(all)
}

impl Ready {
    async fn read_texts(&mut self, texts: &[String], cancel: &Cancel) -> Result<TextsRead> {
        let model = &self.loaded.model;
        let reading = Reading::find(model, self.loaded.context)?;
        let captions = texts
            .iter()
            .map(|text| reading.caption(&self.loaded.tokenizer, text));
        let captions: Vec<_> = captions.collect();
        let good: Vec<Caption> = captions.iter().flatten().cloned().collect();
        let exec = self.exec.as_mut();
        let mut embeddings = Vec::with_capacity(good.len());
        for some in good.chunks(TOGETHER) {
            yield_now().await;
            cancel.check()?;
            embeddings.extend(reading.embed(model, exec, some).await?);
        }
        let mut embeddings = embeddings.into_iter();
        let read = captions.into_iter().map(|caption| match caption {
            Ok(caption) => ReadText {
                embedding: embeddings.next().unwrap_or_default(),
                tokens: caption.ids.len() as u32,
                cut: caption.cut,
                problem: None,
            },
            Err(error) => ReadText {
                problem: Some(EngineError::from(error).sentence()),
                ..ReadText::default()
            },
        });
        Ok(TextsRead {
            texts: read.collect(),
            scale: reading.scale(exec).await?,
            seconds: 0.0,
        })
    }

    async fn explain(
        &mut self,
        request: &WhyRequest,
        preprocessing: &Preprocessing,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Why> {
        let sight = Sight::find(&self.loaded.model)?;
        let parts = words(&request.text);
        let without = parts.iter().filter_map(|(_, rest)| rest.clone());
        let texts: Vec<String> = std::iter::once(request.text.clone())
            .chain(without)
            .collect();
        let read = self.read_texts(&texts, cancel).await?;
        let mut read = read.texts.into_iter();
        let whole = read.next().unwrap_or_default();
        if whole.problem.is_some() {
            return Err(TaskError::EmptyText.into());
        }
        let pixels = numbers(preprocessing, &sight, [&request.rgb[..]].into_iter())?;
        let exec = self.exec.as_mut();
        let text = &whole.embedding;
        let mut occluding = Occluding::new(&sight, &pixels, text)?;
        let all = occluding.progress().1;
        while occluding.progress().0 < all {
            yield_now().await;
            cancel.check()?;
            occluding.step(exec).await?;
            let done = occluding.progress().0 as u32;
            let total = all as u32;
            emit(Event::Prefill { done, total });
        }
        let found = occluding.finish();
        yield_now().await;
        cancel.check()?;
        let tested = deletion(&sight, exec, &pixels, text, &found, DELETED, SEED).await?;
        let rollout = self.rollout(AttentionText::of_picture(&sight, pixels.clone()));
        let rollout = rollout.await?;
        let exec = self.exec.as_mut();
        let seen = sight.embed(exec, &pixels).await?.concat();
        let base = cosine(&seen, text);
        let drop_of = |rest: ReadText| {
            let read = rest.problem.is_none();
            read.then(|| base - cosine(&seen, &rest.embedding))
        };
        let words = parts.iter().map(|(word, rest)| WhyWord {
            start: word.start as u32,
            end: word.end as u32,
            drop: rest.as_ref().and(read.next()).and_then(drop_of),
        });
        Ok(Why {
            base: found.base,
            cells: found.cells as u32,
            words: words.collect(),
            drops: found.drops,
            deletion: WhyDeletion {
                parts: tested.parts as u32,
                highest: tested.highest,
                random: tested.random,
            },
            grid: sight.grid as u32,
            rollout: reaching(&sight, &rollout),
            seconds: 0.0,
        })
    }

    /// The rollout of all layers of a picture, `[positions, positions]`.
    async fn rollout(&mut self, picture: AttentionText) -> Result<Vec<f32>> {
        let exec = self.exec.as_mut();
        let mut run = AttentionRun::start(&self.loaded.model, exec, None, picture)?;
        let last = run.layout().layers.len() - 1;
        let rolled = match run.step(exec).await {
            Ok(()) => run.rollout(exec, last).await,
            Err(error) => Err(error),
        };
        run.close(exec);
        Ok(rolled?)
    }
}
