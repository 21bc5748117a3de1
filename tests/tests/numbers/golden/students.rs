//! The default translation models, and what the engine says with them.

use std::path::PathBuf;

use futures::executor::block_on;
use glassformer_engine::protocol::{
    BackendChoice, Event, PrecisionChoice, TranslateRequest, TranslatedSentence,
};
use glassformer_engine::{Cancel, Engine, Files, PathSource, Source, registry};

use super::max_diff;

/// The files of a student, or nothing, after saying so.
pub fn student(id: &str) -> Option<Vec<PathBuf>> {
    let given = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let cache =
        || given("GLASSFORMER_CACHE").or_else(|| Some(dirs::cache_dir()?.join("glassformer")));
    let models = given("GLASSFORMER_MODELS").or_else(|| Some(cache()?.join("models")))?;
    let entry = registry::find(id).unwrap();
    let paths: Vec<PathBuf> = entry
        .files
        .iter()
        .map(|file| models.join(&file.path))
        .collect();
    if paths.iter().all(|path| path.is_file()) {
        return Some(paths);
    }
    glassformer_tests::cannot_run(
        id,
        "it needs the translation models: run `cargo xtask models`",
    );
    None
}

pub fn sources(paths: &[PathBuf]) -> Vec<Box<dyn Source>> {
    let source =
        |path: &PathBuf| Box::new(PathSource::new(path.clone()).unwrap()) as Box<dyn Source>;
    paths.iter().map(source).collect()
}

/// An engine with a student.
pub fn engine_on(backend: BackendChoice, paths: &[PathBuf], precision: PrecisionChoice) -> Engine {
    let files = Files::new(sources(paths)).unwrap();
    let mut engine = Engine::new();
    let (mut silent, never) = (|_, _, _| {}, Cancel::default());
    let loading = engine.load(
        &files,
        "student",
        None,
        backend,
        precision,
        512,
        &mut silent,
        &never,
    );
    block_on(loading).unwrap();
    engine
}

/// One on the GPU, where there is one.
pub fn engine_on_gpu(test: &str, paths: &[PathBuf], precision: PrecisionChoice) -> Option<Engine> {
    if super::gpus(test).is_empty() {
        return None;
    }
    let engine = engine_on(BackendChoice::WebGpu, paths, precision);
    let info = engine.info().unwrap();
    assert_eq!(info.backend, "webgpu", "{}", info.why);
    Some(engine)
}

/// What comes of a request: the text, and every sentence in the order of its coming.
pub fn answer(
    engine: &mut Engine,
    request: &TranslateRequest,
) -> (String, Vec<TranslatedSentence>) {
    let mut sentences = Vec::new();
    let mut emit = |event| {
        if let Event::Sentence { sentence, .. } = event {
            sentences.push(sentence);
        }
    };
    let translated = block_on(engine.translate(request, &mut emit, &Cancel::default())).unwrap();
    (translated.text, sentences)
}

/// The same words with scores and alignments that differ by at most so much.
pub fn same_alternatives(a: &TranslatedSentence, b: &TranslatedSentence, [score, seen]: [f64; 2]) {
    assert_eq!(a.alternatives.len(), b.alternatives.len());
    for (a, b) in a.alternatives.iter().zip(&b.alternatives) {
        assert_eq!(a.target, b.target);
        assert!(
            (a.score - b.score).abs() <= score,
            "{}: {} and {}",
            a.target,
            a.score,
            b.score
        );
        assert_eq!(a.alignment.len(), b.alignment.len());
        for (a, b) in a.alignment.iter().zip(&b.alignment) {
            assert_eq!(a.len(), b.len());
            assert!(f64::from(max_diff(a, b)) <= seen);
        }
    }
}
