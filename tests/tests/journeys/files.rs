//! Opening files from disk.

use std::path::{Path, PathBuf};

use glassformer_tests::TempDir;

use super::{Journey, LONG, SHORT};

/// A committed file of the golden tests.
pub fn golden(path: &str) -> PathBuf {
    let path = Path::new("golden/llama").join(path);
    // Chromium opens no file by a path with `..` in it, or a relative one.
    path.canonicalize().unwrap()
}

impl Journey {
    /// Opens files through the file dialog and waits until a model is ready.
    fn open_files(&mut self, files: &[&Path], name: &str) {
        self.page.choose_files("model-file", files).unwrap();
        let ready = format!(
            "document.querySelector('[data-testid=model-line]').innerText.includes('{name}') && \
             document.querySelector('[data-testid=model-state]').innerText.includes('ready')"
        );
        self.wait(&ready, LONG);
    }
}

impl Journey {
    /// Waits until the tiny folder is loaded, and writes with it.
    fn folder_writes(&mut self) {
        self.wait(
            "document.querySelector('[data-testid=model-line]').innerText.includes('F32') && \
             document.querySelector('[data-testid=model-state]').innerText.includes('ready')",
            LONG,
        );
        self.run_to_the_end();
        assert_eq!(self.tokens().len(), 5);
    }
}

/// A model folder made of a tiny checkpoint and a tokenizer that fits its vocabulary.
fn folder() -> TempDir {
    let folder = TempDir::new("model-folder").unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("tiny-gqa").join(file), folder.path().join(file)).unwrap();
    }
    // One token for each of the first letters of the byte alphabet, as many as the model has.
    let letters = (33u8..127).map(char::from).chain(['Ġ', 'Ċ', '¡']);
    let vocab: serde_json::Map<String, serde_json::Value> = (0..97)
        .zip(letters)
        .map(|(id, c)| (c.to_string(), id.into()))
        .collect();
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    folder
}

#[test]
fn a_gguf_file_and_a_model_folder_can_be_opened() {
    let name = "a_gguf_file_and_a_model_folder_can_be_opened";
    let fragment = "text=Hello&max_tokens=5&temperature=0&mode=plain";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    journey.open_files(&[&golden("tiny-blocks/q4_1.gguf")], "q4_1");
    journey.run_to_the_end();
    assert_eq!(journey.tokens().len(), 5);
    // The link cannot carry it, so it names the tab's own.
    journey.wait("!location.hash.includes('model=')", SHORT);

    let folder = folder();
    let files = ["config.json", "tokenizer.json", "model.safetensors"];
    let files: Vec<PathBuf> = files.iter().map(|file| folder.path().join(file)).collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    journey.page.drop_files("generate-output", &files).unwrap();
    journey.folder_writes();

    // The same as a folder, dropped and chosen in the dialog; weights in folders inside are another model's.
    let inside = folder.path().join("onnx");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("model.safetensors"), b"another").unwrap();
    journey.open_files(&[&golden("tiny-blocks/q4_1.gguf")], "q4_1");
    journey
        .page
        .drop_files("generate-output", &[folder.path()])
        .unwrap();
    journey.folder_writes();
    journey.open_files(&[&golden("tiny-blocks/q4_1.gguf")], "q4_1");
    journey
        .page
        .choose_files("model-folder", &[folder.path()])
        .unwrap();
    journey.folder_writes();
    assert_eq!(journey.downloads(), 0);
    journey.expect_quiet();
}
