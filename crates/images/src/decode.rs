//! Decoding where no browser does it.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};

use crate::{ImageError, Narrowing, Preprocessing, Seen, check};

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels of a column.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// `[height, width, 3]`.
    pub rgb: Vec<u8>,
}

/// Decodes a file: the first frame of an animation, turned as EXIF says, transparency laid on white.
///
/// # Errors
/// As [`check`], and if the decoder gives up.
pub fn decode(file: &str, bytes: &[u8]) -> Result<Picture, ImageError> {
    check(file, bytes)?;
    let damaged = |error: &dyn std::fmt::Display| ImageError::Damaged {
        file: file.into(),
        reason: error.to_string().trim_end_matches('.').to_owned(),
    };
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let reader = reader.map_err(|error| damaged(&error))?;
    if reader.format().is_none() {
        return Err(ImageError::NotAnImage { file: file.into() });
    }
    let mut decoder = reader.into_decoder().map_err(|error| damaged(&error))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder);
    let mut decoded = decoded.map_err(|error| damaged(&error))?;
    decoded.apply_orientation(orientation);
    Ok(on_white(&decoded))
}

fn on_white(decoded: &DynamicImage) -> Picture {
    let rgb = if decoded.color().has_alpha() {
        let rgba = decoded.to_rgba8();
        let over = |pixel: &image::Rgba<u8>| {
            let [r, g, b, alpha] = pixel.0.map(u32::from);
            [r, g, b].map(|colour| ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
        };
        rgba.pixels().flat_map(over).collect()
    } else {
        decoded.to_rgb8().into_raw()
    };
    Picture {
        height: decoded.height() as usize,
        width: decoded.width() as usize,
        rgb,
    }
}

impl Picture {
    /// What a model sees of it.
    pub fn seen(&self, preprocessing: &Preprocessing) -> Seen {
        let mut narrowing = Narrowing::new(preprocessing, [self.height, self.width]);
        let all = if narrowing.takes_rows() {
            self.height
        } else {
            self.width
        };
        narrowing.push(&self.rgb, all);
        narrowing.finish()
    }
}
