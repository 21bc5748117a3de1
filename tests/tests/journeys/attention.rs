//! The Attention tab: its numbers are the engine's, every weight opens, links bring it all back.

use std::time::Duration;

use futures::executor::block_on;
use glassformer_engine::protocol::attention::MapOf;
use glassformer_engine::protocol::{BackendChoice, PrecisionChoice};
use glassformer_engine::{Cancel, DEFAULT_CONTEXT, Engine, Files, PathSource};

use super::{Journey, LONG, SHORT};

const TEXT: &str = "The cat sat on the mat because it was tired.";

/// Long enough for a message to be answered, should one have been sent.
const MOMENT: Duration = Duration::from_millis(300);

impl Journey {
    pub(super) fn attended(&mut self) {
        self.wait(
            "document.querySelector('[data-testid=attention-status]')?.textContent.includes('through')",
            LONG,
        );
        self.wait(
            "document.querySelector('[data-testid=attention-cell]')",
            LONG,
        );
    }

    /// Layer, head, query, key and weight of every cell of the table.
    fn cells(&mut self) -> Vec<[f64; 5]> {
        let script = "[...document.querySelectorAll('[data-testid=attention-cell]')].map(c => \
            [c.dataset.layer, c.dataset.head, c.dataset.from, c.dataset.to, c.dataset.weight].map(Number))";
        let cells = self.page.evaluate(script).unwrap();
        let number = |cell: &serde_json::Value, i: usize| cell[i].as_f64().unwrap_or(f64::NAN);
        let cells = cells.as_array().unwrap().iter();
        cells
            .map(|cell| std::array::from_fn(|i| number(cell, i)))
            .collect()
    }

    pub(super) fn focus_on(&mut self, testid: &str) {
        let script = format!("document.querySelector('[data-testid={testid}]').focus()");
        self.page.evaluate(&script).unwrap();
    }

    fn scroll_to(&mut self, testid: &str) {
        let script = format!("document.querySelector('[data-testid={testid}]').scrollIntoView()");
        self.page.evaluate(&script).unwrap();
    }

    fn tap(&mut self, testid: &str) -> f64 {
        let script = format!("document.querySelector('[data-testid={testid}]').dataset.value");
        self.string(&script).parse().unwrap()
    }

    fn address(&mut self) -> String {
        // The address follows after a moment.
        self.page.pause(Duration::from_millis(600)).unwrap();
        self.string("location.hash")
    }
}

/// What the engine says natively: the map of a head.
fn natively(journey: &Journey, text: &str, layer: u32, head: u32) -> (usize, Vec<f32>) {
    let file = journey
        .prepared
        .models
        .join("smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf");
    let files = Files::new(vec![Box::new(PathSource::new(file).unwrap())]).unwrap();
    let (backend, precision) = (BackendChoice::Cpu, PrecisionChoice::Exact);
    let (mut silent, cancel) = (|_, _, _| {}, Cancel::default());
    block_on(async {
        let mut engine = Engine::new();
        engine
            .load(
                &files,
                "m",
                None,
                backend,
                precision,
                DEFAULT_CONTEXT,
                &mut silent,
                &cancel,
            )
            .await
            .unwrap();
        let summary = engine
            .attend(0, text, None, &mut |_| {}, &cancel)
            .await
            .unwrap();
        let of = MapOf::Head { layer, head };
        (
            summary.tokens.len(),
            engine.attention_map(0, of).await.unwrap(),
        )
    })
}

fn agree(cells: &[[f64; 5]], n: usize, map: &[f32], tolerance: f64) {
    assert_eq!(cells.len(), n * (n + 1) / 2);
    for [_, _, from, to, weight] in cells {
        let expected = f64::from(map[*from as usize * n + *to as usize]);
        assert!(
            (weight - expected).abs() <= tolerance,
            "{from} → {to}: {weight}, not {expected}"
        );
    }
}

