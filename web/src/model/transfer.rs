//! How far a load is, and how long it will take.

use glassformer_engine::protocol::Origin;

use crate::format;

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transfer {
    /// Bytes read.
    pub loaded: u64,
    /// Bytes in all, where known.
    pub total: Option<u64>,
    /// Where they come from; unknown until the first have arrived.
    pub from: Option<Origin>,
    /// Estimate of the seconds left.
    pub seconds_left: Option<f64>,
}

impl Transfer {
    /// Nothing of these many bytes has come yet; 0 means that the size is not known.
    pub fn begin(bytes: u64) -> Self {
        Self {
            loaded: 0,
            total: (bytes > 0).then_some(bytes),
            from: None,
            seconds_left: None,
        }
    }

    /// One line: what is happening, how far it is, how long it will take.
    pub fn in_words(&self) -> String {
        let verb = match self.from {
            None => "starting",
            Some(Origin::Network) => "downloading",
            Some(Origin::Cache) => "loading from this browser's cache",
            Some(Origin::File) => "reading",
        };
        let amount = match self.total {
            Some(total) if self.loaded >= total => "checking and preparing".to_string(),
            Some(total) => format!(
                "{verb} {} of {}",
                format::bytes(self.loaded),
                format::bytes(total)
            ),
            None => format!("{verb} {}", format::bytes(self.loaded)),
        };
        match self.seconds_left {
            Some(left) if Some(self.loaded) < self.total => {
                format!("{amount} · {}", format::time_left(left))
            }
            _ => amount,
        }
    }
}

/// Estimates the time a transfer still takes from its average speed.
#[derive(Default)]
pub struct Clock {
    first: Option<(f64, u64)>,
}

impl Clock {
    /// Seconds left at time `now`; nothing before a second of measuring.
    pub fn left(&mut self, now: f64, loaded: u64, total: u64) -> Option<f64> {
        let (begun, already) = *self.first.get_or_insert((now, loaded));
        let (seconds, bytes) = (now - begun, loaded.saturating_sub(already));
        (seconds >= 1.0 && bytes > 0)
            .then(|| total.saturating_sub(loaded) as f64 * seconds / bytes as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_average_speed() {
        let mut clock = Clock::default();
        assert_eq!(clock.left(10.0, 20, 100), None);
        assert_eq!(clock.left(10.5, 30, 100), None);
        assert_eq!(clock.left(12.0, 60, 100), Some(2.0));
        assert_eq!(clock.left(14.0, 100, 100), Some(0.0));
    }

    #[test]
    fn a_stalled_transfer_promises_nothing() {
        let mut clock = Clock::default();
        assert_eq!(clock.left(0.0, 20, 100), None);
        assert_eq!(clock.left(9.0, 20, 100), None);
    }

    #[test]
    fn a_transfer_in_words() {
        let mut transfer = Transfer::begin(98_362_432);
        assert_eq!(transfer.in_words(), "starting 0 bytes of 98.4 MB");
        transfer.loaded = 12_345_678;
        transfer.from = Some(Origin::Network);
        transfer.seconds_left = Some(12.0);
        assert_eq!(
            transfer.in_words(),
            "downloading 12.3 MB of 98.4 MB · about 12 s left"
        );
        transfer.loaded = 98_362_432;
        assert_eq!(transfer.in_words(), "checking and preparing");
        transfer = Transfer {
            total: None,
            from: Some(Origin::File),
            seconds_left: None,
            loaded: 5_000_000,
        };
        assert_eq!(transfer.in_words(), "reading 5.0 MB");
    }
}
