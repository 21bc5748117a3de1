//! Compiling before the first run.

use std::rc::Rc;

use glassformer_graph::{Bindings, Graph, Role, Stack, Tap, TapPolicy};

use super::{GpuExecutor, Result};
use crate::choose;
use crate::kernel::Kernel;
use crate::prepared::Prepared;

impl GpuExecutor {
    /// [`glassformer_graph::Executor::prepare`]: lowers what runs of these sizes need and compiles
    /// it, and the shader that chooses tokens where the entry has logits.
    pub(super) async fn warm(&mut self, entry: &str, runs: &[Bindings]) -> Result<()> {
        let model = Rc::clone(&self.model);
        let graph = model.entry(entry)?;
        let mut plans = Vec::new();
        let taps = looked_at(graph);
        let kinds = [&[][..], &taps];
        let kinds = &kinds[..if taps.is_empty() { 1 } else { 2 }];
        for (bindings, taps) in runs
            .iter()
            .flat_map(|run| kinds.iter().map(move |k| (run, *k)))
        {
            let key = self.key(graph, entry, taps, self.sizes(graph, bindings))?;
            if !self.plans.contains_key(&key) && plans.iter().all(|(other, _)| *other != key) {
                let plan = self.lower(graph, &key)?;
                plans.push((key, plan));
            }
        }
        let logits = graph.role(Role::Logits).map(|id| &graph.node(id).shape);
        let chooses = logits.and_then(|shape| shape.width()).map(choose::kernel);
        let dispatches = plans.iter().flat_map(|(_, plan)| &plan.dispatches);
        let all = dispatches.map(|dispatch| &dispatch.kernel).chain(&chooses);
        let mut kernels: Vec<&Kernel> = Vec::new();
        for kernel in all {
            if !kernels.contains(&kernel) {
                kernels.push(kernel);
            }
        }
        self.gpu.warm(&kernels).await?;
        self.gpu.check()?;
        for (key, plan) in plans {
            let prepared = Prepared::new(&self.gpu, plan)?;
            self.plans.insert(key, prepared);
        }
        Ok(())
    }
}

/// What is looked at in every run of an entry: a translation is aligned by how its words attend to the
/// source, unless somebody asks for another layer.
fn looked_at(graph: &Graph) -> Vec<Tap> {
    let stack = Stack::Cross;
    let probs = |layer| graph.role(Role::AttentionProbs { stack, layer });
    let last = (0..).map_while(probs).last();
    let policy = TapPolicy::Last;
    last.map(|node| Tap { node, policy }).into_iter().collect()
}
