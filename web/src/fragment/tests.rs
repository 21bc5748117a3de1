use super::*;

const KNOWN: Known = Known {
    tabs: &[
        KnownTab {
            id: "generate",
            model: "small",
            keys: &[],
            generates: true,
        },
        KnownTab {
            id: "look",
            model: "large",
            keys: &[
                Key {
                    name: "layer",
                    default: "0",
                    check: digits,
                },
                Key {
                    name: "other",
                    default: "",
                    check: |_| Ok(()),
                },
            ],
            generates: false,
        },
    ],
    models: &["small", "large"],
};

fn digits(value: &str) -> Result<(), String> {
    let parsed = value.parse::<u32>();
    parsed.map(|_| ()).map_err(|_| "a number".into())
}

#[test]
fn each_tab_has_its_model_and_settings() {
    let parsed = parse(
        "#layer=3&tab=look&text=a&other=b%20c&temperature=0.5",
        &KNOWN,
    );
    assert_eq!(parsed.problems, Vec::<String>::new());
    let state = parsed.state;
    assert_eq!(
        (state.tab.as_str(), state.model.as_str()),
        ("look", "large")
    );
    assert_eq!(
        state.values,
        Values::from([("layer", "3".into()), ("other", "b c".into())])
    );
    // What belongs to another tab is not written.
    let written = write(&state, &KNOWN, Extent::Changed);
    assert_eq!(written, "#tab=look&layer=3&other=b%20c&text=a");
    let everything = write(
        &PageState::of_tab(&KNOWN, "look"),
        &KNOWN,
        Extent::Everything,
    );
    assert!(everything.contains("&layer=0") && !everything.contains("temperature"));
    // A tab without the setting takes no notice; a wrong value falls back and is told.
    assert_eq!(parse("#tab=generate&layer=x", &KNOWN).problems.len(), 0);
    let wrong = parse("#tab=look&layer=x", &KNOWN);
    assert_eq!(wrong.state.values, Values::new());
    assert_eq!(
        wrong.problems,
        ["The link asks for layer “x”; this page takes a number and uses 0."]
    );
}

fn default() -> PageState {
    PageState::default_for(&KNOWN)
}

#[test]
fn nothing_means_the_defaults() {
    for fragment in ["", "#", "#&&", "#tab=generate"] {
        let parsed = parse(fragment, &KNOWN);
        assert_eq!(
            parsed,
            Parsed {
                state: default(),
                run: false,
                debug: false,
                problems: vec![]
            }
        );
    }
}

#[test]
fn every_name_of_the_contract_is_read() {
    let parsed = parse(
        "#tab=generate&model=large&backend=cpu&precision=exact&mode=plain&text=Hi%20there%2B+you\
         &temperature=0.2&top_k=40&top_p=0.5&min_p=0.05&repetition_penalty=1.1&max_tokens=12\
         &seed=4294967295&stop=%0A&stop=end&run=1",
        &KNOWN,
    );
    assert_eq!(parsed.problems, Vec::<String>::new());
    assert!(parsed.run);
    let state = parsed.state;
    assert_eq!(state.model, "large");
    assert_eq!(state.backend, BackendChoice::Cpu);
    assert_eq!(state.precision, PrecisionChoice::Exact);
    assert_eq!(state.mode, Mode::Plain);
    assert_eq!(state.text, "Hi there+ you");
    let expected = GenerateSettings {
        temperature: 0.2,
        top_k: 40,
        top_p: 0.5,
        min_p: 0.05,
        repetition_penalty: 1.1,
        max_tokens: 12,
        seed: u32::MAX,
        stop: vec!["\n".into(), "end".into()],
    };
    assert_eq!(state.settings, expected);
}

