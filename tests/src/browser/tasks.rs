//! How long the page's main thread works at a stretch.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::page::BEAT;
use super::{Page, Result};

/// Every task of every thread, with the processor's time it took.
const CATEGORY: &str = "disabled-by-default-devtools.timeline";

/// How long the browser may take to hand out what it recorded.
const PATIENCE: Duration = Duration::from_secs(60);

impl Page {
    /// Begins to record what threads do.
    ///
    /// # Errors
    /// If the browser refuses or is gone.
    pub fn watch_tasks(&mut self) -> Result<()> {
        let config = json!({ "includedCategories": [CATEGORY], "excludedCategories": ["*"] });
        let params = json!({ "transferMode": "ReportEvents", "traceConfig": config });
        self.call("Tracing.start", params).map(drop)
    }

    /// Ends that; the processor's time of every task of the page's main thread, the longest first. Unlike a
    /// clock on the wall it does not count what the machine does for others meanwhile.
    ///
    /// # Errors
    /// If nothing was recorded, or the browser is gone.
    pub fn tasks(&mut self) -> Result<Vec<Duration>> {
        self.call("Tracing.end", json!({}))?;
        let began = Instant::now();
        while !self.log()?.traced_all {
            if began.elapsed() > PATIENCE {
                return Err(self.timeout("what the browser recorded", PATIENCE));
            }
            self.pause(BEAT)?;
        }
        let events = &self.log()?.traced;
        let thread = |event: &Value| Some((event["pid"].as_u64()?, event["tid"].as_u64()?));
        let main = |event: &&Value| event["args"]["name"] == "CrRendererMain";
        let main: HashSet<_> = events.iter().filter(main).filter_map(thread).collect();
        let tasks = events.iter().filter(|event| event["name"] == "RunTask");
        let own = tasks.filter(|event| thread(event).is_some_and(|thread| main.contains(&thread)));
        let mut times: Vec<Duration> = own
            .filter_map(|event| event["tdur"].as_u64())
            .map(Duration::from_micros)
            .collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        Ok(times)
    }
}
