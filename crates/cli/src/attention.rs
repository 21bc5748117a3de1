//! `glassformer attention`.

use glassformer_engine::protocol::attention::{AttentionSummary, Habit, MapOf};
use glassformer_engine::{Cancel, Engine, EngineError};
use serde_json::{Value, json};

use crate::commands::{show, show_object, tell};
use crate::model;
use crate::options::Attention;

/// The engine's name for the one run.
const RUN: u32 = 0;

/// Heads that a summary lists of each habit.
const LISTED: usize = 3;

/// Prints what one head looked at, or what all did.
pub async fn attention(args: &Attention) -> Result<(), EngineError> {
    let mut engine = model::load(&args.common, "fill-mask").await?;
    let pair = args.pair.as_deref();
    let summary = engine
        .attend(RUN, &args.text, pair, &mut tell, &Cancel::default())
        .await?;
    if summary.more || summary.of as usize > summary.tokens.len() {
        eprintln!(
            "The text has {}{} tokens; the first {} are looked at.",
            if summary.more { "more than " } else { "" },
            summary.of,
            summary.tokens.len()
        );
    }
    let named = args.layer.is_some() || args.head.is_some();
    let (layer, head) = (args.layer.unwrap_or(0), args.head.unwrap_or(0));
    let mut result = json!({
        "tokens": summary.tokens.iter().map(|token| &token.text).collect::<Vec<_>>(),
        "ids": summary.tokens.iter().map(|token| token.id).collect::<Vec<_>>(),
    });
    if !named {
        result["special"] = summary.tokens.iter().map(|token| token.special).collect();
        result["shape"] = json!(summary.shape);
        result["heads"] = json!(summary.stats);
        result["model"] = json!(engine.info());
    }
    if !args.common.json {
        return in_words(&mut engine, &summary, named.then_some((layer, head))).await;
    }
    result["weights"] = if named {
        rows(&mut engine, &summary, layer, head).await?
    } else {
        let mut layers = Vec::new();
        for layer in 0..summary.shape.layers {
            let mut heads = Vec::new();
            for head in 0..summary.shape.heads {
                heads.push(rows(&mut engine, &summary, layer, head).await?);
            }
            layers.push(Value::Array(heads));
        }
        Value::Array(layers)
    };
    show_object(&engine, result);
    Ok(())
}

/// `[query, key]` of one head.
async fn rows(
    engine: &mut Engine,
    summary: &AttentionSummary,
    layer: u32,
    head: u32,
) -> Result<Value, EngineError> {
    let map = engine
        .attention_map(RUN, MapOf::Head { layer, head })
        .await?;
    let rows = map.chunks(summary.tokens.len()).map(|row| json!(row));
    Ok(rows.collect())
}

/// For people: a head's rows, or the heads whose habits are clearest.
async fn in_words(
    engine: &mut Engine,
    summary: &AttentionSummary,
    head: Option<(u32, u32)>,
) -> Result<(), EngineError> {
    let Some((layer, head)) = head else {
        let heads = summary.shape.heads as usize;
        let mut found: Vec<_> = summary
            .stats
            .iter()
            .enumerate()
            .filter_map(|(i, stats)| Some((i, stats.habit()?)))
            .collect();
        found.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
        let mut told: Vec<Habit> = Vec::new();
        for (i, (habit, share)) in found {
            if told.iter().filter(|each| **each == habit).count() >= LISTED {
                continue;
            }
            told.push(habit);
            show(&format!(
                "layer {:2} head {:2}  {share:.2}  {}\n",
                i / heads,
                i % heads,
                habit.in_words()
            ));
        }
        return Ok(());
    };
    let map = engine
        .attention_map(RUN, MapOf::Head { layer, head })
        .await?;
    let tokens = &summary.tokens;
    for (row, token) in map.chunks(tokens.len()).zip(tokens) {
        let mut most: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
        most.sort_by(|a, b| b.1.total_cmp(&a.1));
        let most = most.iter().take(3).filter(|(_, weight)| *weight > 0.0);
        let most = most.map(|(j, weight)| format!("{:?} {weight:.3}", tokens[*j].text));
        let most = most.collect::<Vec<_>>().join(", ");
        show(&format!("{:?} looks at {most}\n", token.text));
    }
    Ok(())
}
