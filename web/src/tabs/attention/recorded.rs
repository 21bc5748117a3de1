//! The recorded example: a real run, shown until there is a live one.

use std::collections::HashMap;
use std::sync::Arc;

use glassformer_engine::protocol::PromptToken;
use glassformer_engine::protocol::attention::{
    AttentionShape, AttentionSummary, HeadStats, MapOf, bytes,
};
use serde::Deserialize;

use super::shown::Shown;

#[derive(Deserialize)]
struct Recording {
    model: String,
    on: String,
    tokens: Vec<String>,
    ids: Vec<u32>,
    special: Vec<bool>,
    shape: AttentionShape,
    heads: Vec<HeadStats>,
    /// One string a head: row by row what a query may see, two hexadecimal digits a weight.
    thumbnails: Vec<String>,
    maps: Vec<RecordedMap>,
}

#[derive(Deserialize)]
struct RecordedMap {
    layer: u32,
    head: u32,
    weights: Vec<Vec<f32>>,
}

/// What the page draws, and the maps that were recorded in full.
pub type Recorded = (Shown, HashMap<MapOf, Arc<Vec<f32>>>);

/// The recording that is part of the page; `None` if it cannot be read, which a test rules out.
pub fn load() -> Option<Recorded> {
    let text = include_str!("../../../assets/recorded-attention.json");
    let recording: Recording = serde_json::from_str(text).ok()?;
    let n = recording.ids.len();
    let thumbnails: Vec<f32> = recording
        .thumbnails
        .iter()
        .map(|digits| unpack(digits, n, recording.shape.causal))
        .collect::<Option<Vec<_>>>()?
        .concat();
    let tokens = recording.tokens.into_iter().zip(recording.ids);
    let tokens = tokens.zip(recording.special);
    let summary = AttentionSummary {
        tokens: tokens
            .map(|((text, id), special)| PromptToken { id, text, special })
            .collect(),
        second: None,
        to_source: false,
        of: n as u32,
        more: false,
        shape: recording.shape,
        side: n as u32,
        thumbnails: bytes(&thumbnails),
        stats: recording.heads,
        seconds: 0.0,
        picture: None,
    };
    let maps = recording.maps.into_iter().map(|map| {
        let (layer, head) = (map.layer, map.head);
        (MapOf::Head { layer, head }, Arc::new(map.weights.concat()))
    });
    let source = format!("{} · {}", recording.model, recording.on);
    Some((Shown::new(summary, Some(source)), maps.collect()))
}

/// `[n, n]`; 0 where a query may not look.
fn unpack(digits: &str, n: usize, causal: bool) -> Option<Vec<f32>> {
    let mut map = vec![0.0; n * n];
    let mut weights = digits.as_bytes().chunks_exact(2);
    for i in 0..n {
        for j in 0..if causal { i + 1 } else { n } {
            let pair = std::str::from_utf8(weights.next()?).ok()?;
            map[i * n + j] = f32::from(u8::from_str_radix(pair, 16).ok()?) / 255.0;
        }
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_recording_is_whole() {
        let (shown, maps) = load().unwrap();
        let n = shown.n();
        let shape = shown.summary.shape;
        let heads = (shape.layers * shape.heads) as usize;
        assert!(n >= 10 && shown.summary.stats.len() == heads);
        assert_eq!(shown.thumbnails.len(), heads * n * n);
        assert!(!maps.is_empty());
        for (of, map) in &maps {
            let MapOf::Head { layer, head } = of else {
                continue;
            };
            for row in map.chunks(n) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            }
            // The thumbnail is the same map, rounded.
            let at = ((layer * shape.heads + head) as usize) * n * n;
            for (a, b) in shown.thumbnails[at..].iter().zip(map.iter()) {
                assert!((a - b).abs() < 0.003, "{a} {b}");
            }
        }
    }
}
