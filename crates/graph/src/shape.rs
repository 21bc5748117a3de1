//! Shapes whose dimensions may be symbols, so that one graph serves every length.

use std::fmt;

/// A length that is known only when the graph runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// Sequences computed side by side.
    Batch,
    /// Positions given to this run.
    QueryLen,
    /// Positions the state holds after this run: those before it plus `QueryLen`.
    KvLen,
    /// Positions whose output is wanted.
    Rows,
    /// Positions of the source that an encoder reads and a decoder attends to.
    SourceLen,
    /// Words of the vocabulary whose logits are wanted.
    Candidates,
}

impl Symbol {
    /// All symbols, in the order of [`Bindings`].
    pub const ALL: [Symbol; 6] = [
        Self::Batch,
        Self::QueryLen,
        Self::KvLen,
        Self::Rows,
        Self::SourceLen,
        Self::Candidates,
    ];
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Batch => "batch",
            Self::QueryLen => "q_len",
            Self::KvLen => "kv_len",
            Self::Rows => "rows",
            Self::SourceLen => "source_len",
            Self::Candidates => "candidates",
        })
    }
}

/// One dimension of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Known when the graph is built.
    Fixed(usize),
    /// Known when it runs.
    Symbol(Symbol),
}

impl From<usize> for Dim {
    fn from(value: usize) -> Self {
        Self::Fixed(value)
    }
}

impl From<Symbol> for Dim {
    fn from(value: Symbol) -> Self {
        Self::Symbol(value)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => n.fmt(f),
            Self::Symbol(s) => s.fmt(f),
        }
    }
}

/// The lengths of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bindings {
    /// [`Symbol::Batch`].
    pub batch: usize,
    /// [`Symbol::QueryLen`].
    pub query_len: usize,
    /// [`Symbol::KvLen`].
    pub kv_len: usize,
    /// [`Symbol::Rows`].
    pub rows: usize,
    /// [`Symbol::SourceLen`].
    pub source_len: usize,
    /// [`Symbol::Candidates`].
    pub candidates: usize,
}

impl Bindings {
    /// The length a symbol stands for.
    pub fn get(&self, symbol: Symbol) -> usize {
        match symbol {
            Symbol::Batch => self.batch,
            Symbol::QueryLen => self.query_len,
            Symbol::KvLen => self.kv_len,
            Symbol::Rows => self.rows,
            Symbol::SourceLen => self.source_len,
            Symbol::Candidates => self.candidates,
        }
    }

    /// Positions that were in the state before this run.
    pub fn past_len(&self) -> usize {
        self.kv_len.saturating_sub(self.query_len)
    }
}

/// Dimensions, outermost first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<Dim>);

impl Shape {
    /// A shape of anything that converts to dimensions.
    pub fn new(dims: impl IntoIterator<Item = Dim>) -> Self {
        Self(dims.into_iter().collect())
    }

    /// The last dimension, if it is fixed.
    pub fn width(&self) -> Option<usize> {
        match self.0.last() {
            Some(Dim::Fixed(n)) => Some(*n),
            _ => None,
        }
    }

    /// All dimensions but the last.
    pub fn leading(&self) -> &[Dim] {
        &self.0[..self.0.len().saturating_sub(1)]
    }

    /// The lengths in one run.
    pub fn bind(&self, bindings: &Bindings) -> Vec<usize> {
        let length = |dim: &Dim| match dim {
            Dim::Fixed(n) => *n,
            Dim::Symbol(s) => bindings.get(*s),
        };
        self.0.iter().map(length).collect()
    }

    /// Elements in one run; a number no memory can hold if they cannot be counted.
    pub fn elements(&self, bindings: &Bindings) -> usize {
        let dims = self.bind(bindings);
        dims.into_iter().fold(1, usize::saturating_mul)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            dim.fmt(f)?;
        }
        f.write_str("]")
    }
}
