use proptest::prelude::*;

use super::{MOST_BYTES, pieces};

fn sentences(language: &str, text: &str) -> Vec<String> {
    let found = pieces(language, text).into_iter();
    found
        .filter(|p| p.is_sentence)
        .map(|p| p.text.into())
        .collect()
}

#[test]
fn abbreviations_quotes_and_lists_stay_together() {
    assert_eq!(
        sentences(
            "en",
            "Dr. Smith went to Washington. He arrived at 5 p.m. on Monday."
        ),
        [
            "Dr. Smith went to Washington.",
            "He arrived at 5 p.m. on Monday."
        ]
    );
    assert_eq!(
        sentences("en", "\"Stop. Listen.\" She turned."),
        ["\"Stop. Listen.\"", "She turned."]
    );
    assert_eq!(
        sentences("pt", "O Sr. Silva chegou. A Dra. Costa também."),
        ["O Sr. Silva chegou.", "A Dra. Costa também."]
    );
    assert_eq!(
        sentences("en", "1. Wash the apples.\n2. Peel them.\n"),
        ["Wash the apples.", "Peel them."]
    );
}

#[test]
fn what_is_between_is_kept() {
    let text = "  One.  Two?\r\n\r\n***\n\tThree\u{a0}… 👍\n";
    let all: String = pieces("en", text).iter().map(|p| p.text).collect();
    assert_eq!(all, text);
    assert_eq!(sentences("en", text), ["One.", "Two?", "Three\u{a0}… 👍"]);
    assert!(sentences("en", "?! … 👍 \n").is_empty());
}

#[test]
fn what_never_ends_is_cut_between_words() {
    let words = "palavra ".repeat(9_000);
    // Without spaces anywhere.
    let one = "é".repeat(30_000);
    for text in [&words, &one] {
        let all: String = pieces("pt", text).iter().map(|p| p.text).collect();
        assert_eq!(&all, text);
        let found = sentences("pt", text);
        assert!(found.len() > 2 && found.iter().all(|part| part.len() <= MOST_BYTES));
    }
    let found = sentences("pt", &words);
    assert!(
        found
            .iter()
            .all(|part| part.split(' ').all(|word| word == "palavra"))
    );
}

proptest! {
    #[test]
    fn pieces_are_the_text(text in "\\PC{0,200}", more in "[a-zA-Z.!? \\n\\r\"'()0-9]{0,200}") {
        for language in ["en", "pt", "xx", "ja"] {
            for text in [&text, &more] {
                let all: String = pieces(language, text).iter().map(|p| p.text).collect();
                prop_assert_eq!(&all, text);
            }
        }
    }
}
