//! What a session remembers between runs.

use std::collections::HashMap;

use glassformer_graph::{ExecError, Model, NodeId, Sources, StateId, StateKind, TapPolicy, Tensor};

/// Positions by which a state grows.
const STEP: usize = 256;

/// Rows of every state, and what the last runs kept.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) batch: usize,
    pub(crate) len: usize,
    max_len: usize,
    pub(crate) capacity: usize,
    /// What states of the sources hold.
    pub(crate) sources: Sources,
    kinds: Vec<StateKind>,
    /// Elements of one row of each state.
    widths: Vec<usize>,
    /// `[batch, capacity, width]` of a sequence, `[batch, width]` of a recurrent state,
    /// `[sources, source_len, width]` of the sources.
    states: Vec<Vec<f32>>,
    kept: HashMap<(String, NodeId), Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    policy: TapPolicy,
    steps: Vec<Tensor>,
}

impl Session {
    pub(crate) fn new(model: &Model, batch: usize, max_len: usize) -> Self {
        let widths: Vec<usize> = model
            .states
            .iter()
            .map(|s| s.row.iter().product())
            .collect();
        let kinds: Vec<StateKind> = model.states.iter().map(|s| s.kind).collect();
        let first = |(kind, width): (&StateKind, &usize)| match kind {
            StateKind::Recurrent => vec![0.0; batch * width],
            StateKind::Sequence | StateKind::Source => Vec::new(),
        };
        Self {
            batch,
            sources: Sources::default(),
            len: 0,
            max_len: model.max_len().map_or(max_len, |max| max.min(max_len)),
            capacity: 0,
            states: kinds.iter().zip(&widths).map(first).collect(),
            kinds,
            widths,
            kept: HashMap::new(),
        }
    }

