//! Which source each sequence of a session attends to.

/// The sources that a session holds, and who attends to which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// How many there are.
    pub count: usize,
    /// Positions of the longest; the others are padded to as many.
    pub len: usize,
    /// Of each sequence of the session: its source, and how many positions that has.
    pub of: Vec<[u32; 2]>,
}

impl Sources {
    /// Sources that were just read, one for each sequence: `lengths [batch]` of at most `len` positions.
    pub fn read(lengths: &[u32], len: usize) -> Self {
        Self {
            count: lengths.len(),
            len,
            of: (0..).zip(lengths).map(|(i, &n)| [i, n]).collect(),
        }
    }

    /// Sequence `i` goes on from what sequence `from[i]` was, with its source.
    pub fn reorder(&mut self, from: &[u32]) {
        let of = |&i: &u32| self.of.get(i as usize).copied().unwrap_or_default();
        self.of = from.iter().map(of).collect();
    }

    /// Rows of a state that holds them all.
    pub fn rows(&self) -> usize {
        self.count * self.len
    }
}
