//! Pictures as models want them.
//!
//! A picture is first checked from its bytes alone ([`check`]), then decoded: by [`decode`] in a shell, by
//! the browser in a page. Strips of it go through a [`Narrowing`], which resizes and cuts as the model's
//! `preprocessor_config.json` says ([`Preprocessing`]), to what the model sees ([`Seen`]).
//!
//! Pixels are RGB, a byte a colour, row by row: `[height, width, 3]`.

mod check;
mod config;
#[cfg(not(target_arch = "wasm32"))]
mod decode;
mod error;
mod resize;

pub use check::{MOST_BYTES, check, check_size};
pub use config::{Filter, Preprocessing, Size};
#[cfg(not(target_arch = "wasm32"))]
pub use decode::{Picture, decode};
pub use error::{ConfigError, ImageError};
pub use resize::{Narrowing, Seen};

/// Colours of a pixel.
pub const COLOURS: usize = 3;
