//! The Match tab's default model: twenty held-out pictures and their names beside PyTorch on the same 8-bit
//! weights, on the CPU and on this machine's GPU; and the test of its occlusion maps.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use futures::executor::block_on;
use glassformer_engine::images::{Seen, decode};
use glassformer_engine::protocol::attention::MapOf;
use glassformer_engine::protocol::{BackendChoice, PrecisionChoice, WhyRequest};
use glassformer_engine::tasks::matching::cosine;
use glassformer_engine::{Cancel, Engine, Files, PathSource};
use glassformer_tests::cannot_run;
use serde::Deserialize;

/// Of an embedding's numbers, absolute; its length is one. The largest difference is printed.
const EXACT: f32 = 1e-5;

/// The same between backends.
const BETWEEN: f32 = 1e-3;

#[derive(Deserialize)]
struct Golden {
    pictures: Vec<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    name: String,
    rgb: String,
    image: Vec<f32>,
    text: Vec<f32>,
    rank: usize,
}

fn root() -> PathBuf {
    PathBuf::from("..")
}

/// The model of the repository.
fn engine(backend: BackendChoice) -> Engine {
    let path = root().join("models/mini-clip/mini-clip.Q8_0.gguf");
    let files = Files::new(vec![Box::new(PathSource::new(path).unwrap())]).unwrap();
    let mut engine = Engine::new();
    let (mut quiet, cancel) = (|_, _, _| {}, Cancel::default());
    let exact = PrecisionChoice::Exact;
    let load = engine.load(
        &files,
        "mini-clip",
        None,
        backend,
        exact,
        512,
        &mut quiet,
        &cancel,
    );
    block_on(load).unwrap();
    engine
}

fn golden() -> Golden {
    let path = root().join("tests/golden/match/golden.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn seen(picture: &Picture) -> Seen {
    let text = &picture.rgb;
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let rgb: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
    let side = (rgb.len() / 3).isqrt();
    let (height, width) = (side, side);
    Seen { height, width, rgb }
}

/// Embeddings of all pictures and of all names.
fn embed(engine: &mut Engine, golden: &Golden) -> [Vec<Vec<f32>>; 2] {
    let (pictures, cancel) = (golden.pictures.iter(), Cancel::default());
    let seen: Vec<Seen> = pictures.clone().map(seen).collect();
    let names: Vec<String> = pictures.map(|picture| picture.name.clone()).collect();
    let images = block_on(engine.see(&seen, &mut |_| {}, &cancel)).unwrap();
    let read = block_on(engine.read_texts(&names, &mut |_| {}, &cancel)).unwrap();
    let texts = read.texts.into_iter().map(|text| text.embedding).collect();
    [images, texts]
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f32::max)
}

#[test]
fn held_out_pictures_and_names_are_those_of_pytorch() {
    let golden = golden();
    assert_eq!(golden.pictures.len(), 20);
    let [images, texts] = embed(&mut engine(BackendChoice::Cpu), &golden);
    let mut worst: f32 = 0.0;
    for (i, picture) in golden.pictures.iter().enumerate() {
        worst = worst.max(apart(&images[i], &picture.image));
        worst = worst.max(apart(&texts[i], &picture.text));
        let own = cosine(&images[i], &texts[i]);
        let nearer = texts.iter().filter(|text| cosine(&images[i], text) > own);
        assert_eq!(nearer.count(), picture.rank, "{}", picture.name);
    }
    println!("embeddings on the CPU from PyTorch's: {worst:.2e}");
    assert!(worst < EXACT, "{worst}");
}

#[test]
fn the_gpu_agrees_on_held_out_pictures() {
    let mut gpu = engine(BackendChoice::WebGpu);
    if gpu.info().unwrap().backend != "webgpu" {
        return cannot_run(
            "the_gpu_agrees_on_held_out_pictures",
            "no GPU, not even a software one",
        );
    }
    let golden = golden();
    let [images, texts] = embed(&mut gpu, &golden);
    let [cpu_images, cpu_texts] = embed(&mut engine(BackendChoice::Cpu), &golden);
    let all = images.iter().chain(&texts);
    let pairs = all.zip(cpu_images.iter().chain(&cpu_texts));
    let worst = pairs.map(|(a, b)| apart(a, b)).fold(0.0, f32::max);
    println!("embeddings on the GPU from the CPU's: {worst:.2e}");
    assert!(worst < BETWEEN, "{worst}");
}

