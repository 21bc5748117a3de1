//! Matches the weights a model declares with the tensors of its files.

use std::collections::HashMap;

use glassformer_graph::{Encoding, WeightId};
use glassformer_weights::TensorInfo;

use crate::{Blueprint, ModelError};

/// Which tensor is which weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Of each weight, in the model's order.
    pub encodings: Vec<Encoding>,
    /// By tensor name; tensors that are not listed are skipped.
    pub weights: HashMap<String, WeightId>,
}

/// Whether a tensor is what a weight declares: axes of length one in front say nothing, a single number
/// is a vector of one, and a convolution's kernels `[out, channels, height, width]` are the rows of a
/// matrix.
fn fits(tensor: &[usize], declared: &[usize]) -> bool {
    let some = tensor.len().saturating_sub(declared.len());
    let (front, rest) = tensor.split_at(some);
    if rest == declared && front.iter().all(|&n| n == 1) {
        return true;
    }
    match (tensor, declared) {
        ([], [1]) => true,
        ([out, kernel @ ..], [rows, columns]) if kernel.len() == 3 => {
            out == rows && kernel.iter().product::<usize>() == *columns
        }
        _ => false,
    }
}

/// Finds every declared weight among the tensors of all files.
///
/// # Errors
/// If a weight is missing or has another shape, or a tensor would be ignored: then the model
/// would answer, but wrongly. Those of [`Blueprint::unused`] may be.
pub fn bind_weights<'t>(
    blueprint: &Blueprint,
    tensors: impl IntoIterator<Item = &'t TensorInfo>,
) -> Result<Binding, ModelError> {
    let model = &blueprint.model;
    let tensors: HashMap<&str, &TensorInfo> =
        tensors.into_iter().map(|t| (t.name.as_str(), t)).collect();
    let mut binding = Binding {
        encodings: Vec::with_capacity(model.weights.len()),
        weights: HashMap::with_capacity(model.weights.len()),
    };
    for (i, decl) in model.weights.iter().enumerate() {
        let tensor = tensors
            .get(decl.name.as_str())
            .ok_or_else(|| ModelError::MissingWeight(decl.name.clone()))?;
        if !fits(&tensor.shape, &decl.shape) {
            return Err(ModelError::WeightShape {
                name: decl.name.clone(),
                found: tensor.shape.clone(),
                expected: decl.shape.clone(),
            });
        }
        binding.encodings.push(tensor.encoding);
        binding.weights.insert(decl.name.clone(), WeightId(i));
    }
    let ignorable = |name: &str| blueprint.unused.iter().any(|end| name.ends_with(end));
    let mut unused: Vec<&str> = tensors
        .into_keys()
        .filter(|name| !binding.weights.contains_key(*name) && !ignorable(name))
        .collect();
    unused.sort_unstable();
    match unused.first() {
        Some(name) => Err(ModelError::UnusedWeight((*name).into())),
        None => Ok(binding),
    }
}
