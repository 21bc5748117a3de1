//! `preprocessor_config.json`.

use serde::Deserialize;
use serde_json::Value;

use crate::{COLOURS, ConfigError};

/// What is done to a picture before a model sees it, in this order: resize, cut, rescale, normalise.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// What it is resized to, if it is.
    pub resize: Option<(Size, Filter)>,
    /// Height and width of what is cut out of the middle, if it is.
    pub crop: Option<[usize; 2]>,
    /// Multiplies the bytes.
    pub rescale: f32,
    /// Subtracted from each colour.
    pub mean: [f32; COLOURS],
    /// Divides each colour then.
    pub std: [f32; COLOURS],
}

/// What a picture is resized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The shorter side; the other follows.
    Shortest(usize),
    /// Height and width, whatever the picture's.
    Exactly([usize; 2]),
}

/// How pixels are weighed, as PIL numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// 1.
    Lanczos,
    /// 2.
    Bilinear,
    /// 3.
    Bicubic,
    /// 4.
    Box,
    /// 5.
    Hamming,
}

/// Largest side a config may ask for.
const MOST_SIDE: usize = 1 << 12;

#[derive(Deserialize)]
struct Raw {
    image_processor_type: Option<String>,
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Sides>,
    resample: Option<u32>,
    do_center_crop: Option<bool>,
    crop_size: Option<Sides>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f32>,
    do_normalize: Option<bool>,
    image_mean: Option<[f32; COLOURS]>,
    image_std: Option<[f32; COLOURS]>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Sides {
    One(usize),
    Shortest { shortest_edge: usize },
    Both { height: usize, width: usize },
}

/// What `transformers` takes where a config is silent.
struct Defaults {
    /// A single number names the shorter side.
    shortest: bool,
    resample: u32,
    crop: bool,
}

impl Defaults {
    fn of(processor: &str) -> Self {
        let is = |family: &str| processor.starts_with(family);
        Self {
            shortest: is("CLIP"),
            resample: if is("CLIP") || is("DeiT") { 3 } else { 2 },
            crop: is("CLIP") || is("DeiT"),
        }
    }
}

impl Preprocessing {
    /// Reads a `preprocessor_config.json`.
    ///
    /// # Errors
    /// If it leaves something out or asks for what is not supported.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let unreadable = |error: serde_json::Error| ConfigError::Json(error.to_string());
        let value: Value = serde_json::from_slice(json).map_err(unreadable)?;
        if value["do_pad"] == true {
            let (key, value) = ("do_pad", "true".into());
            return Err(ConfigError::Unsupported { key, value });
        }
        let raw: Raw = serde_json::from_value(value).map_err(unreadable)?;
        let processor = raw.image_processor_type.or(raw.feature_extractor_type);
        let defaults = Defaults::of(&processor.unwrap_or_default());
        let resize = if raw.do_resize.unwrap_or(true) {
            let size = match raw.size.ok_or(ConfigError::Missing("the size"))? {
                Sides::One(side) if defaults.shortest => Size::Shortest(side),
                Sides::One(side) => Size::Exactly([side, side]),
                Sides::Shortest { shortest_edge } => Size::Shortest(shortest_edge),
                Sides::Both { height, width } => Size::Exactly([height, width]),
            };
            let filter = Filter::from_pil(raw.resample.unwrap_or(defaults.resample))?;
            Some((size, filter))
        } else {
            None
        };
        let crop = if raw.do_center_crop.unwrap_or(defaults.crop) {
            let sides = raw.crop_size.ok_or(ConfigError::Missing("the crop_size"))?;
            Some(match sides {
                Sides::One(side)
                | Sides::Shortest {
                    shortest_edge: side,
                } => [side, side],
                Sides::Both { height, width } => [height, width],
            })
        } else {
            None
        };
        let normal = raw.do_normalize.unwrap_or(true);
        let given = |numbers: Option<[f32; COLOURS]>, else_: f32, what| match numbers {
            _ if !normal => Ok([else_; COLOURS]),
            Some(numbers) => Ok(numbers),
            None => Err(ConfigError::Missing(what)),
        };
        let rescales = raw.do_rescale.unwrap_or(true);
        let made = Self {
            resize,
            crop,
            rescale: if rescales {
                raw.rescale_factor.unwrap_or(1.0 / 255.0)
            } else {
                1.0
            },
            mean: given(raw.image_mean, 0.0, "the image_mean")?,
            std: given(raw.image_std, 1.0, "the image_std")?,
        };
        made.check()
    }

