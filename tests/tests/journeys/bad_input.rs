//! Input that cannot work: one plain sentence, and the page stays usable.

use std::path::Path;

use glassformer_tests::TempDir;

use super::Journey;
use super::files::golden;

/// Replaces the first occurrence of `from` by as many bytes.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

/// A tensor info's name, dimensions and type: the type of the first matrix becomes `Q4_K`.
fn with_other_type(bytes: &[u8]) -> Vec<u8> {
    let name = b"blk.0.attn_q.weight";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    // u32 number of dimensions, two u64 dimensions, u32 type.
    let at = at + 4 + 16;
    let mut bytes = bytes.to_vec();
    bytes[at..at + 4].copy_from_slice(&12u32.to_le_bytes());
    bytes
}

impl Journey {
    /// Opens what cannot be opened, and returns what the page says.
    fn refuses(&mut self, files: &[&Path]) -> String {
        self.page.choose_files("model-file", files).unwrap();
        let message = self.error();
        assert!(
            message.ends_with('.') && !message.contains('\n'),
            "no sentence: {message}"
        );
        let typed = self.string("document.querySelector('[data-testid=generate-input]').value");
        assert_eq!(typed, "Hello");
        message
    }
}

#[test]
fn bad_files_and_prompts_get_one_sentence_each() {
    let name = "bad_files_and_prompts_get_one_sentence_each";
    let fragment = "text=Hello&max_tokens=3&temperature=0&mode=plain";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    let good = golden("tiny-blocks/q4_1.gguf");
    let bytes = std::fs::read(&good).unwrap();
    let mut claims = bytes.clone();
    claims[8..16].copy_from_slice(&(1u64 << 60).to_le_bytes());
    let cases = [
        (
            "truncated.gguf",
            bytes[..bytes.len() / 2].to_vec(),
            "incomplete",
        ),
        (
            "noise.gguf",
            vec![0xa5; 4096],
            "neither a GGUF nor a safetensors",
        ),
        ("other.gguf", patched(&bytes, b"llama", b"mamba"), "mamba"),
        ("blocks.gguf", with_other_type(&bytes), "Q4_K"),
        ("claims.gguf", claims, "tensors"),
        // Not a sentence of the case before.
        ("empty.gguf", Vec::new(), "empty.gguf"),
    ];
    let folder = TempDir::new("bad-input").unwrap();
    for (name, bytes, words) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = journey.refuses(&[&path]);
        assert!(message.contains(words), "{name}: {message}");
    }
    let config = golden("tiny-gqa/config.json");
    let message = journey.refuses(&[&config]);
    assert!(message.contains("no weights"), "{message}");

    // The same page still opens a good file and writes with it.
    journey.page.choose_files("model-file", &[&good]).unwrap();
    journey.run_to_the_end();
    assert_eq!(journey.tokens().len(), 3);

    journey.page.fill("generate-input", "").unwrap();
    journey.page.click("generate-run").unwrap();
    let message = journey.error();
    assert!(message.contains("empty"), "{message}");
    journey
        .page
        .paste("generate-input", &"word ".repeat(3000))
        .unwrap();
    journey.page.click("generate-run").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=generate-error]')?.innerText.includes('tokens long')",
        super::SHORT,
    );
    assert_eq!(
        journey
            .string("String(document.querySelector('[data-testid=generate-input]').value.length)"),
        "15000"
    );
    journey.page.fill("generate-input", "Hello").unwrap();
    journey.run_to_the_end();
    journey.expect_quiet();
}
