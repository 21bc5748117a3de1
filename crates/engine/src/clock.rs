//! Times of a generation.

use glassformer_graph::Counts;
use web_time::Instant;

use crate::heap_bytes;
use crate::protocol::{GenerateStats, GpuStats};

/// Measures a generation.
pub(crate) struct Clock {
    start: Instant,
    first: Option<Instant>,
    last: Instant,
    prompt_tokens: usize,
    tokens: u32,
    /// What the GPU had done when the first token came, and now.
    counts: Option<[Counts; 2]>,
}

impl Clock {
    pub(crate) fn new(start: Instant, prompt_tokens: usize) -> Self {
        Self {
            start,
            first: None,
            last: start,
            prompt_tokens,
            tokens: 0,
            counts: None,
        }
    }

    pub(crate) fn token(&mut self, counts: Option<Counts>) {
        self.counts = counts.map(|now| [self.counts.map_or(now, |[first, _]| first), now]);
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.tokens += 1;
    }

    pub(crate) fn stats(&self) -> GenerateStats {
        let rate = |count: f64, seconds: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        let first = self
            .first
            .map_or(0.0, |first| (first - self.start).as_secs_f64());
        let decode = self
            .first
            .map_or(0.0, |first| (self.last - first).as_secs_f64());
        GenerateStats {
            prompt_tokens: self.prompt_tokens as u32,
            tokens: self.tokens,
            first_token_seconds: first,
            prefill_tps: rate(self.prompt_tokens as f64, first),
            decode_tps: rate(f64::from(self.tokens.saturating_sub(1)), decode),
            gpu: self.counts.map(|[first, last]| {
                // Those that were run: some may be ahead of what has been written.
                let tokens = last.tokens.saturating_sub(first.tokens).max(1) as f64;
                let each = |a: u64, b: u64| b.saturating_sub(a) as f64 / tokens;
                GpuStats {
                    dispatches: each(first.dispatches, last.dispatches),
                    passes: each(first.passes, last.passes),
                    submits: each(first.submits, last.submits),
                    read_bytes: each(first.read_bytes, last.read_bytes),
                    weight_bytes: last.weight_bytes,
                    position_bytes: last.position_bytes,
                    buffer_bytes: last.buffer_bytes,
                }
            }),
            heap_bytes: heap_bytes(),
        }
    }
}