#[test]
fn every_weight_is_the_engines_and_opens() {
    let name = "every_weight_is_the_engines_and_opens";
    let fragment = "tab=attention&model=smollm2-135m-instruct&backend=cpu&precision=exact";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    // Something true at once: the recorded example, with its table.
    journey.wait(
        "document.querySelector('[data-testid=attention-recorded]')",
        SHORT,
    );
    journey.wait(
        "document.querySelector('[data-testid=attention-cell]')",
        SHORT,
    );
    journey.picture("attention-recorded");
    journey.scroll_to("attention-wall");
    journey.picture("attention-wall");
    journey.scroll_to("attention-picture");
    journey.picture("attention-arcs");
    journey
        .page
        .evaluate("document.querySelector('[data-testid=attention-worked]').open = true")
        .unwrap();
    journey.scroll_to("attention-worked");
    journey.picture("attention-worked");
    assert_eq!(journey.downloads(), 0);

    journey.page.fill("attention-input", TEXT).unwrap();
    journey.page.click("attention-run").unwrap();
    journey.attended();
    let gone = "!document.querySelector('[data-testid=attention-recorded]')";
    journey.wait(gone, SHORT);
    let cells = journey.cells();
    let [layer, head] = [cells[0][0] as u32, cells[0][1] as u32];
    let (n, map) = natively(&journey, TEXT, layer, head);
    agree(&cells, n, &map, 1e-5);
    let address = journey.address();
    assert!(
        address.contains(&format!("layer={layer}&head={head}")),
        "{address}"
    );

    // The keyboard chooses another head; its map comes without another run.
    journey.focus_on("attention-wall");
    journey.page.press("ArrowDown").unwrap();
    let (below, key) = ((layer + 1).min(29), head);
    let other = format!(
        "document.querySelector('[data-testid=attention-cell]')?.dataset.layer === '{below}'"
    );
    journey.wait(&other, SHORT);
    let (_, map) = natively(&journey, TEXT, below, key);
    agree(&journey.cells(), n, &map, 1e-5);

    // The last token is kept, and its weight comes out of the numbers on the way.
    journey.focus_on("attention-picture");
    journey.page.press("End").unwrap();
    journey.page.press("Enter").unwrap();
    journey.wait("document.querySelector('[data-testid=cell-weight]')", SHORT);
    let heading =
        journey.string("document.querySelector('[data-testid=lens-heading]').textContent");
    let shown: f64 = heading.rsplit(' ').next().unwrap().parse().unwrap();
    let weight = journey.tap("cell-weight");
    assert!((weight - shown).abs() < 1e-4, "{heading} {weight}");
    let scaled = journey.tap("cell-dot") / 8.0;
    assert!((scaled - journey.tap("cell-score")).abs() < 1e-3);
    journey.picture("attention-cell");
    journey.page.press("Escape").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=lens]').dataset.locked === 'false'",
        SHORT,
    );

    // What is left out is said, and marked.
    journey
        .page
        .evaluate("document.querySelector('.filters').open = true")
        .unwrap();
    journey.page.click("attention-hide-first").unwrap();
    journey.page.click("attention-renormalise").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=attention-cell]').hasAttribute('data-derived')",
        SHORT,
    );
    let last: f64 = journey
        .cells()
        .iter()
        .filter(|cell| cell[2] as usize == n - 1)
        .map(|cell| cell[4])
        .sum();
    assert!((last - 1.0).abs() < 1e-4, "{last}");
    let first = journey
        .cells()
        .iter()
        .filter(|cell| cell[3] == 0.0)
        .map(|cell| cell[4])
        .sum::<f64>();
    assert_eq!(first, 0.0);

    // Another tab and back: everything is as it was, and nothing is loaded again.
    let before = journey.cells();
    journey.page.click("tab-generate").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=generate-input]')",
        SHORT,
    );
    journey.page.click("tab-attention").unwrap();
    assert_eq!(journey.cells(), before);
    assert_eq!(journey.downloads(), 1);

    // The link brings it back in a new page, and says what it cannot.
    let address = journey.address();
    journey.open(&format!(
        "{}&view=matrix&run=1",
        address.trim_start_matches('#')
    ));
    journey.attended();
    journey.wait(&other, SHORT);
    assert_eq!(journey.cells(), before);
    journey.picture("attention-matrix");
    journey.open("tab=attention&model=smollm2-135m-instruct&backend=cpu&layer=99&head=0&run=1&text=Two words");
    journey.attended();
    let notices = journey.page.text("notices").unwrap();
    assert!(notices.contains("no layer 99"), "{notices}");
    journey.expect_quiet();
}

