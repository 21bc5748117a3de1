//! The shell contract: what scripts may rely on, asked of the program itself.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A committed file of the golden tests.
fn golden(path: &str) -> String {
    let path = Path::new("../../tests/golden/llama").join(path);
    path.display().to_string()
}

fn tiny() -> String {
    golden("tiny-blocks/q4_1.gguf")
}

fn shell(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glassformer"));
    command.args(args);
    command
}

fn output(args: &[&str]) -> Output {
    shell(args).output().unwrap()
}

/// The one object on standard output of a command that did what it was asked.
fn object(output: &Output) -> Value {
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert_eq!(said.lines().count(), 1, "{said}");
    serde_json::from_str(&said).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file that is removed with what it is in.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = format!("glassformer-shell-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that stays harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn generate_prints_one_object_that_is_the_same_again() {
    let model = tiny();
    // A text may begin with a dash.
    let args = [
        "generate",
        "--model",
        &model,
        "--prompt",
        "- ab",
        "--temperature",
        "0",
    ];
    let args = [&args[..], &["--max-tokens", "5", "--json"]].concat();
    let written = object(&output(&args));
    assert_eq!(written["ids"].as_array().unwrap().len(), 5);
    assert!(written["text"].is_string());
    assert!(written["prompt_tokens"].as_u64().unwrap() > 1);
    for speed in ["decode_tps", "prefill_tps"] {
        assert!(written[speed].as_f64().unwrap() > 0.0, "{speed}");
    }
    assert_eq!(written["backend"], "cpu");
    assert_eq!(written["precision"], "fast");
    let again = object(&output(&args));
    assert_eq!(
        (&written["ids"], &written["text"]),
        (&again["ids"], &again["text"])
    );

    // The object is all there is on standard output; without it the text is.
    let plain = output(&args[..args.len() - 1]);
    let text = text(&plain.stdout);
    assert_eq!(
        text.strip_suffix('\n').unwrap(),
        written["text"].as_str().unwrap()
    );
}

#[test]
fn the_largest_logit_is_the_token_that_greedy_writes() {
    let model = tiny();
    let asked = [
        "--model",
        &model,
        "--prompt",
        "abc",
        "--precision",
        "exact",
        "--json",
    ];
    let found = object(&output(
        &[&["logits"][..], &asked, &["--top", "3"]].concat(),
    ));
    let top = found["top"].as_array().unwrap();
    assert_eq!(top.len(), 3);
    assert!(
        top.is_sorted_by(|a, b| a["logit"].as_f64() >= b["logit"].as_f64()),
        "{top:?}"
    );
    assert!(!found["ids"].as_array().unwrap().is_empty());
    assert_eq!(found["precision"], "exact");
    let greedy = ["--temperature", "0", "--max-tokens", "1"];
    let written = object(&output(&[&["generate"][..], &asked, &greedy].concat()));
    assert_eq!(written["ids"][0], top[0]["id"]);
}

#[test]
fn inspect_describes_a_model_and_shows_a_node() {
    let model = tiny();
    let asked = ["inspect", "--model", &model, "--json"];
    let found = object(&output(&asked));
    for key in ["model", "tensors", "states", "entries"] {
        assert!(!found[key].is_null(), "{key}");
    }
    let nodes = found["entries"]["decode"].as_array().unwrap();
    let named = |node: &&Value| {
        node["role"]
            .as_str()
            .is_some_and(|role| role.starts_with("AttentionProbs"))
    };
    let probs = nodes.iter().find(named).unwrap()["name"].as_str().unwrap();
    let node = object(&output(
        &[&asked[..], &["--node", probs, "--text", "abc"]].concat(),
    ));
    let shape = node["shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap());
    let (keys, values) = (
        shape.clone().next_back().unwrap(),
        node["values"].as_array().unwrap(),
    );
    assert_eq!(shape.product::<u64>() as usize, values.len());
    for row in values.chunks(keys as usize) {
        let sum: f64 = row.iter().map(|weight| weight.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}

#[test]
fn bad_input_ends_with_status_2_and_one_line() {
    let model = tiny();
    let whole = std::fs::read(&model).unwrap();
    let scratch = Scratch::new("bad");
    let half = scratch.file("half.gguf", &whole[..whole.len() / 2]);
    let mut damaged = whole.clone();
    // The scales of many weights become no numbers.
    let weights = damaged.len() / 2;
    damaged[weights..].fill(0xff);
    let damaged = scratch.file("damaged.gguf", &damaged);
    let config = golden("tiny-gqa/config.json");
    let empty = Scratch::new("empty");
    let empty = empty.0.display().to_string();
    let nowhere = scratch.0.join("nowhere.gguf").display().to_string();
    let cases: [(&[&str], &str); 15] = [
        (&[], "subcommand"),
        (&["sing"], "sing"),
        (&["generate", "--model", &model], "--prompt"),
        (&["generate", "--model", &model, "--prompt", ""], "empty"),
        (
            &[
                "generate",
                "--model",
                &model,
                "--prompt",
                "ab",
                "--temperature",
                "-1",
            ],
            "0 or more",
        ),
        (
            &[
                "generate",
                "--model",
                &model,
                "--prompt",
                "ab",
                "--repetition-penalty",
                "0",
            ],
            "0.01",
        ),
        (
            &[
                "generate",
                "--model",
                &model,
                "--prompt",
                "ab",
                "--context",
                "0",
            ],
            "--context",
        ),
        (
            &[
                "generate",
                "--model",
                &model,
                "--prompt",
                "abcdefgh",
                "--context",
                "4",
            ],
            "4",
        ),
        (
            &["generate", "--model", &damaged, "--prompt", "ab"],
            "numbers",
        ),
        (
            &["logits", "--model", &damaged, "--prompt", "ab"],
            "numbers",
        ),
        (
            &["logits", "--model", &half, "--prompt", "ab"],
            "incomplete",
        ),
        (
            &["logits", "--model", &config, "--prompt", "ab"],
            "no weights",
        ),
        (&["logits", "--model", &empty, "--prompt", "ab"], "empty"),
        (
            &["logits", "--model", &nowhere, "--prompt", "ab"],
            "no model named",
        ),
        (
            &[
                "inspect", "--model", &model, "--node", "no.such", "--text", "ab",
            ],
            "no.such",
        ),
    ];
    for (args, words) in cases {
        let json = if args.is_empty() {
            &[][..]
        } else {
            &["--json"]
        };
        let refused = output(&[args, json].concat());
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {told}");
        assert_eq!(text(&refused.stdout), "", "{args:?}");
        assert_eq!(told.trim_end().lines().count(), 1, "{args:?}: {told}");
        assert!(told.contains(words), "{args:?}: {told}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_not_passed_over_in_silence() {
    let model = tiny();
    let args = [
        "logits",
        "--model",
        &model,
        "--prompt",
        "ab",
        "--backend",
        "gpu",
        "--json",
    ];
    let mut hidden = shell(&args);
    // Vulkan's loader finds no driver; where it is not asked, there may be a GPU all the same.
    let hidden = hidden
        .env("VK_DRIVER_FILES", "/none")
        .env("VK_ICD_FILENAMES", "/none");
    let hidden = hidden.output().unwrap();
    let (found, told) = (object(&hidden), text(&hidden.stderr));
    let on_gpu = found["backend"] == "webgpu";
    assert!(
        on_gpu || found["backend"] == "cpu" && told.contains("No GPU"),
        "{found} {told}"
    );
}