#[test]
fn both_extents_read_back_to_the_same_state() {
    let mut state = default();
    state.model = "large".into();
    state.mode = Mode::Plain;
    state.precision = PrecisionChoice::Fast;
    state.text = "100 % of “tea” & #1 = +1?\nnext 🍵 + \u{0301}".into();
    state.settings.temperature = 0.1;
    state.settings.seed = 7;
    state.settings.stop = vec!["\n\n".into(), "&stop=".into()];
    state.branch = vec![(0, 2), (12, 345), (20, 0)];
    for state in [state, default()] {
        for extent in [Extent::Changed, Extent::Everything] {
            let parsed = parse(&write(&state, &KNOWN, extent), &KNOWN);
            assert_eq!(
                parsed,
                Parsed {
                    state: state.clone(),
                    run: false,
                    debug: false,
                    problems: vec![]
                }
            );
        }
    }
}

#[test]
fn branches_are_short_in_links() {
    let parsed = parse("branch=12%3A345%2C20:99,", &KNOWN);
    assert_eq!(parsed.problems, Vec::<String>::new());
    assert_eq!(parsed.state.branch, [(12, 345), (20, 99)]);
    let written = write(&parsed.state, &KNOWN, Extent::Changed);
    assert!(written.ends_with("&branch=12:345,20:99"), "{written}");
    assert!(parse("branch=", &KNOWN).state.branch.is_empty());
}

#[test]
fn the_address_bar_stays_short() {
    assert_eq!(write(&default(), &KNOWN, Extent::Changed), "#tab=generate");
    let full = write(&default(), &KNOWN, Extent::Everything);
    for name in [
        "model=small",
        "backend=auto",
        "precision=auto",
        "mode=chat",
        "temperature=0.7",
        "seed=42",
    ] {
        assert!(full.contains(name), "{name} in {full}");
    }
}

#[test]
fn what_cannot_be_taken_falls_back_and_is_named() {
    for (fragment, says) in [
        (
            "tab=match",
            "The link asks for tab “match”; this page does not have it and uses generate.",
        ),
        (
            "model=huge",
            "The link asks for model “huge”; this page does not have it and uses small.",
        ),
        (
            "backend=abacus",
            "The link asks for backend “abacus”; this page does not have it and uses auto.",
        ),
        (
            "precision=",
            "The link asks for precision “”; this page does not have it and uses auto.",
        ),
        (
            "temperature=hot",
            "The link asks for temperature “hot”; this page takes a number from 0 to 5 and uses 0.7.",
        ),
        (
            "top_p=1.5",
            "The link asks for top_p “1.5”; this page takes a number above 0 and up to 1 and uses 0.9.",
        ),
        (
            "branch=12",
            "The link asks for branch “12”; this page takes rising positions with token ids, such as 12:345,20:99, and leaves the branch out.",
        ),
        (
            "branch=5:1,5:2",
            "The link asks for branch “5:1,5:2”; this page takes rising positions with token ids, such as 12:345,20:99, and leaves the branch out.",
        ),
        (
            "branch=1:99999999999",
            "The link asks for branch “1:99999999999”; this page takes rising positions with token ids, such as 12:345,20:99, and leaves the branch out.",
        ),
        (
            "max_tokens=0",
            "The link asks for max_tokens “0”; this page takes a whole number from 1 to 131072 and uses 256.",
        ),
        (
            "run=yes",
            "The link asks for run “yes”; this page does not have it and uses 0.",
        ),
        (
            "text=%E2%82",
            "The link's value for “text” is damaged and was left out.",
        ),
        (
            "text=100%",
            "The link's value for “text” is damaged and was left out.",
        ),
        (
            "text=%é0",
            "The link's value for “text” is damaged and was left out.",
        ),
        (
            "colour=red",
            "The link names “colour”, which this page does not know.",
        ),
    ] {
        let parsed = parse(fragment, &KNOWN);
        assert_eq!(parsed.problems, [says]);
        assert_eq!(parsed.state, default(), "{fragment}");
        assert!(!parsed.run);
    }
}

#[test]
fn settings_of_other_tabs_are_not_mistakes() {
    assert!(
        parse("layer=3&head=1&beams=4&from=en&to=pt&view=arcs", &KNOWN)
            .problems
            .is_empty()
    );
}

#[test]
fn long_values_are_quoted_in_part() {
    let parsed = parse(&format!("seed={}", "9".repeat(500)), &KNOWN);
    assert!(
        parsed.problems[0].chars().count() < 180,
        "{}",
        parsed.problems[0]
    );
}
