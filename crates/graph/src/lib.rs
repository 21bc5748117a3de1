//! A model is a graph of named operations; an executor runs it; anything named can be looked at.
//!
//! This crate holds the description only: [`Op`]s with shapes over bounded symbols, the
//! [`Builder`] that checks them, the finished [`Model`], and the [`Executor`] trait that the CPU
//! and GPU implement. Beside them,
//! what every executor keeps of a token's logits ([`KeptLogits`]). It knows no file format and does
//! no input or output.

mod blocks;
mod builder;
mod encoding;
mod exec;
mod kept;
mod lengths;
pub mod lower;
mod model;
mod op;
mod shape;
mod sources;

pub use blocks::BlockStream;
pub use builder::Builder;
pub use encoding::{BLOCK, Encoding};
pub use exec::{
    Backend, Choice, Choosing, Counts, ExecError, Executor, Input, LocalFuture, Precision, Run,
    Select, SessionId, Tap, TapPolicy, Tensor, part,
};
pub use kept::{AT_ONE, KEPT, KeptLogits, LOG_SUMS, LogSum, inverse_temperature, largest};
pub use model::{
    Graph, Model, Node, NodeId, Role, Stack, StateDecl, StateId, StateKind, TableDecl, TableId,
    WeightDecl, WeightId,
};
pub use op::{Binary, MASKED, Mask, Op, Pool, RopeLayout, Unary, Unfold};
pub use shape::{Bindings, Dim, Shape, Symbol};
pub use sources::Sources;

/// What can be wrong with a graph while it is built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// An operation was given operands that do not fit.
    #[error("The model does not fit together at {node}: {reason}.")]
    Shape {
        /// Name of the node that was being added.
        node: String,
        /// What was expected and what came.
        reason: String,
    },
    /// A query that sees no key has no probabilities.
    #[error("The attention {0} sees nothing: its window has no positions.")]
    EmptyWindow(String),
    /// Two nodes of a graph, or two weights, have the same name.
    #[error("The model names {0} twice.")]
    DuplicateName(String),
}
