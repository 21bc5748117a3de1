//! Many pictures at once: the page stays responsive, Stop is heard, and nothing is left behind.

use std::time::Duration;

use super::{Journey, LONG, SHORT};

/// What the page may do at a stretch.
const LONGEST_TASK: Duration = Duration::from_millis(50);

/// What the worker's memory may differ by after the same work again.
const HEAP_SLACK: f64 = 1.1e6;

/// Fifty pictures drawn in the page, as files of the dialog.
const FIFTY: &str = "(async () => {
    const data = new DataTransfer();
    for (let i = 0; i < 50; i++) {
        const canvas = new OffscreenCanvas(160 + i, 120);
        const context = canvas.getContext('2d');
        context.fillStyle = `hsl(${i * 7} 70% 50%)`;
        context.fillRect(0, 0, 300, 120);
        context.fillStyle = 'white';
        context.fillRect(i, 20, 40, 60);
        const blob = await canvas.convertToBlob();
        data.items.add(new File([blob], `drawn ${i}.png`, {type: 'image/png'}));
    }
    const input = document.querySelector('[data-testid=match-files]');
    input.files = data.files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
})()";

/// Counts addresses of files that were made and not given back.
const WATCH: &str = "(() => {
    window.addresses = new Set();
    const make = URL.createObjectURL.bind(URL), free = URL.revokeObjectURL.bind(URL);
    URL.createObjectURL = (blob) => { const url = make(blob); window.addresses.add(url); return url; };
    URL.revokeObjectURL = (url) => { window.addresses.delete(url); free(url); };
})()";

#[test]
fn fifty_pictures_stay_responsive_stop_and_leave_nothing() {
    let name = "fifty_pictures_stay_responsive_stop_and_leave_nothing";
    let texts: Vec<String> = (0..20).map(|i| format!("thing%20{i}")).collect();
    let fragment = format!("tab=match&backend=cpu&text={}", texts.join("%0A"));
    let Some(mut journey) = Journey::begin_alone(name, &fragment) else {
        return;
    };
    let cells = "document.querySelectorAll('[data-testid=match-cell]').length";
    journey.page.click("match-run").unwrap();
    journey.wait(&format!("{cells} === 160"), LONG);
    journey.page.click("match-clear").unwrap();
    journey.page.evaluate(WATCH).unwrap();
    journey.page.watch_tasks().unwrap();

    let ended = "/ms|\\bs$/.test(document.querySelector('[data-testid=match-status]').innerText)";
    let stopped = "document.querySelector('[data-testid=match-stop]').disabled";
    let mut heaps = Vec::new();
    for round in 0..3 {
        journey.page.evaluate(FIFTY).unwrap();
        if round == 0 {
            // Stop is heard in the middle, and what is there stays.
            journey.wait(&format!("{cells} >= 160"), LONG);
            let status = journey.page.text("match-status").unwrap();
            assert!(status.contains("of 50 pictures"), "{status}");
            journey.page.click("match-stop").unwrap();
            journey.wait(stopped, SHORT);
            let there = journey.page.evaluate(cells).unwrap().as_u64().unwrap();
            assert!((160..1000).contains(&there), "{there}");
            journey.page.pause(Duration::from_millis(700)).unwrap();
            assert_eq!(journey.page.evaluate(cells).unwrap().as_u64(), Some(there));
            journey.page.click("match-run").unwrap();
        }
        journey.wait(&format!("{cells} === 1000 && {ended}"), LONG);
        // Run again has nothing to do, and says how much memory the worker has now.
        journey.page.click("match-run").unwrap();
        journey.wait(&format!("{ended} && {stopped}"), SHORT);
        let heap = "Number(document.querySelector('[data-testid=backend-badge]').dataset.heap)";
        heaps.push(journey.page.evaluate(heap).unwrap().as_f64().unwrap());
        journey.page.click("match-clear").unwrap();
        journey.wait(&format!("{cells} === 0"), SHORT);
        let kept = journey.page.evaluate("window.addresses.size").unwrap();
        assert_eq!(kept.as_u64(), Some(0), "addresses of files are given back");
    }
    println!("memory of the worker after each round: {heaps:?} bytes");
    assert!(
        heaps[0] > 0.0 && heaps[2] - heaps[0] < HEAP_SLACK,
        "{heaps:?}"
    );
    let tasks = journey.page.tasks().unwrap();
    let some = &tasks[..tasks.len().min(8)];
    println!("longest tasks of the page, of {}: {some:?}", tasks.len());
    // Shared caches may lengthen one of thousands.
    let within = tasks.len() > 100 && tasks[1] < LONGEST_TASK && tasks[0] < LONGEST_TASK * 3 / 2;
    assert!(within, "{some:?}");
    journey.expect_quiet();
}
