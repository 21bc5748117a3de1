//! The graphs: `layers` operations of one kind, each with weights or caches of its own.
//!
//! Graphs take ids and no numbers, so what the operations read is looked up in tables first, in a
//! dispatch of its own; it is part of what is measured.

use glassformer_graph::{Builder, GraphError, Mask, Model, NodeId, Symbol};

/// The name of the only entry.
pub const ENTRY: &str = "run";

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// `x [batch, q_len, inputs] · Wᵀ [inputs, outputs]`.
    Product {
        /// Numbers of a row that is read.
        inputs: usize,
        /// Numbers of a row that is written.
        outputs: usize,
    },
    /// Appends to a cache, then attends causally.
    Attention {
        /// Of queries.
        heads: usize,
        /// Of keys and values.
        kv_heads: usize,
        /// Numbers of a head.
        head_dim: usize,
        /// Positions of keys and values.
        positions: usize,
    },
}

/// A model of `layers` operations over `rows` rows of input. Its weights, in order: the table of
/// the rows; then of each layer the matrix, or the tables of keys and values.
///
/// # Errors
/// If the sizes do not fit each other.
pub fn model(operation: Operation, rows: usize, layers: usize) -> Result<Model, GraphError> {
    let mut builder = Builder::new();
    let outputs = match operation {
        Operation::Product { inputs, outputs } => {
            let x = table(&mut builder, "x", [rows, inputs])?;
            let product = |layer: usize| {
                let name = format!("y{layer}");
                let weight = builder.weight(format!("{name}.weight"), &[outputs, inputs])?;
                builder.linear(&name, x, weight, None)
            };
            (0..layers).map(product).collect::<Result<Vec<_>, _>>()?
        }
        Operation::Attention {
            heads,
            kv_heads,
            head_dim,
            positions,
        } => {
            let query = table(&mut builder, "query", [rows, heads * head_dim])?;
            let query = builder.split("query.heads", query, heads)?;
            let ids = builder.input("positions", &[Symbol::Batch, Symbol::QueryLen])?;
            let mut outputs = Vec::with_capacity(layers);
            for layer in 0..layers {
                let mut cached = |what: &str| {
                    let name = format!("{what}{layer}");
                    let shape = [positions, kv_heads * head_dim];
                    let weight = builder.weight(format!("{name}.table"), &shape)?;
                    let new = builder.embedding(&name, ids, weight)?;
                    let new = builder.split(&format!("{name}.heads"), new, kv_heads)?;
                    let row = [kv_heads, head_dim];
                    let state = builder.state(format!("{name}.cache"), &row, positions);
                    builder.append(&format!("{name}.append"), new, state)
                };
                let (key, value) = (cached("key")?, cached("value")?);
                let scale = 1.0 / (head_dim as f32).sqrt();
                let name = |part: &str| format!("y{layer}.{part}");
                let scores = name("scores");
                let scores =
                    builder.attention_scores(&scores, query, key, None, scale, Mask::Causal)?;
                let probs = builder.softmax(&name("probs"), scores)?;
                outputs.push(builder.attention_context(&format!("y{layer}"), probs, value)?);
            }
            outputs
        }
    };
    builder.entry(ENTRY, &outputs)?;
    Ok(builder.finish())
}

/// Rows of a table, which the input `rows` names.
fn table(builder: &mut Builder, name: &str, shape: [usize; 2]) -> Result<NodeId, GraphError> {
    let ids = builder.input("rows", &[Symbol::Batch, Symbol::QueryLen])?;
    let weight = builder.weight(format!("{name}.table"), &shape)?;
    builder.embedding(name, ids, weight)
}