    /// Makes room for `len` positions.
    pub(crate) fn reserve(&mut self, len: usize) -> Result<(), ExecError> {
        if len > self.max_len {
            return Err(ExecError::ContextFull {
                wanted: len,
                max: self.max_len,
            });
        }
        if len <= self.capacity {
            return Ok(());
        }
        let capacity = len.next_multiple_of(STEP).min(self.max_len);
        let grow = |(state, &width): (&Vec<f32>, &usize)| {
            let total = self.batch.saturating_mul(capacity).saturating_mul(width);
            let bytes = total.saturating_mul(size_of::<f32>());
            let mut grown = Vec::new();
            grown
                .try_reserve_exact(total)
                .map_err(|_| ExecError::OutOfMemory { bytes })?;
            for b in 0..self.batch {
                let used = &state[b * self.capacity * width..][..self.len * width];
                grown.extend_from_slice(used);
                grown.resize((b + 1) * capacity * width, 0.0);
            }
            Ok(grown)
        };
        // One state at a time, so that both copies of only one are in memory. Should memory run
        // out half-way, the grown ones are cut back to what the others still have.
        for i in 0..self.states.len() {
            if self.kinds[i] != StateKind::Sequence {
                continue;
            }
            match grow((&self.states[i], &self.widths[i])) {
                Ok(grown) => self.states[i] = grown,
                Err(error) => {
                    self.shrink(i, capacity);
                    return Err(error);
                }
            }
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Takes the first `count` states back from `grown` positions to the capacity of the others.
    fn shrink(&mut self, count: usize, grown: usize) {
        let states = self.states.iter_mut().zip(&self.widths).zip(&self.kinds);
        for ((state, &width), kind) in states.take(count) {
            if *kind != StateKind::Sequence {
                continue;
            }
            for b in 1..self.batch {
                let from = b * grown * width;
                let used = from..from + self.len * width;
                state.copy_within(used, b * self.capacity * width);
            }
            state.truncate(self.batch * self.capacity * width);
        }
    }

    /// Writes `x [batch, n, width]` behind the first `len` positions. Room was reserved before.
    pub(crate) fn append(&mut self, state: StateId, x: &[f32]) {
        let width = self.widths[state.0];
        let per_batch = x.len() / self.batch;
        for b in 0..self.batch {
            let at = (b * self.capacity + self.len) * width;
            self.states[state.0][at..at + per_batch]
                .copy_from_slice(&x[b * per_batch..(b + 1) * per_batch]);
        }
    }

    /// Replaces what belongs to the sources, `x [batch, source_len, width]`.
    pub(crate) fn store(&mut self, state: StateId, x: &[f32]) {
        let target = &mut self.states[state.0];
        target.clear();
        target.extend_from_slice(x);
    }

    pub(crate) fn state(&self, state: StateId) -> &[f32] {
        &self.states[state.0]
    }

    pub(crate) fn state_mut(&mut self, state: StateId) -> &mut [f32] {
        &mut self.states[state.0]
    }

    /// How keys or values lie in a state: rows between those of one sequence and the next, if it is one of
    /// sequences, and whose they are, if it is one of sources.
    pub(crate) fn keys_of(&self, state: StateId) -> (Option<usize>, &[[u32; 2]]) {
        match self.kinds[state.0] {
            StateKind::Sequence => (Some(self.capacity), &[]),
            StateKind::Recurrent => (None, &[]),
            StateKind::Source => (None, &self.sources.of),
        }
    }

    /// The first `len` positions of each sequence or of its source, `[batch, len, width]`; all of a
    /// recurrent state.
    pub(crate) fn state_rows(&self, state: StateId, len: usize) -> Vec<f32> {
        let (all, width) = (&self.states[state.0], self.widths[state.0]);
        let piece = |at: usize| &all[at * width..][..len * width];
        match self.kinds[state.0] {
            StateKind::Recurrent => all.clone(),
            StateKind::Sequence => (0..self.batch)
                .flat_map(|b| piece(b * self.capacity))
                .copied()
                .collect(),
            StateKind::Source => {
                let of = self.sources.of.iter();
                let pieces = of.flat_map(|[of, _]| piece(*of as usize * self.sources.len));
                pieces.copied().collect()
            }
        }
    }

    pub(crate) fn truncate(&mut self, len: usize) -> Result<(), ExecError> {
        let recurrent = self.kinds.contains(&StateKind::Recurrent);
        if recurrent && 0 < len && len < self.len {
            return Err(ExecError::CannotTruncate);
        }
        if len == 0 {
            let states = self.states.iter_mut().zip(&self.kinds);
            for (state, _) in states.filter(|(_, kind)| **kind == StateKind::Recurrent) {
                state.fill(0.0);
            }
        }
        self.len = self.len.min(len);
        self.kept.clear();
        Ok(())
    }

    /// Makes sequence `i` go on from what sequence `from[i]` was.
    pub(crate) fn reorder(&mut self, from: &[u32]) -> Result<(), ExecError> {
        if let Some(&bad) = from.iter().find(|&&i| i as usize >= self.batch) {
            let (what, index, len) = ("Sequence", bad as usize, self.batch);
            return Err(ExecError::OutOfRange { what, index, len });
        }
        for (i, kind) in self.kinds.iter().enumerate() {
            // Of a sequence: its room and how much of it is used.
            let (room, used) = match kind {
                StateKind::Sequence => (self.capacity * self.widths[i], self.len * self.widths[i]),
                StateKind::Recurrent => (self.widths[i], self.widths[i]),
                StateKind::Source => continue,
            };
            // The old rows are read while the new are written: two buffers, one a state at a time.
            let mut ordered = vec![0.0; from.len() * room];
            for (to, &from) in from.iter().enumerate() {
                let source = &self.states[i][from as usize * room..][..used];
                ordered[to * room..][..used].copy_from_slice(source);
            }
            self.states[i] = ordered;
        }
        self.sources.reorder(from);
        self.batch = from.len();
        Ok(())
    }

    /// Forgets what earlier runs of this entry kept, except what is appended.
    pub(crate) fn start_run(&mut self, entry: &str) {
        self.kept
            .retain(|(e, _), kept| e != entry || kept.policy == TapPolicy::Append);
    }

    pub(crate) fn keep(&mut self, entry: &str, node: NodeId, policy: TapPolicy, value: Tensor) {
        let kept = self.kept.entry((entry.into(), node)).or_insert(Kept {
            policy,
            steps: Vec::new(),
        });
        kept.policy = policy;
        if policy == TapPolicy::Last {
            kept.steps.clear();
        }
        kept.steps.push(value);
    }

    pub(crate) fn kept(&self, entry: &str, node: NodeId) -> Option<&[Tensor]> {
        let kept = self.kept.get(&(entry.to_owned(), node))?;
        Some(&kept.steps)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use glassformer_graph::StateDecl;

    #[test]
    fn a_failed_growth_is_taken_back() {
        let state = |name: &str, width| StateDecl {
            name: name.into(),
            row: vec![1, width],
            max_len: 1000,
            kind: StateKind::Sequence,
        };
        let model = Model {
            states: vec![state("a", 2), state("b", 3)],
            ..Model::default()
        };
        let mut session = Session::new(&model, 2, 1000);
        session.reserve(100).unwrap();
        let rows = |width: usize| (0..2 * 100 * width).map(|i| i as f32).collect::<Vec<_>>();
        session.append(StateId(0), &rows(2));
        session.append(StateId(1), &rows(3));
        session.len = 100;
        session.reserve(300).unwrap();
        assert_eq!(session.state_rows(StateId(0), 100), rows(2));

        // As if the second state had found no memory for 768 positions.
        let grown = 768;
        let (old, width) = (session.capacity, 2);
        let mut larger = vec![0.0; 2 * grown * width];
        for b in 0..2 {
            let used = &session.states[0][b * old * width..][..100 * width];
            larger[b * grown * width..][..100 * width].copy_from_slice(used);
        }
        session.states[0] = larger;
        session.shrink(1, grown);
        assert_eq!(session.capacity, old);
        assert_eq!(session.state_rows(StateId(0), 100), rows(2));
        assert_eq!(session.state_rows(StateId(1), 100), rows(3));
    }
}
