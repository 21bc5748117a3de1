//! `glassformer translate`.

use glassformer_engine::protocol::{
    Alternative, Event, TranslateRequest, TranslateToken, TranslatedSentence,
};
use glassformer_engine::tasks::translation::TranslateSettings;
use glassformer_engine::{Cancel, EngineError, registry};
use serde_json::{Value, json};

use crate::commands::{show, show_object, tell};
use crate::model;
use crate::options::{Common, Translate};

/// Translates a text: one object with `--json`, else the translation alone.
pub async fn translate(args: &Translate) -> Result<(), EngineError> {
    let common = common(args)?;
    let mut engine = model::load(&common, "translate").await?;
    let request = TranslateRequest {
        text: args.text.clone(),
        from: args.from.clone(),
        settings: TranslateSettings {
            beams: args.beams,
            best: args.best,
            length_penalty: args.length_penalty,
            shortlist: !args.no_shortlist,
            alignment: match args.align.as_deref() {
                Some(&[layer, head]) => Some((layer, head)),
                _ => None,
            },
            ..TranslateSettings::default()
        },
        trace: args.trace || args.as_page,
        together: args.together,
        ..TranslateRequest::default()
    };
    let mut sentences = Vec::new();
    let mut emit = |event| match event {
        Event::Sentence { sentence, .. } => sentences.push(sentence),
        event => tell(event),
    };
    let cancel = Cancel::default();
    let translated = engine.translate(&request, &mut emit, &cancel).await?;
    if args.as_page {
        let message = json!({"sentences": sentences, "result": translated});
        show(&format!("{message}\n"));
        return Ok(());
    }
    if !args.common.json {
        show(&format!("{}\n", translated.text));
        eprintln!("{:.0} words a second", translated.words_per_second);
        return Ok(());
    }
    let result = json!({
        "text": translated.text,
        "sentences": sentences.iter().map(|s| sentence(s, args.trace)).collect::<Vec<_>>(),
        "words_per_s": translated.words_per_second,
        "seconds": translated.seconds,
    });
    show_object(&engine, result);
    Ok(())
}

/// The options with the model of the languages, unless one is named.
fn common(args: &Translate) -> Result<Common, EngineError> {
    let mut common = args.common.clone();
    if common.model.is_none() {
        let (from, to) = (&args.from, &args.to);
        let entry = registry::translator(from, to).ok_or_else(|| {
            EngineError::NotAModel(format!(
                "There is no default model that translates from {from} to {to}: name one with --model."
            ))
        })?;
        common.model = Some(entry.id.clone());
    }
    Ok(common)
}

fn sentence(sentence: &TranslatedSentence, trace: bool) -> Value {
    let alternatives: Vec<Value> = sentence.alternatives.iter().map(alternative).collect();
    let best = alternatives.first().cloned().unwrap_or_default();
    let mut value = json!({
        "source": sentence.source,
        "source_tokens": texts(&sentence.tokens),
        "source_ids": sentence.tokens.iter().map(|token| token.id).collect::<Vec<_>>(),
        "candidates": sentence.candidates,
        "alternatives": alternatives,
    });
    for key in ["target", "score", "alignment", "tokens", "ids", "words"] {
        value[key] = best[key].clone();
    }
    if trace {
        let nodes = sentence.tree.iter().zip(&sentence.texts);
        let nodes = nodes.map(|(node, text)| json!({"node": node, "text": text}));
        value["tree"] = nodes.collect();
    }
    value
}

fn alternative(found: &Alternative) -> Value {
    json!({
        "target": found.target,
        "score": found.score,
        "normalised": found.normalised,
        "ended": found.ended,
        "ids": found.tokens.iter().map(|token| token.id).collect::<Vec<_>>(),
        "tokens": texts(&found.tokens),
        "log_probs": found.tokens.iter().map(|token| token.log_prob).collect::<Vec<_>>(),
        "words": words(written(found)),
        "alignment": found.alignment,
    })
}

fn texts(tokens: &[TranslateToken]) -> Vec<&str> {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

/// The tokens of a translation without its end.
fn written(found: &Alternative) -> &[TranslateToken] {
    match found.tokens.split_last() {
        Some((_, tokens)) if found.ended => tokens,
        _ => &found.tokens,
    }
}

/// Words with the sum of their tokens' log-probabilities.
fn words(tokens: &[TranslateToken]) -> Vec<Value> {
    let mut words: Vec<(String, f64)> = Vec::new();
    for token in tokens {
        let log_prob = token.log_prob.unwrap_or(0.0);
        match words.last_mut() {
            Some((word, sum)) if !token.text.starts_with(' ') => {
                word.push_str(&token.text);
                *sum += log_prob;
            }
            _ => words.push((token.text.trim_start().to_owned(), log_prob)),
        }
    }
    let words = words.into_iter();
    words
        .map(|(word, log_prob)| json!({"word": word, "log_prob": log_prob}))
        .collect()
}
