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
    let mut x = [1.0; 8];
    x[0] = 16_777_216.0;
    let mut out = [0.0; 8];
    layer_norm(&x, &[1.0; 8], &[0.0; 8], 0.0, &mut out);
    let mean = 16_777_216.0 / 8.0;
    let squares = [1.0; 7]
        .into_iter()
        .fold((x[0] - mean) * (x[0] - mean), |sum: f32, x: f32| {
            sum + (x - mean) * (x - mean)
        });
    let sigma = (squares / 8.0).sqrt();
    assert_eq!(out, x.map(|x| (x - mean) / sigma));
}

#[test]
fn products_are_added_in_order_or_in_four_sums() {
    // The first product is 2²⁴, which swallows each 1 behind it, but not a sum of several.
    let mut query = [1.0; 8];
    query[0] = 16_777_216.0;
    let keys = [[1.0; 8]; 6];
    let mut out = [0.0; 6];
    products(&query, |j| &keys[j], false, &mut out);
    assert_eq!(out, [query[0]; 6]);
    products(&query, |j| &keys[j], true, &mut out);
    assert_eq!(out[..4], [query[0]; 4]);
    // 2²⁴ + 1 + 2 + 2 + 2, of which the 1 is lost.
    assert_eq!(out[4..], [query[0] + 6.0; 2]);
    // Numbers beyond whole fours come one by one.
    let (query, keys) = ([2.0; 7], [[0.5; 7]; 5]);
    let mut out = [0.0; 5];
    products(&query, |j| &keys[j], true, &mut out);
    assert_eq!(out, [7.0; 5]);
}
