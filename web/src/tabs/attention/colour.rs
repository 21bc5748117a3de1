//! The colours of drawings, which are painted and cannot take them from the style sheet: the same
//! names and values as in `properties.css`.

/// A colour by its meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Paint {
    /// Text.
    Ink,
    /// Text of less weight.
    Soft,
    /// Behind text and numbers.
    Surface,
    /// Fine lines.
    Line,
    /// The one accent.
    Accent,
    /// Behind what is pointed at.
    Wash,
    /// One of the heads drawn over each other.
    Hue(usize),
    /// A weight on the scale.
    Scale(f32),
    /// Text on that.
    OnScale(f32),
    /// A number on the diverging scale, −1 to 1.
    Diverging(f32),
}

/// The colours of one theme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Palette {
    dark: bool,
}

type Rgb = [u8; 3];

/// Away from the ground, monotone in lightness; the light one is viridis from behind.
const SCALE_LIGHT: [Rgb; 6] = [
    [0xf3, 0xf6, 0xf1],
    [0xa5, 0xcf, 0xa0],
    [0x57, 0xb5, 0x8a],
    [0x26, 0x85, 0x8e],
    [0x3b, 0x52, 0x89],
    [0x44, 0x01, 0x54],
];
const SCALE_DARK: [Rgb; 6] = [
    [0x1b, 0x22, 0x26],
    [0x3d, 0x4c, 0x82],
    [0x33, 0x71, 0x8f],
    [0x22, 0xa1, 0x86],
    [0x7a, 0xd1, 0x51],
    [0xfd, 0xe7, 0x25],
];
/// Blue, neutral, orange: told apart by everybody.
const DIVERGING_LIGHT: [Rgb; 3] = [[0x1f, 0x5f, 0xa8], [0xee, 0xf0, 0xef], [0xb3, 0x57, 0x06]];
const DIVERGING_DARK: [Rgb; 3] = [[0x6a, 0xb0, 0xf3], [0x24, 0x2a, 0x2e], [0xf2, 0x9d, 0x4b]];
/// Okabe & Ito's hues (2008), darkened or lightened to three to one on their ground.
const HUES_LIGHT: [Rgb; 8] = [
    [0x14, 0x6a, 0x73],
    [0xb3, 0x57, 0x06],
    [0x00, 0x5f, 0xa3],
    [0xa8, 0x45, 0x7f],
    [0x6b, 0x6a, 0x00],
    [0x00, 0x7d, 0x5a],
    [0x1a, 0x20, 0x23],
    [0x2b, 0x86, 0xb8],
];
const HUES_DARK: [Rgb; 8] = [
    [0x64, 0xc4, 0xc6],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
    [0xe0, 0x8f, 0xbe],
    [0xf0, 0xe4, 0x42],
    [0x2f, 0xb5, 0x8a],
    [0xe3, 0xe8, 0xe9],
    [0x4d, 0x97, 0xd6],
];

/// Small weights are the most, so the scale is that of their square root.
pub fn position(weight: f32) -> f32 {
    weight.clamp(0.0, 1.0).sqrt()
}

fn mix(stops: &[Rgb], position: f32) -> Rgb {
    let last = stops.len() - 1;
    let place = position.clamp(0.0, 1.0) * last as f32;
    let index = (place as usize).min(last.saturating_sub(1));
    let share = place - index as f32;
    std::array::from_fn(|c| {
        let (a, b) = (
            f32::from(stops[index][c]),
            f32::from(stops[(index + 1).min(last)][c]),
        );
        (a + (b - a) * share).round() as u8
    })
}

impl Palette {
    /// Of the light or the dark theme.
    pub fn new(dark: bool) -> Self {
        Self { dark }
    }

    /// A weight's colour.
    pub fn scale(&self, weight: f32) -> Rgb {
        self.ramp(position(weight))
    }

    /// The scale's colour at a place from 0 to 1.
    pub fn ramp(&self, position: f32) -> Rgb {
        mix(if self.dark { &SCALE_DARK } else { &SCALE_LIGHT }, position)
    }

    /// Any colour.
    pub fn rgb(&self, paint: Paint) -> Rgb {
        let pick = |light: Rgb, dark: Rgb| if self.dark { dark } else { light };
        match paint {
            Paint::Ink => pick([0x1a, 0x20, 0x23], [0xe3, 0xe8, 0xe9]),
            Paint::Soft => pick([0x53, 0x5d, 0x60], [0x9d, 0xaa, 0xae]),
            Paint::Surface => pick([0xff; 3], [0x18, 0x1d, 0x20]),
            Paint::Line => pick([0xdc, 0xdf, 0xdd], [0x2a, 0x31, 0x35]),
            Paint::Accent => pick([0x14, 0x6a, 0x73], [0x64, 0xc4, 0xc6]),
            Paint::Wash => pick([0xe3, 0xf0, 0xef], [0x1c, 0x2d, 0x30]),
            Paint::Hue(i) => pick(HUES_LIGHT[i % 8], HUES_DARK[i % 8]),
            Paint::Scale(weight) => self.scale(weight),
            Paint::OnScale(weight) => {
                let ground = luminance(self.scale(weight)) + 0.05;
                // The larger of the two contrasts, as accessibility guidelines measure it.
                if 1.05 / ground > ground / 0.057 {
                    [0xff; 3]
                } else {
                    [0x10, 0x16, 0x19]
                }
            }
            Paint::Diverging(x) => mix(
                if self.dark {
                    &DIVERGING_DARK
                } else {
                    &DIVERGING_LIGHT
                },
                (x.clamp(-1.0, 1.0) + 1.0) / 2.0,
            ),
        }
    }

    /// As style sheets write it.
    pub fn css(&self, paint: Paint) -> String {
        let [r, g, b] = self.rgb(paint);
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

/// Relative luminance, 0 to 1.
fn luminance(colour: Rgb) -> f32 {
    let [r, g, b] = colour.map(|c| (f32::from(c) / 255.0).powf(2.2));
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_monotone_in_lightness_away_from_the_ground() {
        for dark in [false, true] {
            let palette = Palette::new(dark);
            let steps: Vec<f32> = (0..=50)
                .map(|i| luminance(palette.ramp(i as f32 / 50.0)))
                .collect();
            let away = |pair: &[f32]| {
                if dark {
                    pair[1] > pair[0]
                } else {
                    pair[1] < pair[0]
                }
            };
            assert!(steps.windows(2).all(away), "dark {dark}: {steps:?}");
        }
    }

    #[test]
    fn ends_of_the_scale() {
        let light = Palette::new(false);
        assert_eq!(light.css(Paint::Scale(0.0)), "#f3f6f1");
        assert_eq!(light.css(Paint::Scale(1.0)), "#440154");
        assert_eq!(light.css(Paint::OnScale(1.0)), "#ffffff");
        assert_eq!(light.css(Paint::Diverging(0.0)), "#eef0ef");
    }
}
