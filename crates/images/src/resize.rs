//! From pixels to what a model sees.
//!
//! PIL resizes along rows, rounds to bytes, then along columns; where a picture becomes lower and not
//! narrower, PIL 13 does it the other way round. So strips can be narrowed as they come, and of a large
//! picture only a strip is in memory beside the narrow one. (PIL 13 takes columns first in some other cases
//! too; where both sides shrink much, that changes a byte by one at most.)

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::{COLOURS, Filter, Preprocessing, Size};

/// What a model sees, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Pixels of a column.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// `[height, width, 3]`.
    pub rgb: Vec<u8>,
}

/// Takes a picture in strips.
pub struct Narrowing {
    filter: Option<Filter>,
    /// Height and width as it is, and resized.
    source: [usize; 2],
    resized: [usize; 2],
    /// Top and left, height and width of what is cut out.
    at: [usize; 2],
    cut: [usize; 2],
    /// Whether rows are resized first.
    rows_first: bool,
    /// Rows or columns that came.
    done: usize,
    /// `[source height, cut width, 3]`, or `[cut height, source width, 3]`.
    narrow: Vec<u8>,
    resizer: Resizer,
}

impl Narrowing {
    /// For a picture of `height` rows of `width` pixels.
    pub fn new(preprocessing: &Preprocessing, [height, width]: [usize; 2]) -> Self {
        let source = [height, width];
        let (filter, resized) = match preprocessing.resize {
            None => (None, source),
            Some((Size::Exactly(sides), filter)) => (Some(filter), sides),
            Some((Size::Shortest(side), filter)) => {
                // As transformers rounds it.
                let longer = |long: usize, short: usize| side * long / short.max(1);
                let sides = if width <= height {
                    [longer(height, width), side]
                } else {
                    [side, longer(width, height)]
                };
                (Some(filter), sides)
            }
        };
        let cut = preprocessing.crop.unwrap_or(resized);
        let cut = [cut[0].min(resized[0]), cut[1].min(resized[1])];
        let rows_first = resized[0] >= height || resized[1] < width;
        let kept = if rows_first {
            height * cut[1]
        } else {
            cut[0] * width
        };
        Self {
            filter,
            source,
            resized,
            at: [(resized[0] - cut[0]) / 2, (resized[1] - cut[1]) / 2],
            cut,
            rows_first,
            done: 0,
            narrow: vec![0; kept * COLOURS],
            resizer: Resizer::new(),
        }
    }

    /// Whether strips are whole rows; otherwise they are whole columns.
    pub fn takes_rows(&self) -> bool {
        self.rows_first
    }

    /// The next `count` rows `[count, width, 3]`, or columns `[height, count, 3]`. What is beyond the
    /// picture is left out.
    pub fn push(&mut self, strip: &[u8], count: usize) {
        let [height, width] = self.source;
        let along = if self.rows_first { height } else { width };
        let count = count.min(along - self.done);
        let ([top, left], [rows, columns]) = (self.at, self.cut);
        if self.rows_first {
            let narrow = self.resize(strip, [count, width], [count, self.resized[1]]);
            let part = left * COLOURS..(left + columns) * COLOURS;
            let to =
                self.narrow[self.done * columns * COLOURS..].chunks_exact_mut(columns * COLOURS);
            for (to, row) in to.zip(narrow.chunks_exact(self.resized[1] * COLOURS)) {
                to.copy_from_slice(&row[part.clone()]);
            }
        } else {
            let narrow = self.resize(strip, [height, count], [self.resized[0], count]);
            let kept = narrow.chunks(count.max(1) * COLOURS).skip(top).take(rows);
            for (to, row) in self.narrow.chunks_exact_mut(width * COLOURS).zip(kept) {
                to[self.done * COLOURS..][..row.len()].copy_from_slice(row);
            }
        }
        self.done += count;
    }

    /// What the model sees. What never came is black.
    pub fn finish(mut self) -> Seen {
        let narrow = std::mem::take(&mut self.narrow);
        let ([top, left], [height, width]) = (self.at, self.cut);
        let rgb = if self.rows_first {
            let all = self.resize(&narrow, [self.source[0], width], [self.resized[0], width]);
            let row = width * COLOURS;
            all[top * row..(top + height) * row].to_vec()
        } else {
            let all = self.resize(&narrow, [height, self.source[1]], [height, self.resized[1]]);
            let rows = all.chunks_exact(self.resized[1] * COLOURS);
            let part = left * COLOURS..(left + width) * COLOURS;
            rows.flat_map(|row| row[part.clone()].to_vec()).collect()
        };
        Seen { height, width, rgb }
    }

    /// Along rows or columns, whichever differ; `[height, width, 3]`.
    fn resize(&mut self, rgb: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
        let mut source = rgb.to_vec();
        source.resize(from[0] * from[1] * COLOURS, 0);
        let Some(filter) = self.filter.filter(|_| from != to) else {
            return source;
        };
        let kind = PixelType::U8x3;
        let [height, width] = from.map(|side| side as u32);
        let mut out = Image::new(to[1] as u32, to[0] as u32, kind);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(filter.into()))
            .use_alpha(false);
        // Lengths and kinds fit, the only things that can be wrong; nothing to resize stays black.
        // By the type of the pixels: the call that finds it out brings the code of all fourteen types.
        if let Ok(source) = ImageRef::new(width, height, &source, kind)
            && let (Some(source), Some(mut out)) =
                (source.typed_image::<U8x3>(), out.typed_image_mut::<U8x3>())
        {
            let _ = self.resizer.resize_typed(&source, &mut out, &options);
        }
        out.into_vec()
    }
}

impl From<Filter> for FilterType {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Lanczos => Self::Lanczos3,
            Filter::Bilinear => Self::Bilinear,
            // The cubic with a = −0.5, PIL's.
            Filter::Bicubic => Self::CatmullRom,
            Filter::Box => Self::Box,
            Filter::Hamming => Self::Hamming,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(resize: Size, crop: Option<[usize; 2]>, sides: [usize; 2], strip: usize) -> Seen {
        let preprocessing = Preprocessing {
            resize: Some((resize, Filter::Bicubic)),
            crop,
            rescale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        let [height, width] = sides;
        let pixel = |i: usize| (i * 37 % 251) as u8;
        let rgb: Vec<u8> = (0..height * width * COLOURS).map(pixel).collect();
        let mut narrowing = Narrowing::new(&preprocessing, sides);
        let (rows, mut done) = (narrowing.takes_rows(), 0);
        let all = if rows { height } else { width };
        while done < all {
            let end = (done + strip).min(all);
            let part: Vec<u8> = if rows {
                rgb[done * width * COLOURS..end * width * COLOURS].to_vec()
            } else {
                let rows = rgb.chunks(width * COLOURS);
                rows.flat_map(|row| row[done * COLOURS..end * COLOURS].to_vec())
                    .collect()
            };
            narrowing.push(&part, end - done);
            done = end;
        }
        narrowing.finish()
    }

    #[test]
    fn strips_of_any_height_give_the_same() {
        for sides in [[61, 83], [83, 61], [90, 20], [8, 9]] {
            let part = |strip| seen(Size::Exactly([16, 15]), Some([12, 10]), sides, strip);
            let whole = part(100);
            assert_eq!((whole.height, whole.width), (12, 10));
            assert_eq!(whole.rgb.len(), 12 * 10 * COLOURS);
            for strip in [1, 7, 60] {
                assert_eq!(part(strip), whole);
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let same = seen(Size::Exactly([5, 7]), None, [5, 7], 5);
        assert_eq!(same.rgb[..4], [0, 37, 74, 111]);
    }
}
