//! A shader with its constants, and one dispatch of it.

use glassformer_graph::{Bindings, Dim, ExecError, NodeId, StateId};

use crate::shaders::Variant;

/// A shader, the includes it takes and its constants: what one pipeline is compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Name of the shader file.
    pub operation: &'static str,
    /// Which includes.
    pub variant: Variant,
    /// Names and the bits of their values.
    constants: Vec<(&'static str, u64)>,
}

impl Kernel {
    /// A kernel without constants.
    pub fn new(operation: &'static str, variant: Variant) -> Self {
        Self {
            operation,
            variant,
            constants: Vec::new(),
        }
    }

    /// With a constant.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.constants.push((name, value.into().to_bits()));
        self
    }

    /// With a count or an offset, which is below 2³² because buffers are.
    #[must_use]
    pub fn count(self, name: &'static str, value: usize) -> Self {
        self.with(name, value as u32)
    }

    /// With a switch.
    #[must_use]
    pub fn flag(self, name: &'static str, value: bool) -> Self {
        self.with(name, f64::from(u8::from(value)))
    }

    pub(crate) fn constants(&self) -> Vec<(&'static str, f64)> {
        let constants = self.constants.iter();
        constants
            .map(|&(name, bits)| (name, f64::from_bits(bits)))
            .collect()
    }
}

/// Where a dispatch finds a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The lengths of the run.
    Run,
    /// Gains, biases and tables.
    Vectors,
    /// The numbers of matrices.
    Numbers(usize),
    /// Their scales.
    Scales(usize),
    /// A node's value: at first the node itself, later the buffer it shares.
    Value(usize),
    /// A session's state.
    State(StateId),
    /// Which source each sequence of a session has, and its length.
    Sources,
    /// What the caller gave for this input node.
    Input(NodeId),
}

/// A number of workgroups: the product of the dimensions, divided by what one takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Multiplied.
    pub dims: Vec<Dim>,
    /// Of them in one workgroup.
    pub per: usize,
}

impl Count {
    /// One workgroup for `per` of the product.
    pub fn new(dims: &[Dim], per: usize) -> Self {
        Self {
            dims: dims.to_vec(),
            per,
        }
    }

    /// A count that is known now.
    pub fn fixed(len: usize, per: usize) -> Self {
        Self::new(&[Dim::Fixed(len)], per)
    }

    /// The count in one run.
    pub fn get(&self, bindings: &Bindings) -> usize {
        let length = |dim: &Dim| match dim {
            Dim::Fixed(n) => *n,
            Dim::Symbol(symbol) => bindings.get(*symbol),
        };
        let product = self.dims.iter().map(length).fold(1, usize::saturating_mul);
        product.div_ceil(self.per)
    }
}

/// One dispatch of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// What runs.
    pub kernel: Kernel,
    /// What it reads and writes, by binding number.
    pub bindings: Vec<(u32, Place)>,
    /// Workgroups along x and y. A y beyond what a dispatch takes goes on along z.
    pub groups: [Count; 2],
    /// The node whose value it computes; the first of them, if several.
    pub node: NodeId,
}

/// Most workgroups along one axis, by default and nearly everywhere.
const MOST_GROUPS: usize = 65535;

/// Shaders whose rows may go on along z.
const ANY_NUMBER_OF_ROWS: [&str; 2] = ["attention_scores", "softmax"];

impl Dispatch {
    /// Checks that a run's rows fit into one dispatch.
    ///
    /// # Errors
    /// If they do not.
    pub fn check(&self, bindings: &Bindings) -> Result<(), ExecError> {
        let [x, y] = [0, 1].map(|axis| self.groups[axis].get(bindings));
        let tall = y > MOST_GROUPS && !ANY_NUMBER_OF_ROWS.contains(&self.kernel.operation);
        if x > MOST_GROUPS || tall || y.div_ceil(MOST_GROUPS) > MOST_GROUPS {
            let operation = self.kernel.operation;
            let message = format!("{operation} takes at most {MOST_GROUPS} rows at once.");
            return Err(ExecError::Device(message));
        }
        Ok(())
    }

    /// Workgroups of one run; none if there is nothing to compute.
    pub fn workgroups(&self, bindings: &Bindings) -> Option<[u32; 3]> {
        let [x, y] = [0, 1].map(|axis| self.groups[axis].get(bindings));
        if x == 0 || y == 0 {
            return None;
        }
        let z = y.div_ceil(MOST_GROUPS);
        Some([x, y.div_ceil(z), z].map(|n| n as u32))
    }
}
