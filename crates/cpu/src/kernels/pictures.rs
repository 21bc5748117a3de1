//! From pixels to a sequence, and from a sequence to one vector.

use glassformer_graph::{Pool, Unfold};

/// The squares under a convolution's kernel. `x [batch, height · width, channels]`
/// `→ [batch, places, channels · kernel · kernel]`.
pub fn unfold(x: &[f32], channels: usize, unfold: Unfold, out: &mut [f32]) {
    let Unfold {
        height,
        width,
        kernel,
        stride,
        padding,
    } = unfold;
    let Some([rows, columns]) = unfold.places() else {
        return;
    };
    let under = channels * kernel * kernel;
    let pictures = x.chunks_exact((height * width * channels).max(1));
    let places = out.chunks_exact_mut((rows * columns * under).max(1));
    for (picture, places) in pictures.zip(places) {
        for (place, out) in places.chunks_exact_mut(under.max(1)).enumerate() {
            let (top, left) = (place / columns * stride, place % columns * stride);
            for ky in 0..kernel {
                for kx in 0..kernel {
                    // The padding stands before row and column 0.
                    let y = (top + ky).checked_sub(padding).filter(|y| *y < height);
                    let x = (left + kx).checked_sub(padding).filter(|x| *x < width);
                    let pixel = y.zip(x).map(|(y, x)| (y * width + x) * channels);
                    for channel in 0..channels {
                        let at = (channel * kernel + ky) * kernel + kx;
                        out[at] = pixel.map_or(0.0, |pixel| picture[pixel + channel]);
                    }
                }
            }
        }
    }
}

/// Places behind learned first ones. `x [batch, places, hidden] → [batch, first + places, hidden]`.
pub fn sequence(x: &[f32], first: &[&[f32]], [places, hidden]: [usize; 2], out: &mut [f32]) {
    let length = (first.len() + places) * hidden;
    let pictures = x.chunks_exact((places * hidden).max(1));
    for (picture, out) in pictures.zip(out.chunks_exact_mut(length.max(1))) {
        let (before, behind) = out.split_at_mut(first.len() * hidden);
        for (out, first) in before.chunks_exact_mut(hidden.max(1)).zip(first) {
            out.copy_from_slice(first);
        }
        behind.copy_from_slice(picture);
    }
}

/// One vector of each sequence. `x [batch, q_len, hidden] → [batch, hidden]`.
pub fn pool(
    x: &[f32],
    lengths: Option<&[u32]>,
    pool: Pool,
    [q_len, hidden]: [usize; 2],
    out: &mut [f32],
) {
    let sequences = x.chunks_exact((q_len * hidden).max(1));
    for (b, (x, out)) in sequences
        .zip(out.chunks_exact_mut(hidden.max(1)))
        .enumerate()
    {
        let length = lengths.and_then(|lengths| lengths.get(b));
        let length = length.map_or(q_len, |&length| length as usize);
        let row = |i: usize| &x[i * hidden..(i + 1) * hidden];
        let from = match pool {
            Pool::First => {
                out.copy_from_slice(row(0));
                continue;
            }
            Pool::Last => {
                out.copy_from_slice(row(length - 1));
                continue;
            }
            Pool::MeanFrom(from) => from,
        };
        out.fill(0.0);
        for i in from..length {
            out.iter_mut().zip(row(i)).for_each(|(sum, x)| *sum += x);
        }
        let count = (length - from) as f32;
        out.iter_mut().for_each(|sum| *sum /= count);
    }
}
