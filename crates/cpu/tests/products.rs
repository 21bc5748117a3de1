//! `fast` products are those of a scalar twin, bit by bit. `tests/tests/products_in_browser.rs`
//! runs the same cases in WebAssembly.

mod twin;

use proptest::prelude::*;
use twin::Case;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn fast_products_are_bit_exact(seed in any::<u32>()) {
        prop_assert_eq!(Case::new(seed.into()).difference(), None);
    }
}
