//! Choosing tokens on the device: when it can be, and the sessions that do.

use std::rc::Rc;

use glassformer_graph::{
    Bindings, Choice, Choosing, Dim, ExecError, KEPT, NodeId, SessionId, Symbol,
};

use super::{GpuExecutor, Result, no_model};
use crate::choose::{Chooser, ONE_TOKEN, Stage};
use crate::lower::MANY_KEYS;
use crate::prepared::Prepared;

impl GpuExecutor {
    /// [`glassformer_graph::Executor::begin_choosing`].
    pub(super) fn choose_ahead(&mut self, choosing: &Choosing<'_>) -> Result<bool> {
        self.gpu.check()?;
        // A token that a penalty below 1 makes likelier may come from anywhere in the vocabulary.
        if choosing.repetition_penalty < 1.0 || self.session(choosing.session)?.batch != 1 {
            return Ok(false);
        }
        let model = Rc::clone(&self.model);
        let graph = model.entry(choosing.entry)?;
        let (Some(ids), Some(rows)) = (graph.find("ids"), graph.find("rows")) else {
            return Ok(false);
        };
        // The shader moves on by one token, whatever it attends to; a source does not move.
        if graph.mentions(Dim::Symbol(Symbol::SourceLen)) {
            return Ok(false);
        }
        // Every token would come back undecided.
        let logits = graph.nodes().get(choosing.logits.0);
        let vocab = logits.and_then(|node| node.shape.width());
        let beyond = choosing.top_k as usize > KEPT && vocab.is_none_or(|vocab| vocab > KEPT);
        if choosing.temperature > 0.0 && beyond {
            return Ok(false);
        }
        // Should the device not decide the first token, what was submitted behind it still runs: not
        // where it would overwrite what the session holds.
        let next = Bindings {
            kv_len: self.session(choosing.session)?.len + 1,
            ..ONE_TOKEN
        };
        let key = self.key(graph, choosing.entry, &[], self.sizes(graph, &next))?;
        let plan = self.lower(graph, &key)?;
        // Tokens are encoded ahead, with the same workgroups and buffers at every position.
        if plan.grows() {
            return Ok(false);
        }
        let mut prepared = Prepared::new(&self.gpu, plan)?;
        let (id, store) = (choosing.session, self.store.as_ref().ok_or_else(no_model)?);
        let session = self.sessions.get_mut(&id);
        let session = session.ok_or_else(|| ExecError::unknown_session(id))?;
        let inputs: [(NodeId, &[u32]); 2] = [(ids, &[0]), (rows, &[0])];
        prepared.begin(&self.gpu, graph, &inputs, &next, session.capacity)?;
        let gpu = &self.gpu;
        let stage = Stage {
            gpu,
            store,
            id,
            session,
        };
        // With many keys another plan goes on: the caller begins anew there.
        let most = match MANY_KEYS.checked_sub(next.kv_len) {
            Some(left) => choosing.draws.len().min(left + 2),
            None => choosing.draws.len(),
        };
        let chooser = Chooser::new(&stage, prepared, ids, (choosing, most))?;
        self.choosers.insert(id, chooser);
        Ok(true)
    }

    /// [`glassformer_graph::Executor::next_choice`].
    pub(super) async fn chosen(&mut self, id: SessionId) -> Result<Option<Choice>> {
        let chooser = self.choosers.get_mut(&id);
        let chooser = chooser.ok_or_else(|| ExecError::unknown_session(id))?;
        let session = self.sessions.get_mut(&id);
        let session = session.ok_or_else(|| ExecError::unknown_session(id))?;
        let (gpu, store) = (&*self.gpu, self.store.as_ref().ok_or_else(no_model)?);
        loop {
            chooser.top_up(&mut Stage {
                gpu,
                store,
                id,
                session,
            })?;
            if let Some((choice, len)) = chooser.take() {
                session.len = len;
                if choice.id.is_none() {
                    chooser.keep_logits(gpu, session);
                }
                return Ok(Some(choice));
            }
            if !chooser.arrive(gpu).await? {
                return Ok(None);
            }
        }
    }
}