/// What an occlusion map calls important is: over the page's samples, hiding its ten highest parts at once
/// takes more from the score than hiding ten random ones.
#[test]
fn the_highest_parts_of_occlusion_maps_matter_more_than_random_ones() {
    let mut engine = engine(BackendChoice::Cpu);
    let preprocessing = engine.preprocessing().unwrap();
    let samples = [
        ("dog", "dog"),
        ("cat", "cat"),
        ("sailboat", "sailboat"),
        ("bicycle", "bicycle"),
        ("guitar", "guitar"),
        ("coffee", "hot drink"),
        ("mushroom", "mushroom"),
        ("rocket", "rocket"),
    ];
    let (mut highest, mut random) = (0.0, 0.0);
    for (file, text) in samples {
        let path = root().join(format!("web/assets/samples/{file}.png"));
        let seen = decode(file, &std::fs::read(path).unwrap())
            .unwrap()
            .seen(&preprocessing);
        let request = WhyRequest {
            rgb: seen.rgb,
            text: text.into(),
        };
        let why = block_on(engine.explain(&request, &mut |_| {}, &Cancel::default())).unwrap();
        assert_eq!(why.deletion.parts, 10);
        assert!(why.drops.len() <= 64);
        let (high, rand) = (
            why.base - why.deletion.highest,
            why.base - why.deletion.random,
        );
        println!(
            "{file}: {:.3}, falls by {high:.3}, by {rand:.3} at random",
            why.base
        );
        highest += high / samples.len() as f32;
        random += rand / samples.len() as f32;
        let rolled: f32 = why.rollout.iter().sum();
        assert!(rolled > 0.0 && rolled <= 1.0 + 1e-5, "{rolled}");
    }
    println!("on average: falls by {highest:.3}, by {random:.3} at random");
    assert!(highest > random);
}

/// A picture's places are named, its maps are shares, and what is asked for again is the same.
#[test]
fn what_heads_look_at_in_a_picture() {
    let mut engine = engine(BackendChoice::Cpu);
    let golden = golden();
    let seen = seen(&golden.pictures[0]);
    let (mut quiet, cancel) = (|_| {}, Cancel::default());
    let looked = engine.attend_picture(1, &seen, &mut quiet, &cancel);
    let summary = block_on(looked).unwrap();
    let places = summary.picture.as_ref().unwrap();
    let n = (places.first + places.grid * places.grid) as usize;
    assert_eq!((summary.tokens.len(), summary.of as usize), (n, n));
    assert_eq!((places.first, places.side), (1, seen.width as u32));
    assert_eq!(places.rgb, seen.rgb);
    assert_eq!(places.labels, []);
    let names = [0, 1, n - 1].map(|i| summary.tokens[i].text.clone());
    assert_eq!(names, ["class", "1,1", &*format!("{0},{0}", places.grid)]);
    let (layers, heads) = (summary.shape.layers, summary.shape.heads);
    assert_eq!(summary.stats.len(), (layers * heads) as usize);
    for (layer, head) in (0..layers).flat_map(|l| (0..heads).map(move |h| (l, h))) {
        let map = block_on(engine.attention_map(1, MapOf::Head { layer, head })).unwrap();
        for row in map.chunks(n) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        let focus = block_on(engine.attention_focus(1, layer, head, 3)).unwrap();
        assert!(apart(&focus.probs, &map[3 * n..4 * n]) < 1e-6);
    }
    // A picture of another model's size is told to be.
    let mut small = seen;
    small.rgb.truncate(12);
    let refused = block_on(engine.attend_picture(2, &small, &mut |_| {}, &Cancel::default()));
    let sentence = refused.unwrap_err().sentence();
    assert!(sentence.contains("another model"), "{sentence}");
}
