//! How fast this machine's GPU and CPU write a token: a few layers of the default model's shape on
//! both, with weights of zero, which take as long as any.

use std::rc::Rc;

use glassformer_cpu::CpuExecutor;
use glassformer_gpu::{Gpu, GpuExecutor};
use glassformer_graph::{Encoding, ExecError, Executor, Input, NodeId, Role, Run, WeightId};
use glassformer_models::{ModelError, llama};
use web_time::{Duration, Instant};

use crate::EngineError;
use crate::executors::wanted;
use crate::protocol::PrecisionChoice;

/// SmolLM2-135M with three of its thirty layers and a small vocabulary.
const CONFIG: &str = r#"{"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 3, "num_attention_heads": 9, "num_key_value_heads": 3,
    "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "vocab_size": 1024,
    "max_position_embeddings": 256, "hidden_act": "silu", "tie_word_embeddings": true}"#;

/// Tokens before the clock starts (the GPU compiles its shaders), and the time it may run.
const WARM_UP: usize = 3;
const TIME: Duration = Duration::from_millis(60);
const MOST_TOKENS: usize = 64;

/// Tokens a second of the small model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speeds {
    pub(crate) gpu: f64,
    pub(crate) cpu: f64,
}

/// Measures both; what was measured on this device before is taken from where it was kept.
pub(crate) async fn speeds(gpu: &Rc<Gpu>, choice: PrecisionChoice) -> Result<Speeds, EngineError> {
    let key = format!("{}|{choice:?}", gpu.info().key());
    if let Some(speeds) = kept::read(&key).await {
        return Ok(speeds);
    }
    let speeds = Speeds {
        gpu: speed(&mut GpuExecutor::new(
            Rc::clone(gpu),
            wanted(choice, Some(gpu)),
        ))
        .await?,
        cpu: speed(&mut CpuExecutor::new(wanted(choice, None))).await?,
    };
    kept::write(&key, speeds).await;
    Ok(speeds)
}

/// Tokens a second, each waiting for the one before.
async fn speed(exec: &mut dyn Executor) -> Result<f64, EngineError> {
    let config = serde_json::from_str(CONFIG);
    let config = config.map_err(|error| ModelError::Config(error.to_string()))?;
    let blueprint = llama::from_config(&config, &[], 256)?;
    let model = Rc::new(blueprint.model);
    let encodings: Vec<Encoding> = model
        .weights
        .iter()
        .map(|weight| match weight.shape.len() {
            1 => Encoding::F32,
            _ => Encoding::Q4_1,
        })
        .collect();
    exec.load(Rc::clone(&model), &encodings)?;
    for (i, (weight, encoding)) in model.weights.iter().zip(&encodings).enumerate() {
        let bytes = encoding.bytes_for(weight.shape.iter().product());
        exec.write_weight(WeightId(i), &vec![0; bytes.unwrap_or(0)])?;
    }
    exec.finish_load()?;
    let logits = model
        .entries
        .get("decode")
        .and_then(|g| g.role(Role::Logits));
    let logits = logits.ok_or(EngineError::NoModel)?;
    for _ in 0..WARM_UP {
        token(exec, logits).await?;
    }
    let (start, mut tokens) = (Instant::now(), 0);
    while tokens < MOST_TOKENS && (tokens == 0 || start.elapsed() < TIME) {
        token(exec, logits).await?;
        tokens += 1;
    }
    Ok(tokens as f64 / start.elapsed().as_secs_f64().max(1e-9))
}

/// Runs one token in a session of its own and waits for a logit.
async fn token(exec: &mut dyn Executor, logits: NodeId) -> Result<(), ExecError> {
    let session = exec.open(1, 8)?;
    let inputs = ["ids", "rows"].map(|name| Input { name, data: &[0] });
    let (entry, taps) = ("decode", &[][..]);
    exec.run(Run {
        session,
        entry,
        inputs: &inputs,
        taps,
    })?;
    exec.read(session, entry, logits, &[0, 0, 0]).await?;
    exec.close(session);
    Ok(())
}

/// Measurements are kept in the browser's cache; a shell measures anew.
mod kept {
    use super::Speeds;

    #[cfg(target_arch = "wasm32")]
    pub(super) async fn read(key: &str) -> Option<Speeds> {
        let text = crate::browser::read_note(key).await?;
        let (gpu, cpu) = text.split_once(' ')?;
        Some(Speeds {
            gpu: gpu.parse().ok()?,
            cpu: cpu.parse().ok()?,
        })
    }

    #[cfg(target_arch = "wasm32")]
    pub(super) async fn write(key: &str, speeds: Speeds) {
        crate::browser::write_note(key, &format!("{} {}", speeds.gpu, speeds.cpu)).await;
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(super) async fn read(_: &str) -> Option<Speeds> {
        None
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(super) async fn write(_: &str, _: Speeds) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::executor::block_on;
    use glassformer_graph::Precision;

    use super::*;

    #[test]
    fn the_cpu_writes_tokens() {
        let speed = block_on(speed(&mut CpuExecutor::new(Precision::Fast))).unwrap();
        assert!(speed.is_finite() && speed > 1.0, "{speed}");
    }
}
