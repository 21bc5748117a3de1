//! The commands.

use std::io::Write;

use glassformer_engine::graph::{NodeId, Tensor};
use glassformer_engine::protocol::{Branch, Event, MaskRequest, Prediction};
use glassformer_engine::{Cancel, Engine, EngineError};
use serde_json::{Value, json};

use crate::model;
use crate::options::{FillMask, Generate, Inspect, Logits};

type Result = std::result::Result<(), EngineError>;

/// Writes to standard output; whoever closed it wants no more.
pub(crate) fn show(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says on standard error what happened on the way: that another device computes now.
pub(crate) fn tell(event: Event) {
    if let Event::Moved { notice, .. } = event {
        eprintln!("{notice}");
    }
}

/// Prints the one object of `--json`, which says what computed it.
pub(crate) fn show_object(engine: &Engine, mut object: Value) {
    if let Some(info) = engine.info() {
        object["backend"] = json!(info.backend);
        object["precision"] = json!(info.precision);
    }
    show(&format!("{object}\n"));
}

/// `glassformer generate`.
pub async fn generate(args: &Generate) -> Result {
    let mut engine = model::load(&args.common, "generate").await?;
    let json = args.common.json;
    let (mut text, mut ids, mut tokens, mut finish) = (String::new(), vec![], vec![], None);
    let mut emit = |event: Event| {
        let piece = match event {
            Event::Token {
                id, text, logprob, ..
            } => {
                ids.push(id);
                tokens.push(json!({"id": id, "text": text, "logprob": logprob}));
                text
            }
            Event::Finished { text, reason, .. } => {
                finish = Some(reason);
                text
            }
            event => return tell(event),
        };
        if !json {
            show(&piece);
        }
        text.push_str(&piece);
    };
    let prompt = args.prompt.prompt();
    let cancel = Cancel::default();
    let stats = engine
        .generate(
            &prompt,
            Branch::default(),
            args.settings(),
            &mut emit,
            &cancel,
        )
        .await?;
    if json {
        let result = json!({
            "text": text,
            "ids": ids,
            "tokens": tokens,
            "finish": finish,
            "prompt_tokens": stats.prompt_tokens,
            "decode_tps": stats.decode_tps,
            "prefill_tps": stats.prefill_tps,
            "gpu": stats.gpu,
            "first_token_seconds": stats.first_token_seconds,
            "load_seconds": engine.info().map(|info| info.load_seconds),
        });
        show_object(&engine, result);
    } else {
        show("\n");
        eprintln!(
            "{} prompt tokens at {:.1}/s, {} written at {:.1}/s",
            stats.prompt_tokens, stats.prefill_tps, stats.tokens, stats.decode_tps
        );
    }
    Ok(())
}

/// `glassformer logits`.
pub async fn logits(args: &Logits) -> Result {
    let mut engine = model::load(&args.common, "generate").await?;
    let found = engine.top_logits(&args.prompt.prompt(), args.top).await?;
    if args.common.json {
        let top = found
            .top
            .iter()
            .map(|(id, logit)| json!({"id": id, "logit": logit}));
        let result = json!({"ids": found.ids, "top": top.collect::<Vec<_>>()});
        show_object(&engine, result);
        return Ok(());
    }
    for (id, logit) in found.top {
        let text = engine
            .loaded()
            .map(|loaded| loaded.tokenizer.token_text(id));
        show(&format!(
            "{logit:9.4}  {id:6}  {:?}\n",
            text.unwrap_or_default()
        ));
    }
    Ok(())
}

/// `glassformer fill-mask`.
pub async fn fill_mask(args: &FillMask) -> Result {
    let mut engine = model::load(&args.common, "fill-mask").await?;
    let request = MaskRequest {
        text: args.text.clone(),
        pair: args.pair.clone(),
        top: args.top,
        fill: args.fill,
        attention: args.as_page,
        words: Vec::new(),
    };
    let found = engine
        .fill_mask(&request, &mut tell, &Cancel::default())
        .await?;
    if args.as_page {
        show(&format!("{}\n", json!(found)));
        return Ok(());
    }
    for cut in &found.shortened {
        eprintln!(
            "Only the first {} bytes of sentence {} fit and were read.",
            cut.bytes,
            cut.sentence + 1
        );
    }
    if found.unknown > 0 {
        eprintln!("The vocabulary lacks {} of the tokens.", found.unknown);
    }
    if args.common.json {
        let shown = |p: &Prediction| json!({"id": p.id, "token": p.token, "score": p.score});
        let masks = found.masks.iter().map(|mask| {
            let predictions = mask.predictions.iter().map(shown);
            json!({"position": mask.position, "predictions": predictions.collect::<Vec<_>>()})
        });
        let filled = found.filled.iter().map(|filled| {
            let (mask, with) = (filled.mask, shown(&filled.with));
            json!({"mask": mask, "prediction": with})
        });
        let result = json!({
            "masks": masks.collect::<Vec<_>>(),
            "filled": args.fill.then(|| filled.collect::<Vec<_>>()),
            "tokens": found.tokens.iter().map(|token| &token.text).collect::<Vec<_>>(),
            "ids": found.tokens.iter().map(|token| token.id).collect::<Vec<_>>(),
            "shortened": found.shortened,
            "unknown": found.unknown,
            "seconds": found.seconds,
        });
        show_object(&engine, result);
        return Ok(());
    }
    for (i, mask) in found.masks.iter().enumerate() {
        show(&format!("mask {} (token {})\n", i + 1, mask.position));
        for p in &mask.predictions {
            show(&format!("  {:7.3} %  {}\n", p.score * 100.0, p.token));
        }
    }
    if args.fill {
        show("filled together, the surest first\n");
    }
    for filled in &found.filled {
        let (p, mask) = (&filled.with, filled.mask + 1);
        show(&format!(
            "  {:7.3} %  {} in mask {mask}\n",
            p.score * 100.0,
            p.token
        ));
    }
    Ok(())
}

/// `glassformer inspect --node`.
async fn look(engine: &mut Engine, args: &Inspect, node: &str, text: &str) -> Result {
    let seen = engine.look(text, args.pair.as_deref(), node).await?;
    let Tensor { shape, data } = &seen.value;
    if args.common.json {
        let result = json!({
            "entry": seen.entry,
            "node": node,
            "ids": seen.ids,
            "shape": shape,
            "values": data,
        });
        show_object(engine, result);
        return Ok(());
    }
    show(&format!("{node} {shape:?} of {}\n", seen.entry));
    let width = shape.last().copied().unwrap_or(1).max(1);
    for (i, row) in data.chunks(width).enumerate() {
        // Where in the leading axes this row is.
        let (mut rest, mut at) = (i, Vec::new());
        for len in shape.iter().rev().skip(1) {
            at.insert(0, rest % (*len).max(1));
            rest /= (*len).max(1);
        }
        let numbers: Vec<String> = row.iter().map(|x| x.to_string()).collect();
        show(&format!("{at:?} {}\n", numbers.join(" ")));
    }
    Ok(())
}

/// `glassformer inspect`.
pub async fn inspect(args: &Inspect) -> Result {
    let mut engine = model::load(&args.common, "generate").await?;
    if let (Some(node), Some(text)) = (&args.node, &args.text) {
        return look(&mut engine, args, node, text).await;
    }
    let (Some(info), Some(loaded)) = (engine.info(), engine.loaded()) else {
        return Err(EngineError::NoModel);
    };
    let model = &loaded.model;
    if args.common.json {
        let tensors = loaded.tensors.iter().map(|t| {
            json!({"name": t.name, "shape": t.shape, "encoding": t.encoding.to_string(), "bytes": t.bytes})
        });
        let states = model
            .states
            .iter()
            .map(|state| json!({"name": state.name, "row": state.row, "max_len": state.max_len}));
        let entries = model.entries.iter().map(|(name, graph)| {
            let nodes = graph.nodes().iter().map(|node| {
                let inputs = node.inputs.iter().map(|NodeId(i)| &graph.nodes()[*i].name);
                json!({
                    "name": node.name,
                    "op": node.op.name(),
                    "shape": node.shape.to_string(),
                    "inputs": inputs.collect::<Vec<_>>(),
                    "role": node.role.map(|role| format!("{role:?}")),
                })
            });
            (name.clone(), nodes.collect::<Vec<_>>().into())
        });
        let result = json!({
            "model": info,
            "tensors": tensors.collect::<Vec<_>>(),
            "states": states.collect::<Vec<_>>(),
            "entries": entries.collect::<serde_json::Map<_, _>>(),
        });
        show_object(&engine, result);
        return Ok(());
    }
    show(&format!(
        "{} ({})\n{} parameters, mostly {}, {} bytes, loaded in {:.2} s\n\
         context {} of {} positions, {} precision\n\nTensors\n",
        info.name,
        info.architecture,
        info.parameters,
        info.encoding,
        info.bytes,
        info.load_seconds,
        info.context,
        info.max_context,
        info.precision,
    ));
    for t in &loaded.tensors {
        show(&format!(
            "  {:5} {:?} {}\n",
            t.encoding.to_string(),
            t.shape,
            t.name
        ));
    }
    for (name, graph) in &model.entries {
        show(&format!("\nNodes of {name}\n"));
        for node in graph.nodes() {
            show(&format!(
                "  {:18} {} {}\n",
                node.op.name(),
                node.name,
                node.shape
            ));
        }
    }
    Ok(())
}
