//! Attention rollout (Abnar & Zuidema 2020): what reaches a position over all layers, if each layer
//! passes on half of what it reads and half of what was there. Averaged over heads: derived.

/// Multiplies one more layer onto `rolled [n, n]`: `(½·A + ½·I) · rolled`, `A` the mean over the
/// heads. `maps` are the heads' rows behind each other, each row `n` wide.
pub(super) fn roll(rolled: &mut Vec<f32>, maps: &[Vec<f32>], n: usize) {
    let heads = maps.len().max(1) as f32;
    let mut next = vec![0.0f32; n * n];
    for i in 0..n {
        let out = &mut next[i * n..(i + 1) * n];
        for j in 0..n {
            let mean: f32 = maps.iter().map(|map| map[i * n + j]).sum::<f32>() / heads;
            let weight = 0.5 * mean + if i == j { 0.5 } else { 0.0 };
            if weight > 0.0 {
                let from = &rolled[j * n..(j + 1) * n];
                for (out, from) in out.iter_mut().zip(from) {
                    *out += weight * from;
                }
            }
        }
    }
    *rolled = next;
}

/// Nothing has been passed on yet: each position is itself.
pub(super) fn identity(n: usize) -> Vec<f32> {
    let mut eye = vec![0.0; n * n];
    for i in 0..n {
        eye[i * n + i] = 1.0;
    }
    eye
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_sum_and_two_layers_reach_further() {
        let previous = vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let mut rolled = identity(3);
        roll(&mut rolled, std::slice::from_ref(&previous), 3);
        assert_eq!(rolled[6..], [0.0, 0.5, 0.5]);
        roll(&mut rolled, &[previous], 3);
        assert_eq!(rolled[6..], [0.25, 0.5, 0.25]);
        for row in rolled.chunks(3) {
            assert_eq!(row.iter().sum::<f32>(), 1.0);
        }
    }
}
