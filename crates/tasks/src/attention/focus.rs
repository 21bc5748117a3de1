//! One query, run again with everything of its layer kept.

use glassformer_graph::{Executor, SessionId, Stack, Tensor};

use super::{AttentionRun, LayerNodes, Result, read};
use crate::TaskError;

/// One query of one head, all the way: every number is a tap of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Focus {
    /// `[head_dim]`.
    pub query: Vec<f32>,
    /// `[keys, head_dim]`.
    pub keys: Vec<f32>,
    /// `[keys, head_dim]`.
    pub values: Vec<f32>,
    /// `[keys]`, scaled and masked.
    pub scores: Vec<f32>,
    /// `[keys]`, summing to one.
    pub probs: Vec<f32>,
    /// `[heads · head_dim]`: what all heads of the layer read, behind each other.
    pub context: Vec<f32>,
    /// `[hidden]`: after the output matrix.
    pub output: Vec<f32>,
}

impl Focus {
    /// With so many keys in front that are never looked at, as [`AttentionRun::map`] has them.
    fn behind(mut self, count: usize) -> Self {
        let dim = self.query.len();
        for (numbers, fill, each) in [
            (&mut self.keys, 0.0, dim),
            (&mut self.values, 0.0, dim),
            (&mut self.scores, f32::NEG_INFINITY, 1),
            (&mut self.probs, 0.0, 1),
        ] {
            let own = std::mem::replace(numbers, vec![fill; count * each]);
            numbers.extend(own);
        }
        self
    }
}

impl AttentionRun {
    /// One query of one head, all the way.
    ///
    /// The position is run again with everything kept: alone, where the session holds what stands
    /// before it, and else with its text.
    ///
    /// # Errors
    /// If there is no such head or token, or from the executor.
    pub async fn focus(
        &self,
        exec: &mut dyn Executor,
        layer: usize,
        head: usize,
        from: usize,
    ) -> Result<Focus> {
        self.layout.check(layer, head)?;
        if from >= self.ids.len() {
            return Err(TaskError::NoSuchToken {
                index: from,
                tokens: self.ids.len(),
            });
        }
        let nodes = self.layout.layers[layer];
        let (session, tokens, row) = if self.layout.appends {
            let session = exec.fork(self.session)?;
            exec.truncate(session, from)?;
            (session, from..from + 1, 0)
        } else {
            (exec.open(1, self.ids.len())?, 0..self.ids.len(), from)
        };
        // What was forked has its source.
        let ready = match self.layout.appends {
            true => Ok(()),
            false => self.encode(exec, session),
        };
        let ran = ready.and_then(|()| self.run(exec, session, tokens, &nodes.all()));
        let focus = match ran {
            Ok(()) => self.read_focus(exec, session, nodes, head, row).await,
            Err(error) => Err(error),
        };
        exec.close(session);
        match self.layout.stack {
            Stack::Cross => focus.map(|focus| focus.behind(self.ids.len())),
            _ => focus,
        }
    }

    async fn read_focus(
        &self,
        exec: &dyn Executor,
        session: SessionId,
        nodes: LayerNodes,
        head: usize,
        row: usize,
    ) -> Result<Focus> {
        let entry = &self.layout.entry;
        let of_kv_head = |tensor: Tensor| {
            let (heads, dim) = (self.layout.kv_heads, self.layout.head_dim);
            let at = self.layout.kv_head(head) * dim;
            let keys = tensor.data.chunks_exact(heads * dim);
            keys.flat_map(|key| &key[at..at + dim]).copied().collect()
        };
        let one = async |node, select: &[usize]| {
            let tensor: Result<Tensor> = read(exec, session, entry, node, select).await;
            tensor
        };
        Ok(Focus {
            query: one(nodes.query, &[0, row, head]).await?.data,
            keys: of_kv_head(one(nodes.key, &[0]).await?),
            values: of_kv_head(one(nodes.value, &[0]).await?),
            scores: one(nodes.scores, &[0, head, row]).await?.data,
            probs: one(nodes.probs, &[0, head, row]).await?.data,
            context: one(nodes.context, &[0, row]).await?.data,
            output: one(nodes.output, &[0, row]).await?.data,
        })
    }
}