#[test]
fn a_model_that_reads_both_ways_and_pairs() {
    let name = "a_model_that_reads_both_ways_and_pairs";
    // The tab's own default, which reads masked words elsewhere.
    let fragment = "tab=attention&backend=cpu&pair=it was raining.&text=The game was cancelled";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    journey.page.click("attention-run").unwrap();
    journey.attended();
    let n = journey
        .page
        .evaluate("document.querySelectorAll('.token-strip li').length")
        .unwrap();
    let n = n.as_u64().unwrap() as usize;
    let cells = journey.cells();
    assert_eq!(cells.len(), n * n, "a token sees those behind it, too");
    for i in 0..n {
        let row = cells.iter().filter(|cell| cell[2] as usize == i);
        let sum: f64 = row.map(|cell| cell[4]).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    }
    // Two sentences: what the first reads in the second, and nothing else.
    journey
        .page
        .evaluate("document.querySelector('.filters').open = true")
        .unwrap();
    journey.page.click("attention-across").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=attention-cell]').hasAttribute('data-derived')",
        SHORT,
    );
    let second = "[...document.querySelectorAll('.token-strip li')].findIndex(t => t.dataset.second === 'true')";
    let second = journey.page.evaluate(second).unwrap().as_f64().unwrap();
    assert!(second > 1.0);
    for [_, _, from, to, weight] in journey.cells() {
        assert!(
            weight == 0.0 || (from < second && to >= second),
            "{from} {to} {weight}"
        );
    }
    journey.page.click("attention-across").unwrap();
    journey.focus_on("attention-picture");
    journey.page.press("Enter").unwrap();
    journey.wait("document.querySelector('[data-testid=cell-weight]')", SHORT);
    journey.picture("attention-pair");
    journey.expect_quiet();
}

#[test]
fn texts_side_by_side_and_heads_over_each_other() {
    let name = "texts_side_by_side_and_heads_over_each_other";
    let fragment = "tab=attention&model=smollm2-135m-instruct&backend=cpu&layer=7&head=4&heads=7.5,12.1&wall=entropy";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    // A link that is followed within the page brings a second text, and shows its field: also when the page, which was
    // busy, is about to write its own address between the link and the news of it.
    let follow = "document.querySelectorAll('input[name=attention-view]')[1].click(); \
        const busy = () => { const until = performance.now() + 400; while (performance.now() < until) {} }; \
        setTimeout(busy, 100); setTimeout(() => { location.hash += '&second=Another text.' }, 250)";
    journey.page.evaluate(follow).unwrap();
    let shown = "document.querySelector('[data-testid=attention-compare]').checked \
                 && !document.querySelector('[data-testid=attention-second]').hidden \
                 && document.querySelector('[data-testid=attention-second]').value === 'Another text.'";
    journey.wait(shown, SHORT);

    // The first example compares two sentences; a model is loaded by Run.
    journey
        .page
        .evaluate("document.querySelector('#panel-attention .chip').click()")
        .unwrap();
    journey.page.click("attention-run").unwrap();
    journey.attended();
    journey.wait(
        "document.querySelectorAll('[data-testid=attention-picture]').length === 2",
        LONG,
    );
    journey.wait(
        "document.querySelectorAll('[data-testid=attention-tokens]').length === 2",
        LONG,
    );
    journey.page.pause(MOMENT).unwrap();
    journey.picture("attention-compare");

    // A double click leaves one head; another one brings the others back.
    let address = journey.address();
    assert!(
        address.contains("layer=7&head=4&heads=7.5%2C12.1"),
        "{address}"
    );
    let twice = "(wall => { const at = wall.getBoundingClientRect(); \
        const event = (type, detail) => wall.dispatchEvent(new MouseEvent(type, {bubbles: true, detail, \
        clientX: at.left + 40, clientY: at.top + 40})); \
        event('click', 1); event('click', 2); event('dblclick', 2) })\
        (document.querySelector('[data-testid=attention-wall]'))";
    journey.page.evaluate(twice).unwrap();
    let address = journey.address();
    assert!(
        address.contains("layer=") && !address.contains("heads=") && !address.contains("layer=7"),
        "{address}"
    );
    journey.page.evaluate(twice).unwrap();
    let address = journey.address();
    assert!(
        address.contains("layer=7&head=4&heads=7.5%2C12.1"),
        "{address}"
    );

    // Both pictures have their tables: every weight of the drawn heads, every head of the wall.
    let unfold =
        "document.querySelectorAll('#panel-attention .twin').forEach(twin => { twin.open = true })";
    journey.page.evaluate(unfold).unwrap();
    journey.wait(
        "document.querySelectorAll('[data-testid=attention-table] table').length === 3 \
         && document.querySelectorAll('[data-testid=attention-head]').length === 270",
        SHORT,
    );
    journey.page.click("attention-head").unwrap();
    let address = journey.address();
    assert!(address.contains("layer=0&head=0"), "{address}");
    journey.expect_quiet();
}

