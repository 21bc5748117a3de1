use super::*;

#[test]
fn rms_norm_matches_the_formula() {
    let x = [1.0f32, -2.0, 3.0, 0.5, 4.0, 0.0, -1.0, 2.0, 0.25, 9.0];
    let weight = [1.0f32, 2.0, 0.5, 1.0, -1.0];
    let mut out = [0.0; 10];
    rms_norm(&x, &weight, 1e-5, &mut out);
    for row in 0..2 {
        let x = &x[5 * row..5 * row + 5];
        let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 5.0;
        for (i, x) in x.iter().enumerate() {
            let expected = f64::from(*x) / (mean + 1e-5).sqrt() * f64::from(weight[i]);
            assert!((f64::from(out[5 * row + i]) - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn softmax_sums_to_one_and_ignores_masked_scores() {
    for len in [1, 3, 4, 31, 257] {
        let mut row: Vec<f32> = (0..len).map(|i| (i as f32 * 0.7).sin() * 30.0).collect();
        let exact: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
        let total: f64 = exact.iter().sum();
        row.push(glassformer_graph::MASKED);
        softmax_row(&mut row);
        assert_eq!(row.pop(), Some(0.0));
        for (p, exact) in row.iter().zip(exact) {
            assert!((f64::from(*p) - exact / total).abs() < 1e-6, "{len}");
        }
    }
}

#[test]
fn silu_matches_f64_and_is_finite_at_the_ends() {
    let x: Vec<f32> = (-999..=999).map(|i| i as f32 * 0.1).collect();
    let mut out = vec![0.0; x.len()];
    silu(&x, &mut out);
    for (x, out) in x.iter().zip(out) {
        let x = f64::from(*x);
        let expected = x / (1.0 + (-x).exp());
        assert!(
            (f64::from(out) - expected).abs() <= 3e-7 * x.abs().max(1.0),
            "{x} {out}"
        );
    }
}

#[test]
fn rope_turns_pairs_by_the_position() {
    // One frequency pair per head of four; position 3 with angles 0.3 and 0.03.
    let mut table = vec![0.0f32; 4 * 4];
    table[12..].copy_from_slice(&[0.3f32.cos(), 0.03f32.cos(), 0.3f32.sin(), 0.03f32.sin()]);
    let x = [1.0, 2.0, 3.0, 4.0];
    let mut out = [0.0; 4];
    rope(&x, &table, RopeLayout::Half, [1, 1, 4], 3, &mut out);
    assert!((out[0] - (0.3f32.cos() - 3.0 * 0.3f32.sin())).abs() < 1e-6);
    assert!((out[2] - (3.0 * 0.3f32.cos() + 0.3f32.sin())).abs() < 1e-6);
    rope(&x, &table, RopeLayout::Interleaved, [1, 1, 4], 3, &mut out);
    assert!((out[0] - (0.3f32.cos() - 2.0 * 0.3f32.sin())).abs() < 1e-6);
    assert!((out[3] - (4.0 * 0.03f32.cos() + 3.0 * 0.03f32.sin())).abs() < 1e-6);
}
