//! The text of the tab: its words, its masks, and what stands behind masks that were made of words.

use std::ops::Range;

/// How masks are written.
pub const MASK: &str = "[MASK]";

/// How models may call their own.
const MASKS: [&str; 2] = [MASK, "<mask>"];

/// Something with a handle above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Where it stands, in bytes.
    pub span: Range<usize>,
    /// Which mask it is, counted from the first; `None` for a word.
    pub mask: Option<usize>,
}

/// What stood where a mask is now. A word of several pieces is several masks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The word.
    pub word: String,
    /// The same number for all masks of one word.
    pub group: u32,
    /// Whether the model was asked how many pieces the word has.
    pub counted: bool,
}

/// Where the masks of a text are.
pub fn masks(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = MASKS
        .iter()
        .flat_map(|mask| text.match_indices(mask))
        .map(|(at, mask)| at..at + mask.len())
        .collect();
    found.sort_unstable_by_key(|span| span.start);
    found
}

/// Words and masks in the order of the text. A word is a run of letters, digits and what joins them.
pub fn words(text: &str) -> Vec<Word> {
    let masks = masks(text);
    let mut words = Vec::new();
    let mut from = 0;
    for (mask, span) in masks.into_iter().enumerate() {
        plain(text, from..span.start, &mut words);
        from = span.end;
        let mask = Some(mask);
        words.push(Word { span, mask });
    }
    plain(text, from..text.len(), &mut words);
    words
}

fn plain(text: &str, range: Range<usize>, words: &mut Vec<Word>) {
    let joins = |c: char| matches!(c, '\'' | '\u{2019}' | '-');
    let mut start = None;
    let end = range.end;
    let chars = text[range.clone()].char_indices();
    for (at, c) in chars.chain([(end - range.start, ' ')]) {
        let at = range.start + at;
        let goes_on = c.is_alphanumeric() || (joins(c) && start.is_some());
        match (goes_on, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                // What joins belongs to a word only between its letters.
                let span = from..from + text[from..at].trim_end_matches(joins).len();
                words.push(Word { span, mask: None });
                start = None;
            }
            _ => {}
        }
    }
}

/// What stands behind the masks of `new`, which was `old` before one edit.
pub fn align(old: &str, new: &str, hidden: &[Option<Hidden>]) -> Vec<Option<Hidden>> {
    let same = |(a, b): &(char, char)| a == b;
    let before: usize = old
        .chars()
        .zip(new.chars())
        .take_while(same)
        .map(|(c, _)| c.len_utf8())
        .sum();
    let room = old.len().min(new.len()) - before;
    let mut behind = 0;
    for (c, _) in old.chars().rev().zip(new.chars().rev()).take_while(same) {
        if behind + c.len_utf8() > room {
            break;
        }
        behind += c.len_utf8();
    }
    let (old_masks, new_masks) = (masks(old), masks(new));
    let kept_before = old_masks.iter().filter(|span| span.end <= before).count();
    let kept_behind = old_masks[kept_before..]
        .iter()
        .filter(|span| span.start >= old.len() - behind)
        .count();
    let mut aligned = vec![None; new_masks.len()];
    for i in 0..kept_before.min(aligned.len()) {
        aligned[i] = hidden.get(i).cloned().flatten();
    }
    for i in 1..=kept_behind.min(aligned.len() - kept_before.min(aligned.len())) {
        let to = aligned.len() - i;
        aligned[to] = hidden.get(old_masks.len() - i).cloned().flatten();
    }
    aligned
}

/// The text with the word at `span` behind `count` masks.
pub fn hide(text: &str, span: &Range<usize>, count: usize) -> String {
    let masks = vec![MASK; count.max(1)].join(" ");
    format!("{}{masks}{}", &text[..span.start], &text[span.end..])
}

/// The text with `insert` in place of a mask; `joins` if it goes on with the word before it.
pub fn put(text: &str, mask: usize, insert: &str, joins: bool) -> String {
    let Some(span) = masks(text).into_iter().nth(mask) else {
        return text.to_owned();
    };
    replace(text, span, insert, joins)
}

fn replace(text: &str, span: Range<usize>, insert: &str, joins: bool) -> String {
    let before = &text[..span.start];
    let starts = before.trim().is_empty();
    let before = if joins { before.trim_end() } else { before };
    // Tokens of some models begin with the space that stands before them.
    let spaced = starts || before.ends_with(char::is_whitespace);
    let insert = if spaced { insert.trim_start() } else { insert };
    // Models that know no capitals begin sentences without; the text had one to begin with.
    format!("{before}{insert}{}", &text[span.end..])
}

