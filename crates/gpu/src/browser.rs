//! What wgpu leaves out in a browser: the feature `subgroups`, and pipelines compiled aside.

mod pipelines;
mod subgroups;

pub(crate) use pipelines::compile;
pub(crate) use subgroups::Asking;
