use proptest::prelude::*;

use super::*;

fn stops(list: &[&str]) -> StopStrings {
    StopStrings::new(list.iter().map(|s| (*s).to_owned()).collect())
}

/// Text emitted and whether it stopped, for `text` in the given pieces.
fn run<'a>(list: &[&str], pieces: impl IntoIterator<Item = &'a str>) -> (String, bool) {
    let mut stops = stops(list);
    let mut out = String::new();
    let mut stopped = false;
    for piece in pieces {
        let result = stops.push(piece);
        out.push_str(&result.emit);
        stopped = result.stopped;
    }
    out.push_str(&stops.flush());
    (out, stopped)
}

#[test]
fn holds_back_only_what_may_become_a_stop_string() {
    let mut stops = stops(&["\n\nUser:", "END"]);
    assert_eq!(stops.push("Hello E").emit, "Hello ");
    assert_eq!(stops.push("N").emit, "");
    assert_eq!(stops.push("E").emit, "EN");
    assert_eq!(stops.push("x\n").emit, "Ex");
    assert_eq!(stops.push("\n").emit, "");
    assert_eq!(stops.push("\nUser").emit, "\n");
    assert_eq!(
        stops.push(": more"),
        StopResult {
            emit: String::new(),
            stopped: true
        }
    );
    assert_eq!(
        stops.push("after"),
        StopResult {
            emit: String::new(),
            stopped: true
        }
    );
    assert_eq!(stops.flush(), "");
}

#[test]
fn first_complete_match_wins() {
    assert_eq!(
        run(&["world", "lo"], ["hello world"]),
        ("hel".to_owned(), true)
    );
    assert_eq!(run(&["abcd", "bc"], ["xabcd"]), ("xa".to_owned(), true));
    assert_eq!(run(&["bc", "abc"], ["xabc"]), ("x".to_owned(), true));
    assert_eq!(run(&["aab"], ["a", "a", "a", "b"]), ("a".to_owned(), true));
}

#[test]
fn nothing_to_look_for() {
    assert_eq!(run(&[], ["a", "b"]), ("ab".to_owned(), false));
    assert_eq!(run(&["", ""], ["a", "", "b"]), ("ab".to_owned(), false));
}

#[test]
fn held_text_is_flushed() {
    let mut stops = stops(&["###"]);
    assert_eq!(stops.push("a##").emit, "a");
    assert_eq!(stops.flush(), "##");
    assert_eq!(stops.flush(), "");
}

proptest! {
    #[test]
    fn cutting_the_text_differently_changes_nothing(
        text in "[ab€é👩]{0,24}",
        list in prop::collection::vec("[ab€é👩]{0,4}", 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).filter(|&i| text.is_char_boundary(i)).collect();
        at.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for end in at.into_iter().chain([text.len()]) {
            pieces.push(&text[start..end]);
            start = end;
        }
        // The definition: the shortest beginning of the text that ends in a stop string.
        let ends = text.char_indices().map(|(i, c)| i + c.len_utf8());
        let hit = ends.filter_map(|end| {
            list.iter().filter(|s| !s.is_empty() && text[..end].ends_with(**s)).map(|s| end - s.len()).min()
        }).next();
        prop_assert_eq!(run(&list, pieces), (text[..hit.unwrap_or(text.len())].to_owned(), hit.is_some()));
    }
}