#[test]
fn what_is_drawn_can_be_kept() {
    let name = "what_is_drawn_can_be_kept";
    let fragment = "tab=attention&backend=cpu&layer=0&head=2&text=The animal was tired";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    // Files are caught on their way to the disk.
    let catch = "window.kept = {}; const make = URL.createObjectURL; let last; \
        URL.createObjectURL = blob => { last = blob; return make(blob) }; \
        HTMLAnchorElement.prototype.click = function () { const name = this.download; \
        if (this.href.startsWith('data:')) window.kept[name] = atob(this.href.split(',')[1]); \
        else last.text().then(text => { window.kept[name] = text }) }";
    journey.page.evaluate(catch).unwrap();
    journey.page.click("attention-run").unwrap();
    journey.attended();
    journey.page.click("attention-svg").unwrap();
    journey.page.click("attention-json").unwrap();
    journey.wait(
        "window.kept['attention-0-2.svg'] && window.kept['attention.json']",
        LONG,
    );
    let svg = journey.string("window.kept['attention-0-2.svg']");
    assert!(svg.starts_with("<svg") && svg.contains(">animal</text>") && svg.contains("<path"));
    let json = journey.string("window.kept['attention.json']");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let n = json["tokens"].as_array().unwrap().len();
    // [layer, head, query, key] of all heads, equal to what the page shows.
    assert_eq!(json["weights"].as_array().unwrap().len(), 6);
    assert_eq!(json["weights"][5].as_array().unwrap().len(), 12);
    for [layer, head, from, to, weight] in journey.cells() {
        let [layer, head, from, to] = [layer, head, from, to].map(|x| x as usize);
        let kept = json["weights"][layer][head][from][to].as_f64().unwrap();
        assert!(from < n && (kept - weight).abs() < 1e-6, "{kept} {weight}");
    }
    journey.page.click("attention-png").unwrap();
    journey.wait("window.kept['attention-0-2.png']?.includes('PNG')", SHORT);
    journey.expect_quiet();
}

#[test]
fn the_gpu_looks_at_the_same() {
    let name = "the_gpu_looks_at_the_same";
    let fragment =
        "tab=attention&model=smollm2-135m-instruct&backend=webgpu&layer=3&head=1&text=I love AI";
    let Some(mut journey) = Journey::begin_gpu(name, fragment) else {
        return;
    };
    journey.page.click("attention-run").unwrap();
    journey.attended();
    let badge = "document.querySelector('[data-testid=backend-badge]').dataset.backend";
    assert_eq!(journey.string(badge), "webgpu");
    let (n, map) = natively(&journey, "I love AI", 3, 1);
    agree(&journey.cells(), n, &map, 1e-4);
    journey.expect_quiet();
}
