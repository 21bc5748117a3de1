//! `glassformer match` and `glassformer classify`.

use std::path::Path;

use glassformer_engine::images::{ImageError, MOST_BYTES, Seen, decode};
use glassformer_engine::protocol::WhyRequest;
use glassformer_engine::tasks::matching::{cosine, in_template, softmax};
use glassformer_engine::{Cancel, Engine, EngineError};
use serde_json::json;

use crate::commands::{show, show_object, tell};
use crate::model;
use crate::options::{Classify, Match};

type Result<T = ()> = std::result::Result<T, EngineError>;

/// What the model sees of a file.
fn seen(engine: &Engine, path: &Path) -> Result<Seen> {
    let file = path.display().to_string();
    let unread = |error: std::io::Error| EngineError::Read {
        file: file.clone(),
        reason: error.to_string(),
    };
    let preprocessing = engine.preprocessing()?;
    if std::fs::metadata(path).map_err(unread)?.len() > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        return Err(ImageError::TooManyBytes { file, most }.into());
    }
    let bytes = std::fs::read(path).map_err(unread)?;
    Ok(decode(&file, &bytes)?.seen(&preprocessing))
}

/// `glassformer match`.
pub async fn compare(args: &Match) -> Result {
    let mut engine = model::load(&args.common, "match").await?;
    let cancel = Cancel::default();
    let pictures = args.image.iter().map(|path| seen(&engine, path));
    let pictures = pictures.collect::<Result<Vec<_>>>()?;
    let texts = args.text.iter();
    let texts: Vec<String> = texts
        .map(|text| in_template(&args.template, text))
        .collect();
    let read = engine.read_texts(&texts, &mut tell, &cancel).await?;
    for (text, read) in args.text.iter().zip(&read.texts) {
        if let Some(problem) = &read.problem {
            return Err(EngineError::NotAModel(format!("“{text}”: {problem}")));
        }
        if read.cut {
            eprintln!("The end of “{text}” does not fit and was not read.");
        }
    }
    let embeddings = engine.see(&pictures, &mut tell, &cancel).await?;
    let row = |picture: &Vec<f32>| -> Vec<f32> {
        let texts = read.texts.iter();
        texts.map(|text| cosine(picture, &text.embedding)).collect()
    };
    let scores: Vec<Vec<f32>> = embeddings.iter().map(row).collect();
    let probs: Vec<Vec<f32>> = scores.iter().map(|row| softmax(row, read.scale)).collect();
    let mut why = Vec::new();
    for picture in pictures.iter().filter(|_| args.why) {
        let mut row = Vec::new();
        for text in &texts {
            let (rgb, text) = (picture.rgb.clone(), text.clone());
            let request = WhyRequest { rgb, text };
            row.push(engine.explain(&request, &mut tell, &cancel).await?);
        }
        why.push(row);
    }
    if args.common.json {
        let mut result = json!({"scores": scores, "probs": probs, "scale": read.scale});
        if args.why {
            result["why"] = json!(why);
        }
        show_object(&engine, result);
        return Ok(());
    }
    for (i, (path, shares)) in args.image.iter().zip(&probs).enumerate() {
        show(&format!("{}\n", path.display()));
        let mut ranked: Vec<usize> = (0..texts.len()).collect();
        ranked.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
        for j in ranked {
            let (share, score) = (shares[j] * 100.0, scores[i][j]);
            show(&format!("  {share:7.3} %  {score:7.4}  {}\n", texts[j]));
            if let Some(why) = why.get(i).and_then(|row| row.get(j)) {
                let test = why.deletion;
                show(&format!(
                    "            without its {} highest parts {:.4}, without random ones {:.4}\n",
                    test.parts, test.highest, test.random
                ));
            }
        }
    }
    Ok(())
}

/// `glassformer classify`.
pub async fn classify(args: &Classify) -> Result {
    if args.common.model.is_none() {
        let problem =
            "Name a classifier with --model: the folder of a ViT or DeiT with its labels.";
        return Err(EngineError::NotAModel(problem.into()));
    }
    let mut engine = model::load(&args.common, "classify").await?;
    let picture = seen(&engine, &args.image)?;
    let labels = engine
        .classify(&picture, &mut tell, &Cancel::default())
        .await?;
    let labels = labels.into_iter().take(args.top);
    if args.common.json {
        let labels = labels.map(|(label, score)| json!({"label": label, "score": score}));
        let result = json!({"labels": labels.collect::<Vec<_>>()});
        show_object(&engine, result);
        return Ok(());
    }
    for (label, share) in labels {
        show(&format!("  {:7.3} %  {label}\n", share * 100.0));
    }
    Ok(())
}
