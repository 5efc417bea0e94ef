//! Progress bars for long work: on a terminal, never in a pipe.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar moves by itself while one step takes long.
const TICK: Duration = Duration::from_millis(120);

/// A bar on the standard error, gone when the work is done.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Shows a bar of `steps`. A single step needs none; in a pipe, indicatif draws nothing.
    pub(crate) fn start(title: &str, steps: u64) -> Self {
        if steps <= 1 {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}");
        bar.set_style(style.expect("the template is fixed").progress_chars("=> "));
        bar.set_message(title.to_owned());
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// Notes that one step is done.
    pub(crate) fn advance(&self) {
        self.0.inc(1);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    /// Leaves no bar behind where the work ends early.
    fn drop(&mut self) {
        self.finish();
    }
}
