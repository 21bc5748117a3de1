/// Finds stop strings in a text that arrives in pieces, holding back what may yet become one.
///
/// The match that is complete first wins (of several complete at once, the longest), so the result does not depend on
/// how the text is cut into pieces.
#[derive(Debug, Clone, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

/// What a piece of text leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopResult {
    /// Text that is certain to come before any stop string.
    pub emit: String,
    /// Whether a stop string has been found; the text from it on is dropped.
    pub stopped: bool,
}

impl StopStrings {
    /// Looks for any of `stops`; empty ones are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self {
            stops,
            held: String::new(),
            stopped: false,
        }
    }

    /// Takes the next piece of text. After a stop string nothing more is emitted.
    pub fn push(&mut self, piece: &str) -> StopResult {
        if self.stopped {
            return StopResult {
                emit: String::new(),
                stopped: true,
            };
        }
        self.held.push_str(piece);
        let first = self
            .stops
            .iter()
            .filter_map(|stop| {
                self.held
                    .find(stop.as_str())
                    .map(|start| (start + stop.len(), start))
            })
            .min();
        if let Some((_, start)) = first {
            self.stopped = true;
            self.held.truncate(start);
            return StopResult {
                emit: std::mem::take(&mut self.held),
                stopped: true,
            };
        }
        let certain = self.held.len() - self.longest_beginning();
        let held = self.held.split_off(certain);
        StopResult {
            emit: std::mem::replace(&mut self.held, held),
            stopped: false,
        }
    }

    /// Ends the text: returns what was held back, since no stop string can complete any more.
    pub fn flush(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end of the held text that a stop string begins with.
    fn longest_beginning(&self) -> usize {
        let beginnings = |stop: &str| {
            stop.char_indices()
                .map(|(end, _)| end)
                .rev()
                .find(|&end| self.held.ends_with(&stop[..end]))
                .unwrap_or(0)
        };
        self.stops
            .iter()
            .map(|stop| beginnings(stop))
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
