//! The graphs, each run over many lengths.

mod attention;
mod blocks;
mod fusions;
mod pictures;
mod simple;
mod translation;

pub use simple::{SMALL_BINDING, parts};

use std::future::Future;
use std::pin::Pin;

use crate::{On, Report};

/// How much to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    All,
    /// What a slow device finishes within seconds.
    Some,
}

/// A case on its way.
pub type Comparing = Pin<Box<dyn Future<Output = Report>>>;

/// A case: compares a few graphs on a device.
pub type Case = fn(On, Extent) -> Comparing;

/// Cases without a product of a matrix: the same in either precision, with and without subgroups.
pub const WITHOUT_MATRICES: [&str; 6] = [
    "recurrent",
    "pooling",
    "elements",
    "attention_with_a_cache",
    "attention_without_a_cache",
    "attention_over_many_keys",
];

/// Every case by its name.
pub const ALL: &[(&str, Case)] = &[
    ("elements", |on, extent| {
        Box::pin(simple::elements(on, extent))
    }),
    ("products", |on, extent| {
        Box::pin(simple::products(on, extent))
    }),
    ("weights_in_pieces", |on, extent| {
        Box::pin(simple::weights_in_pieces(on, extent))
    }),
    ("attention_with_a_cache", |on, extent| {
        Box::pin(attention::with_a_cache(on, extent))
    }),
    ("attention_without_a_cache", |on, extent| {
        Box::pin(attention::without_a_cache(on, extent))
    }),
    ("attention_over_many_keys", |on, extent| {
        Box::pin(attention::over_many_keys(on, extent))
    }),
    ("projections", |on, extent| {
        Box::pin(fusions::projections(on, extent))
    }),
    ("products_with_neighbours", |on, extent| {
        Box::pin(fusions::products(on, extent))
    }),
    ("pictures", |on, extent| {
        Box::pin(pictures::pictures(on, extent))
    }),
    ("pooling", |on, extent| {
        Box::pin(pictures::pooling(on, extent))
    }),
    ("blocks", |on, extent| Box::pin(blocks::blocks(on, extent))),
    ("chosen_rows", |on, extent| {
        Box::pin(translation::chosen_rows(on, extent))
    }),
    ("recurrent", |on, extent| {
        Box::pin(translation::recurrent(on, extent))
    }),
    ("sources", |on, extent| {
        Box::pin(translation::sources(on, extent))
    }),
];

/// Sequences and positions of runs without a past: few and many rows of input, and tiles of 32
/// that are not full, full and just begun.
fn lengths(extent: Extent) -> &'static [(usize, usize)] {
    match extent {
        Extent::All => &[
            (1, 1),
            (3, 1),
            (1, 2),
            (1, 4),
            (1, 5),
            (3, 2),
            (1, 31),
            (1, 32),
            (3, 11),
            (1, 65),
            (3, 33),
        ],
        Extent::Some => &[(1, 1), (3, 11)],
    }
}
