use super::*;

/// Argument, then the bits of its exponential from four lanes and from one, as Bergamot has them.
const EXPONENTIALS: [(f32, u32, u32); 10] = [
    (0.0, 0x3f80_0000, 0x3f80_0000),
    (-0.001, 0x3f7f_be7f, 0x3f7f_be7f),
    (-6.236_629, 0x3b00_379c, 0x3b00_379c),
    (-16.554_052, 0x338a_ddba, 0x338a_ddba),
    // Too small for four lanes.
    (-88.0, 0, 0x0041_edc4),
    // The ways differ in the last digit.
    (-15.070_262, 0x3499_1644, 0x3499_1645),
    (-10.762_867, 0x37b1_98e4, 0x37b1_98e3),
    // Musl's is not the nearest number.
    (-13.747_767, 0x358f_a006, 0x358f_a007),
    (-8.594_817, 0x3942_0d54, 0x3942_0d54),
    (-14.477_482, 0x350a_77ce, 0x350a_77cf),
];

#[test]
fn exponentials_have_bergamots_digits() {
    for (x, four, one) in EXPONENTIALS {
        assert_eq!(exp4(f32x4::splat(x)).to_array()[0].to_bits(), four, "{x}");
        assert_eq!(exp(x).to_bits(), one, "{x}");
    }
    assert_eq!(exp(f32::MIN), 0.0);
}

#[test]
fn sigmoid_has_bergamots_digits_and_is_finite_at_the_ends() {
    let x = [-100.0, -30.0, -3.3, -0.2, 0.0, 0.7, 5.0, 100.0];
    let expected = [
        0,
        0x29d2_b706,
        0x3d11_b319,
        0x3ee6_7c28,
        0x3f00_0000,
        0x3f2b_0e5b,
        0x3f7e_4961,
        0x3f80_0000,
    ];
    let mut out = [0.0; 8];
    sigmoid(&x, &mut out);
    assert_eq!(out.map(f32::to_bits), expected);
}

#[test]
fn softmax_divides_by_the_sum_of_a_row_of_any_length() {
    for len in [1, 3, 4, 20, 31] {
        let mut row: Vec<f32> = (0..len).map(|i| (i as f32 * 0.7).sin() * 30.0).collect();
        let exact: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
        let total: f64 = exact.iter().sum();
        softmax_row(&mut row);
        for (p, exact) in row.iter().zip(exact) {
            assert!((f64::from(*p) - exact / total).abs() < 1e-6, "{len}");
        }
    }
}

#[test]
fn layer_norm_adds_from_the_first_to_the_last() {
    // 2²⁴ swallows each 1 that comes after it; in any other order they would count.
    let mut row = [1.0; 8];
    row[0] = 16_777_216.0;
    let mean = row[0] / 8.0;
    let squares = row.map(|x| (x - mean) * (x - mean));
    let squares = squares.iter().fold(0.0f32, |sum, x| sum + x);
    let sigma = (squares / 8.0).sqrt();
    let expected = row.map(|x| 2.0 * ((x - mean) / sigma) + 0.5);
    // Alone and side by side.
    for n in 1..7 {
        let mut out = vec![0.0; 8 * n];
        layer_norm(&row.repeat(n), &[2.0; 8], &[0.5; 8], 0.0, &mut out);
        assert_eq!(out, expected.repeat(n));
    }
}

#[test]
fn products_are_added_in_order_or_in_four_sums() {
    let dots = |query: &[f32], keys: &[Vec<f32>], by_four| {
        let mut out = vec![0.0; keys.len()];
        let fours: Vec<_> = turn(|j| &keys[j], keys.len()).collect();
        let rest = keys[keys.len() / 4 * 4..].iter().map(Vec::as_slice);
        products(query, &fours, rest, by_four, &mut out);
        out
    };
    // The first product is 2²⁴, which swallows each 1 behind it, but not a sum of several.
    let mut query = [1.0; 8];
    query[0] = 16_777_216.0;
    for n in 0..40 {
        let keys = vec![vec![1.0; 8]; n];
        assert_eq!(dots(&query, &keys, false), vec![query[0]; n]);
        let mut expected = vec![query[0]; n];
        // 2²⁴ + 1 + 2 + 2 + 2, of which the 1 is lost.
        expected[n / 4 * 4..].fill(query[0] + 6.0);
        assert_eq!(dots(&query, &keys, true), expected);
        // Each key has its own; numbers beyond whole fours come one by one.
        let keys: Vec<Vec<f32>> = (0..n).map(|j| vec![j as f32; 7]).collect();
        let expected: Vec<f32> = (0..n).map(|j| 3.5 * j as f32).collect();
        for by_four in [false, true] {
            assert_eq!(dots(&[0.5; 7], &keys, by_four), expected);
        }
    }
}
