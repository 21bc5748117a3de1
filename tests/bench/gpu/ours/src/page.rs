//! What the page calls.

use std::rc::Rc;

use glassformer_gpu::{Gpu, GpuExecutor, Wanted};
use glassformer_graph::{Encoding, Executor, Input, Model, Precision, Run, SessionId, WeightId};
use wasm_bindgen::prelude::*;

use crate::graph::{ENTRY, Operation, model};

type Result<T, E = JsError> = std::result::Result<T, E>;

/// The device that all cases use, one after the other.
#[wasm_bindgen]
pub struct Device(Rc<Gpu>);

#[wasm_bindgen]
impl Device {
    /// Opens it.
    pub async fn open() -> Result<Device> {
        console_error_panic_hook::set_once();
        Ok(Self(Gpu::open(Wanted::default()).await?))
    }

    /// Matrix products of `x` [rows, inputs] with matrices [layers, outputs, inputs], given as
    /// their bytes in the encoding `f32` or `q4_1`.
    pub fn product(
        &self,
        layers: usize,
        inputs: usize,
        outputs: usize,
        x: &[f32],
        matrices: &[u8],
        encoding: &str,
    ) -> Result<Ours> {
        let encoding = match encoding {
            "f32" => Encoding::F32,
            "q4_1" => Encoding::Q4_1,
            other => return Err(JsError::new(&format!("no encoding is called {other}"))),
        };
        let rows = x.len() / inputs;
        let model = model(Operation::Product { inputs, outputs }, rows, layers)?;
        let mut weights: Vec<(Encoding, &[u8])> = vec![(Encoding::F32, bytemuck::cast_slice(x))];
        let matrices = matrices.chunks_exact(matrices.len() / layers);
        weights.extend(matrices.map(|matrix| (encoding, matrix)));
        Ours::new(self, model, &weights, rows, rows)
    }

    /// Attentions of `query` [rows, heads, head_dim], the last of the positions in `keys` and
    /// `values` [layers, positions, kv_heads, head_dim].
    #[allow(clippy::too_many_arguments, reason = "called by name from JavaScript")]
    pub fn attention(
        &self,
        layers: usize,
        heads: usize,
        kv_heads: usize,
        head_dim: usize,
        query: &[f32],
        keys: &[f32],
        values: &[f32],
    ) -> Result<Ours> {
        let rows = query.len() / (heads * head_dim);
        let per_layer = keys.len() / layers;
        let positions = per_layer / (kv_heads * head_dim);
        let operation = Operation::Attention {
            heads,
            kv_heads,
            head_dim,
            positions,
        };
        let model = model(operation, rows, layers)?;
        let bytes = |numbers| (Encoding::F32, bytemuck::cast_slice::<f32, u8>(numbers));
        let mut weights = vec![bytes(query)];
        for (keys, values) in keys
            .chunks_exact(per_layer)
            .zip(values.chunks_exact(per_layer))
        {
            weights.extend([bytes(keys), bytes(values)]);
        }
        Ours::new(self, model, &weights, rows, positions)
    }
}

/// A case that is loaded.
#[wasm_bindgen]
pub struct Ours {
    executor: GpuExecutor,
    model: Rc<Model>,
    session: SessionId,
    rows: usize,
    positions: usize,
}

impl Ours {
    /// Loads a model whose last `rows` positions are to be measured, and computes those before.
    fn new(
        device: &Device,
        model: Model,
        weights: &[(Encoding, &[u8])],
        rows: usize,
        positions: usize,
    ) -> Result<Self> {
        let model = Rc::new(model);
        let mut executor = GpuExecutor::new(Rc::clone(&device.0), Precision::Exact);
        let encodings: Vec<Encoding> = weights.iter().map(|(encoding, _)| *encoding).collect();
        executor.load(Rc::clone(&model), &encodings)?;
        for (i, (_, bytes)) in weights.iter().enumerate() {
            executor.write_weight(WeightId(i), bytes)?;
        }
        executor.finish_load()?;
        let session = executor.open(1, positions)?;
        let mut ours = Self {
            executor,
            model,
            session,
            rows,
            positions,
        };
        if positions > rows {
            ours.compute(0..positions - rows)?;
        }
        Ok(ours)
    }

    fn compute(&mut self, positions: std::ops::Range<usize>) -> Result<()> {
        let positions: Vec<u32> = positions.map(|position| position as u32).collect();
        let rows: Vec<u32> = (0..positions.len())
            .map(|i| (i % self.rows) as u32)
            .collect();
        let mut inputs = vec![Input {
            name: "rows",
            data: &rows,
        }];
        if !self.model.states.is_empty() {
            inputs.push(Input {
                name: "positions",
                data: &positions,
            });
        }
        self.executor.run(Run {
            session: self.session,
            entry: ENTRY,
            inputs: &inputs,
            taps: &[],
        })?;
        Ok(())
    }
}

#[wasm_bindgen]
impl Ours {
    /// Hands so many runs to the device; what was computed last is waited for by reading it.
    pub fn run(&mut self, times: usize) -> Result<()> {
        let past = self.positions - self.rows;
        for _ in 0..times {
            if !self.model.states.is_empty() {
                self.executor.truncate(self.session, past)?;
            }
            self.compute(past..self.positions)?;
        }
        Ok(())
    }

    /// One row of a layer's output [rows, width].
    pub async fn read_row(&self, layer: usize, row: usize) -> Result<Vec<f32>> {
        self.read_part(layer, &[0, row]).await
    }

    /// All rows of a layer's output.
    pub async fn read(&self, layer: usize) -> Result<Vec<f32>> {
        self.read_part(layer, &[]).await
    }

    async fn read_part(&self, layer: usize, select: &[usize]) -> Result<Vec<f32>> {
        let name = format!("y{layer}");
        let node = self
            .model
            .entries
            .get(ENTRY)
            .and_then(|graph| graph.find(&name));
        let node = node.ok_or_else(|| JsError::new(&format!("there is no {name}")))?;
        let read = self.executor.read(self.session, ENTRY, node, select);
        let tensors = read.await?;
        Ok(tensors.into_iter().flat_map(|tensor| tensor.data).collect())
    }
}