/// The masks that are one word, from the first to the last of them, if they still stand side by side.
pub fn group(text: &str, hidden: &[Option<Hidden>], mask: usize) -> Option<Range<usize>> {
    let of = |i: usize| hidden.get(i).and_then(|h| h.as_ref()).map(|h| h.group);
    let group = of(mask)?;
    let spans = masks(text);
    let beside = |a: usize, b: usize| {
        let between = text.get(spans[a].end..spans[b].start);
        between.is_some_and(|between| between.trim().is_empty())
    };
    let (mut first, mut last) = (mask, mask);
    while first > 0 && of(first - 1) == Some(group) && beside(first - 1, first) {
        first -= 1;
    }
    while last + 1 < spans.len() && of(last + 1) == Some(group) && beside(last, last + 1) {
        last += 1;
    }
    Some(first..last + 1)
}

/// The text with what stood behind a mask, all masks of a word at once; a mask that nothing stood
/// behind goes away. And what stands behind the masks that are left.
pub fn show(text: &str, hidden: &[Option<Hidden>], mask: usize) -> (String, Vec<Option<Hidden>>) {
    let spans = masks(text);
    let group = group(text, hidden, mask).unwrap_or(mask..mask + 1);
    let (Some(first), Some(last)) = (spans.get(group.start), spans.get(group.end - 1)) else {
        return (text.to_owned(), hidden.to_vec());
    };
    let word = hidden.get(mask).and_then(|h| h.as_ref());
    let word = word.map_or("", |hidden| hidden.word.as_str());
    let text = format!("{}{word}{}", &text[..first.start], &text[last.end..]);
    let mut left = hidden.to_vec();
    left.resize(spans.len(), None);
    left.drain(group);
    (text, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, Option<usize>)> {
        let words = words(text).into_iter();
        words
            .map(|word| (text[word.span].to_owned(), word.mask))
            .collect()
    }

    fn hidden(word: &str, group: u32) -> Option<Hidden> {
        Some(Hidden {
            word: word.into(),
            group,
            counted: false,
        })
    }

    #[test]
    fn words_and_masks_are_found() {
        let found = texts("The [MASK] didn't chase -the- caf\u{e9}.");
        let expected = [
            ("The", None),
            ("[MASK]", Some(0)),
            ("didn't", None),
            ("chase", None),
            ("the", None),
            ("caf\u{e9}", None),
        ];
        let expected: Vec<_> = expected.map(|(w, m)| (w.to_owned(), m)).to_vec();
        assert_eq!(found, expected);
        assert_eq!(texts(""), []);
        assert_eq!(texts("<mask>a[MASK]").len(), 3);
    }

    #[test]
    fn words_are_hidden_and_shown() {
        let text = "The dog chased the mouse.";
        let masked = hide(text, &(4..7), 1);
        assert_eq!(masked, "The [MASK] chased the mouse.");
        let (shown, left) = show(&masked, &[hidden("dog", 1)], 0);
        assert_eq!((shown.as_str(), left.len()), (text, 0));

        // Several masks of one word go together, from whichever of them.
        let masked = hide(text, &(19..24), 3);
        let behind = vec![hidden("mouse", 2); 3];
        assert_eq!(group(&masked, &behind, 1), Some(0..3));
        assert_eq!(show(&masked, &behind, 1).0, text);
        // Not where something was typed between them.
        let split = masked.replacen("[MASK] [MASK]", "[MASK] x [MASK]", 1);
        assert_eq!(group(&split, &behind, 2), Some(1..3));
        // A mask that was typed goes away.
        assert_eq!(show("a [MASK] b", &[None], 0).0, "a  b");
    }

    #[test]
    fn predictions_are_put_in() {
        assert_eq!(put("The [MASK] sat.", 0, "cat", false), "The cat sat.");
        assert_eq!(put("cat [MASK].", 0, "s", true), "cats.");
        assert_eq!(put("The<mask> sat.", 0, " cat", false), "The cat sat.");
        assert_eq!(put("The <mask> sat.", 0, " cat", false), "The cat sat.");
        assert_eq!(put("[MASK] sat.", 0, " It", false), "It sat.");
        assert_eq!(put("none", 0, "x", false), "none");
    }

    #[test]
    fn what_is_hidden_survives_edits() {
        let old = "The [MASK] chased the [MASK].";
        let behind = vec![hidden("cat", 1), hidden("mouse", 2)];
        let typed = "The [MASK] chased [MASK] the [MASK].";
        let aligned = align(old, typed, &behind);
        assert_eq!(aligned, [hidden("cat", 1), None, hidden("mouse", 2)]);
        let cut = align(old, "The [MASK] chased", &behind);
        assert_eq!(cut, [hidden("cat", 1)]);
        let beginning = align(old, "A [MASK] chased the [MASK].", &behind);
        assert_eq!(beginning, behind);
        assert_eq!(align(old, "", &behind), []);
        assert_eq!(align("", old, &[]), [None, None]);
        // Half of a mask deleted is no mask.
        let broken = align(old, "The [MAK] chased the [MASK].", &behind);
        assert_eq!(broken, [hidden("mouse", 2)]);
    }
}
