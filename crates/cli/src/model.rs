//! Finds the files that `--model` names.

use std::path::{Path, PathBuf};

use glassformer_engine::{Cancel, Engine, EngineError, Files, PathSource, Source, registry};

use crate::options::{Backend, Common};

/// Loads the model of the options, or the default one of a task.
pub async fn load(common: &Common, task: &str) -> Result<Engine, EngineError> {
    let default = || registry::default_of(task).map(|entry| entry.id.clone());
    let model = common.model.clone().or_else(default);
    let model = model.ok_or(EngineError::NoModel)?;
    let files = files(&model)?;
    let name = registry::find(&model).map(|entry| entry.name.as_str());
    let mut engine = Engine::new();
    let (backend, precision) = (common.backend.into(), common.precision.into());
    let mut silent = |_, _, _| {};
    let info = engine
        .load(
            &files,
            &model,
            name,
            backend,
            precision,
            common.context.get(),
            &mut silent,
            &Cancel::default(),
        )
        .await?;
    // Nobody gets another backend than they asked for without a word.
    if matches!(common.backend, Backend::Gpu) && info.backend == "cpu" {
        eprintln!("{}", info.why);
    }
    if let Some(notice) = engine.loaded().and_then(|loaded| loaded.notice.as_ref()) {
        eprintln!("{notice}");
    }
    Ok(engine)
}

/// The files that `--model` names.
pub fn files(model: &str) -> Result<Files, EngineError> {
    let path = Path::new(model);
    let paths = if let Some(entry) = registry::find(model) {
        let folder = weights_folder().ok_or_else(|| not_found(model))?;
        let paths: Vec<PathBuf> = entry.files.iter().map(|f| folder.join(&f.path)).collect();
        if let Some(missing) = paths.iter().find(|path| !path.is_file()) {
            return Err(EngineError::NotAModel(format!(
                "{} is not on this computer yet: fetch it with cargo xtask models (it belongs at {}).",
                entry.name,
                missing.display()
            )));
        }
        paths
    } else if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| EngineError::Read {
            file: model.into(),
            reason: error.to_string(),
        })?;
        let files = entries.flatten().map(|entry| entry.path());
        files.filter(|path| path.is_file()).collect()
    } else if path.is_file() {
        vec![path.to_owned()]
    } else {
        return Err(not_found(model));
    };
    let source = |path| Ok(Box::new(PathSource::new(path)?) as Box<dyn Source>);
    Files::new(
        paths
            .into_iter()
            .map(source)
            .collect::<Result<_, EngineError>>()?,
    )
}

fn not_found(model: &str) -> EngineError {
    EngineError::UnknownModel(model.into())
}

/// Where the project's set-up keeps default weights.
fn weights_folder() -> Option<PathBuf> {
    let given = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(models) = given("GLASSFORMER_MODELS") {
        return Some(models);
    }
    let cache = given("GLASSFORMER_CACHE").or_else(|| Some(dirs::cache_dir()?.join("glassformer")));
    Some(cache?.join("models"))
}
