//! What is drawn of a map: the weights as they are, or what is left of them.

use super::options::Options;

/// What the filters know of a text.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Which tokens are special.
    pub special: &'a [bool],
    /// Where the second sentence begins.
    pub second: Option<usize>,
}

/// A map with the options applied, `[n, n]`. Rows that lose everything are all zero.
pub fn apply(weights: &[f32], about: About<'_>, options: &Options) -> Vec<f32> {
    let n = about.special.len();
    if !options.filters() {
        return weights.to_vec();
    }
    let hidden = |j: usize| {
        (options.hide_special && about.special[j]) || (options.hide_first && j == 0 && n > 1)
    };
    let mut out = weights.to_vec();
    for (i, row) in out.chunks_exact_mut(n.max(1)).enumerate() {
        let crosses = |j: usize| match about.second {
            Some(second) if options.across => i < second && j >= second,
            _ => true,
        };
        let query = options.hide_special && about.special[i];
        for (j, weight) in row.iter_mut().enumerate() {
            if query || hidden(j) || !crosses(j) || *weight < options.threshold {
                *weight = 0.0;
            }
        }
        let sum: f32 = row.iter().sum();
        if options.renormalise && sum > 0.0 {
            row.iter_mut().for_each(|weight| *weight /= sum);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: [f32; 9] = [1.0, 0.0, 0.0, 0.75, 0.25, 0.0, 0.5, 0.125, 0.375];

    fn derived(options: Options) -> Vec<f32> {
        let special = [false, true, false];
        let about = About {
            special: &special,
            second: Some(2),
        };
        apply(&MAP, about, &options)
    }

    #[test]
    fn untouched_without_options() {
        assert_eq!(derived(Options::default()), MAP);
    }

    #[test]
    fn the_sink_goes_and_the_rest_sums_to_one() {
        let hide_first = true;
        let options = |renormalise| Options {
            hide_first,
            renormalise,
            ..Options::default()
        };
        assert_eq!(derived(options(false))[6..], [0.0, 0.125, 0.375]);
        assert_eq!(derived(options(true))[6..], [0.0, 0.25, 0.75]);
        // Nothing is left of the first row, and nothing is made up.
        assert_eq!(derived(options(true))[..3], [0.0; 3]);
    }

    #[test]
    fn specials_small_weights_and_one_direction() {
        let options = Options {
            hide_special: true,
            ..Options::default()
        };
        assert_eq!(
            derived(options),
            [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.375]
        );
        let options = Options {
            threshold: 0.3,
            ..Options::default()
        };
        assert_eq!(derived(options)[6..], [0.5, 0.0, 0.375]);
        let options = Options {
            across: true,
            ..Options::default()
        };
        assert_eq!(derived(options), [0.0; 9]);
    }
}
