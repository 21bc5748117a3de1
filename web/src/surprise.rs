//! How unexpected a token was: −log₂ of its probability, and the steps it is drawn in.

/// Lower bounds, in bits, of steps 1…5; below the first is step 0. They double, as equal ratios
/// of surprise look like equal steps.
pub const STEPS: [f64; 5] = [0.5, 1.0, 2.0, 4.0, 8.0];

/// Surprise in bits of a token with this natural log-probability.
pub fn bits(logprob: f32) -> f64 {
    // A rounding above certainty is still certainty, and -0 reads as a mistake.
    (-f64::from(logprob) / std::f64::consts::LN_2).max(0.0) + 0.0
}

/// The drawing step, 0…5, of a surprise in bits.
pub fn step(bits: f64) -> usize {
    STEPS.iter().filter(|&&bound| bits >= bound).count()
}

/// One sentence on how expected a token of this probability was.
pub fn in_words(probability: f64) -> &'static str {
    if probability >= 0.9 {
        "The model was nearly certain this comes next."
    } else if probability >= 0.5 {
        "The model held this for more likely than everything else together."
    } else if probability >= 0.1 {
        "One of a few continuations the model held for likely."
    } else if probability >= 0.01 {
        "One of many continuations the model held for possible."
    } else {
        "The model hardly expected this; the draw picked it all the same."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coin_flip_is_one_bit() {
        assert!((bits(0.5f32.ln()) - 1.0).abs() < 1e-6);
        assert!((bits(0.125f32.ln()) - 3.0).abs() < 1e-6);
        assert!(bits(0.0).is_sign_positive() && bits(0.0) == 0.0);
        assert_eq!(bits(1e-7), 0.0);
        assert_eq!(bits(f32::NEG_INFINITY), f64::INFINITY);
    }

    #[test]
    fn steps_begin_at_their_bounds() {
        assert_eq!(step(0.0), 0);
        assert_eq!(step(0.499), 0);
        for (index, &bound) in STEPS.iter().enumerate() {
            assert_eq!(step(bound), index + 1);
        }
        assert_eq!(step(f64::INFINITY), 5);
    }
}