    fn check(self) -> Result<Self, ConfigError> {
        let outside = |key, value: &dyn std::fmt::Debug| ConfigError::Unsupported {
            key,
            value: format!("{value:?}"),
        };
        let sides = match self.resize {
            Some((Size::Shortest(side), _)) => [side, side],
            Some((Size::Exactly(sides), _)) => sides,
            None => [1, 1],
        };
        let fits = |sides: [usize; 2]| sides.iter().all(|side| (1..=MOST_SIDE).contains(side));
        if !fits(sides) {
            return Err(outside("size", &sides));
        }
        if let Some(crop) = self.crop {
            // Beyond the picture transformers pads with black, which no published model wants.
            let inside = crop.iter().zip(sides).all(|(&part, whole)| part <= whole);
            if !fits(crop) || (self.resize.is_some() && !inside) {
                return Err(outside("crop_size", &crop));
            }
        }
        if self.std.contains(&0.0) {
            return Err(outside("image_std", &self.std));
        }
        Ok(self)
    }

    /// Height and width of what the model sees, where the picture does not say.
    pub fn seen(&self) -> Option<[usize; 2]> {
        match (self.crop, self.resize) {
            (Some(crop), _) => Some(crop),
            (None, Some((Size::Exactly(sides), _))) => Some(sides),
            _ => None,
        }
    }

    /// The numbers a model takes of bytes `[.., 3]`, in the same order.
    pub fn pixels(&self, rgb: &[u8]) -> Vec<f32> {
        let number = |(i, &byte): (usize, &u8)| {
            let colour = i % COLOURS;
            (f32::from(byte) * self.rescale - self.mean[colour]) / self.std[colour]
        };
        rgb.iter().enumerate().map(number).collect()
    }
}

impl Filter {
    fn from_pil(number: u32) -> Result<Self, ConfigError> {
        Ok(match number {
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            4 => Self::Box,
            5 => Self::Hamming,
            other => {
                let (key, value) = ("resample", other.to_string());
                return Err(ConfigError::Unsupported { key, value });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(json: &str) -> Result<Preprocessing, String> {
        Preprocessing::from_json(json.as_bytes()).map_err(|error| error.to_string())
    }

    const NUMBERS: &str = r#""image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]"#;

    #[test]
    fn one_number_means_what_the_processor_means_by_it() {
        let clip = read(&format!(
            r#"{{"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224,
                "resample": 3, "do_center_crop": true, {NUMBERS}}}"#
        ));
        let clip = clip.unwrap();
        assert_eq!(clip.resize, Some((Size::Shortest(224), Filter::Bicubic)));
        assert_eq!(clip.seen(), Some([224, 224]));
        let vit = read(&format!(
            r#"{{"feature_extractor_type": "ViTFeatureExtractor", "size": 224, {NUMBERS}}}"#
        ));
        let vit = vit.unwrap();
        let square = Size::Exactly([224, 224]);
        assert_eq!(vit.resize, Some((square, Filter::Bilinear)));
        assert_eq!(vit.crop, None);
        assert_eq!(vit.pixels(&[0, 255, 0]), [-1.0, 1.0, -1.0]);
    }

    #[test]
    fn what_is_missing_or_unsupported_is_named() {
        let cases = [
            ("{", "cannot be read"),
            ("{}", "does not say the size"),
            (r#"{"size": 8}"#, "does not say the image_mean"),
            (r#"{"size": 0, "do_normalize": false}"#, "size"),
            (
                r#"{"size": 8, "resample": 0, "do_normalize": false}"#,
                "resample 0",
            ),
            (r#"{"do_pad": true}"#, "do_pad true"),
            (
                r#"{"size": 8, "do_center_crop": true, "crop_size": 9, "do_normalize": false}"#,
                "crop_size",
            ),
        ];
        for (json, expected) in cases {
            let error = read(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
