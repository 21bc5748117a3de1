//! What the lens says about a written token.

use crate::components::lens::{Fact, LensContent, Subject};
use crate::components::token_stream::Token;
use crate::{format, surprise};

/// The numbers of a token, in words.
pub fn token(token: &Token, subject: Subject) -> LensContent {
    let probability = f64::from(token.logprob).exp();
    let bits = surprise::bits(token.logprob);
    let whole = !token.text.is_empty();
    let heading = if whole {
        format::visible(&token.text)
    } else {
        "part of a character".into()
    };
    let sentence = if whole {
        surprise::in_words(probability).to_string()
    } else {
        format!(
            "This token brings no text of its own yet: its bytes wait for the rest of a character or a possible stop string. {}",
            surprise::in_words(probability)
        )
    };
    let fact = |name, value, means: &str| Fact {
        name,
        value,
        means: means.to_string(),
    };
    LensContent {
        subject,
        caption: format!("Token {}", format::grouped(subject.index as u64 + 1)),
        heading,
        sentence,
        share: Some((probability, surprise::step(bits))),
        detail: None,
        facts: vec![
            fact(
                "probability",
                format::percent(probability),
                &format::one_in(probability),
            ),
            fact(
                "log-probability",
                format!("{:.4}", token.logprob),
                "natural log, before the sampler",
            ),
            fact(
                "surprise",
                format!("{bits:.2} bits"),
                "−log₂ of its raw probability: 1 bit is a coin flip, each bit halves the chance",
            ),
            fact(
                "token id",
                token.id.to_string(),
                "its number in the vocabulary",
            ),
            fact(
                "position",
                format::grouped(subject.index as u64),
                "among the written tokens, from 0",
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject = Subject {
        source: "generate-token",
        index: 11,
    };

    fn value(content: &LensContent, name: &str) -> String {
        content
            .facts
            .iter()
            .find(|fact| fact.name == name)
            .map(|fact| fact.value.clone())
            .unwrap_or_default()
    }

    #[test]
    fn all_numbers_follow_from_the_log_probability() {
        let quarter = Token {
            id: 260,
            text: " the".into(),
            logprob: 0.25f32.ln(),
            kept: None,
        };
        let content = token(&quarter, SUBJECT);
        assert_eq!(content.caption, "Token 12");
        assert_eq!(content.heading, "·the");
        assert_eq!(value(&content, "probability"), "25.0 %");
        assert_eq!(value(&content, "log-probability"), "-1.3863");
        assert_eq!(value(&content, "surprise"), "2.00 bits");
        assert_eq!(value(&content, "token id"), "260");
        assert_eq!(content.share.map(|(_, step)| step), Some(3));
    }

    #[test]
    fn a_piece_of_a_character_says_so() {
        let piece = Token {
            id: 195,
            text: String::new(),
            logprob: -0.1,
            kept: None,
        };
        let content = token(&piece, SUBJECT);
        assert_eq!(content.heading, "part of a character");
        assert!(
            content
                .sentence
                .starts_with("This token brings no text of its own yet")
        );
    }
}
