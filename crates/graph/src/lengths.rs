//! The lengths of a run, found from its inputs, and its indices checked before anything runs.

use crate::{Bindings, Dim, ExecError, Graph, Mask, Model, NodeId, Op, Pool, Run, Symbol};

impl Graph {
    /// Finds the lengths of a run from its inputs, for a session of `batch` sequences that holds
    /// `past` positions. The length of a source that the session holds already is not among the
    /// inputs: whoever keeps the session adds it.
    ///
    /// # Errors
    /// If an input is missing or its length does not fit its shape.
    pub fn bind(&self, run: &Run<'_>, batch: usize, past: usize) -> Result<Bindings, ExecError> {
        let mut bindings = Bindings {
            batch,
            ..Bindings::default()
        };
        for id in self.ids() {
            let node = self.node(id);
            if let Op::Sequence { first } = &node.op
                && let Some(Dim::Fixed(places)) = self.node(node.inputs[0]).shape.0.get(1)
            {
                bindings.query_len = places + first.len();
            }
            if !matches!(node.op, Op::Input | Op::Values) {
                continue;
            }
            let len = self.input(run, id)?.len();
            let mut known = 1;
            let mut open = None;
            for dim in &node.shape.0 {
                match dim {
                    Dim::Fixed(n) => known *= n,
                    Dim::Symbol(Symbol::Batch) => known *= bindings.batch,
                    Dim::Symbol(symbol) => open = Some(*symbol),
                }
            }
            let misfit = || ExecError::InputShape {
                name: node.name.clone(),
                len,
                shape: node.shape.to_string(),
            };
            if known == 0 || !len.is_multiple_of(known) {
                return Err(misfit());
            }
            match open {
                Some(Symbol::QueryLen) => bindings.query_len = len / known,
                Some(Symbol::Rows) => bindings.rows = len / known,
                Some(Symbol::SourceLen) => bindings.source_len = len / known,
                Some(Symbol::Candidates) => bindings.candidates = len / known,
                Some(_) => return Err(misfit()),
                None if len != known => return Err(misfit()),
                None => {}
            }
            if matches!(open, Some(Symbol::QueryLen | Symbol::SourceLen)) && len == 0 {
                return Err(misfit());
            }
        }
        let past = if self.appends() { past } else { 0 };
        bindings.kv_len = past + bindings.query_len;
        Ok(bindings)
    }

    /// What a run gives for an input node.
    ///
    /// # Errors
    /// If it gives nothing.
    pub fn input<'a>(&self, run: &Run<'a>, id: NodeId) -> Result<&'a [u32], ExecError> {
        let name = &self.node(id).name;
        let given = run.inputs.iter().find(|input| input.name == name);
        given
            .map(|input| input.data)
            .ok_or_else(|| ExecError::Unknown {
                what: "input",
                name: name.clone(),
            })
    }

    /// Checks every id and row of a run against what it indexes.
    ///
    /// # Errors
    /// Names the first that does not exist.
    pub fn check_indices(
        &self,
        model: &Model,
        run: &Run<'_>,
        bindings: &Bindings,
    ) -> Result<(), ExecError> {
        for node in self.nodes() {
            match node.op {
                Op::Embedding { weight } => {
                    let ids = self.input(run, node.inputs[0])?;
                    check_range("Token", ids, model.weights[weight.0].shape[0])?;
                }
                Op::LinearRows { weight, .. } => {
                    let words = self.input(run, node.inputs[1])?;
                    check_range("Word", words, model.weights[weight.0].shape[0])?;
                }
                Op::Positions { table } => {
                    let wanted = match node.shape.0[1] {
                        Dim::Symbol(Symbol::SourceLen) => bindings.source_len,
                        _ => bindings.kv_len,
                    };
                    let max = model.tables[table.0].shape[0];
                    if wanted > max {
                        return Err(ExecError::ContextFull { wanted, max });
                    }
                }
                Op::Recall { .. } if bindings.source_len == 0 => return Err(ExecError::NoSource),
                Op::SelectRows => {
                    let rows = self.input(run, node.inputs[1])?;
                    check_range("Row", rows, bindings.query_len)?;
                }
                Op::PositionEmbedding { weight, offset } => {
                    let max = model.weights[weight.0].shape[0].saturating_sub(offset);
                    let wanted = bindings.kv_len;
                    if wanted > max {
                        return Err(ExecError::ContextFull { wanted, max });
                    }
                }
                Op::AttentionScores {
                    mask: Mask::Lengths,
                    ..
                } => {
                    let keys = self.node(node.inputs[1]).shape.bind(bindings)[1];
                    check_lengths(self.input(run, node.inputs[2])?, 1, keys)?;
                }
                Op::Store { .. } => {
                    let lengths = self.input(run, node.inputs[1])?;
                    check_lengths(lengths, 1, bindings.source_len)?;
                }
                Op::Pool(pool) => {
                    let least = match pool {
                        Pool::First | Pool::Last => 1,
                        Pool::MeanFrom(from) => from + 1,
                    };
                    let all = [bindings.query_len as u32];
                    let lengths = node.inputs.get(1).map(|&id| self.input(run, id));
                    let lengths = lengths.transpose()?.unwrap_or(&all);
                    check_lengths(lengths, least, bindings.query_len)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn check_lengths(lengths: &[u32], least: usize, max: usize) -> Result<(), ExecError> {
    let fits = |len: &&u32| (least..=max).contains(&(**len as usize));
    match lengths.iter().find(|len| !fits(len)) {
        Some(&length) => Err(ExecError::SequenceLength { length, max }),
        None => Ok(()),
    }
}

fn check_range(what: &'static str, indices: &[u32], len: usize) -> Result<(), ExecError> {
    match indices.iter().find(|&&i| i as usize >= len) {
        Some(&index) => Err(ExecError::OutOfRange {
            what,
            index: index as usize,
            len,
        }),
        None => Ok(()),
    }
}
