//! Why it exists: the only place that prints while training, and only because `verbose` installed it: a bar on a terminal,
//! a line an epoch elsewhere, so that logs stay short and free of control characters.

use super::callback::{Callback, Plan};
use super::history::Logs;
use super::model::Model;
use crate::{Result, clock};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Prints progress in Keras's words.
#[derive(Debug)]
pub struct Progress {
    bar: bool,
    plan: Plan,
    /// Steps of the epoch that are done.
    done: usize,
    /// Nothing where there is no clock; then a line has no times, and there is no bar.
    began: Option<Instant>,
    drawn: Option<Bar>,
}

/// A line on standard error that is drawn over again: `1200/1875 ████████░░░░░░░ 2s loss: 0.3210`. A crate for such bars would
/// take longer to build than the kernels of many a layer.
#[derive(Debug)]
struct Bar {
    drawn: Instant,
    /// Characters of the line that stands there.
    width: usize,
}

impl Bar {
    /// Characters of the bar itself.
    const LENGTH: usize = 20;
    /// Oftener nobody can read it.
    const EVERY: Duration = Duration::from_millis(50);

    /// The line, when so many steps of all are done.
    fn line(done: usize, steps: usize, seconds: u64, loss: f64) -> String {
        let full = Bar::LENGTH * done.min(steps) / steps.max(1);
        let (full, rest) = ("█".repeat(full), "░".repeat(Bar::LENGTH - full));
        format!("{done}/{steps} {full}{rest} {seconds}s loss: {loss:.4}")
    }

    /// Draws over the line that stands there. Where standard error is gone, nobody sees it: not an error.
    fn draw(&mut self, line: &str) {
        let (before, width) = (self.width, line.chars().count());
        let mut out = std::io::stderr();
        let _ = write!(out, "\r{line:before$}").and_then(|()| out.flush());
        (self.drawn, self.width) = (Instant::now(), width);
    }

    /// Leaves the line empty.
    fn clear(mut self) {
        self.draw("");
        let _ = write!(std::io::stderr(), "\r");
    }
}

impl Progress {
    /// A bar if `verbose` is 1 and standard error is a terminal; else a line an epoch on standard output.
    pub fn new(verbose: u8) -> Progress {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr()) && !dumb;
        Progress {
            bar: cfg!(feature = "progress") && verbose == 1 && terminal,
            plan: Plan::default(),
            done: 0,
            began: clock::now(),
            drawn: None,
        }
    }

    /// `1875/1875 - 2s - 1ms/step - accuracy: 0.9000 - loss: 0.3000`: Keras's line, figures in alphabetical order. Steps are
    /// those that were done, of those that were planned.
    fn line(&self, logs: &Logs) -> String {
        let mut line = format!("{}/{}", self.done, self.plan.steps.max(self.done));
        if let Some(began) = self.began {
            let seconds = began.elapsed().as_secs_f64();
            let each = seconds / self.done.max(1) as f64;
            let each = if each >= 1e-3 {
                format!("{:.0}ms/step", each * 1e3)
            } else {
                format!("{:.0}us/step", each * 1e6)
            };
            line += &format!(" - {seconds:.0}s - {each}");
        }
        let mut figures: Vec<_> = logs.iter().collect();
        figures.sort_by_key(|(name, _)| *name);
        for (name, value) in figures {
            let small = value != 0.0 && value.abs() < 1e-3;
            line += &if small { format!(" - {name}: {value:.4e}") } else { format!(" - {name}: {value:.4}") };
        }
        line
    }
}

#[expect(clippy::print_stdout, reason = "the callback that prints")]
impl Callback for Progress {
    fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        self.plan = plan.clone();
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: &mut Model, epoch: usize) -> Result<()> {
        (self.began, self.done) = (clock::now(), 0);
        println!("Epoch {}/{}", epoch + 1, self.plan.epochs);
        self.drawn = self.began.filter(|_| self.bar).map(|drawn| Bar { drawn, width: 0 });
        Ok(())
    }

    fn on_batch_end(&mut self, _: &mut Model, batch: usize, loss: f64) -> Result<()> {
        let (done, steps) = (batch + 1, self.plan.steps);
        self.done = done;
        if let Some(bar) = &mut self.drawn
            && (done == steps || bar.drawn.elapsed() >= Bar::EVERY)
        {
            let seconds = self.began.map_or(0, |began| began.elapsed().as_secs());
            bar.draw(&Bar::line(done, steps, seconds, loss));
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, _: &mut Model, _: usize, logs: &mut Logs) -> Result<()> {
        if let Some(bar) = self.drawn.take() {
            bar.clear();
        }
        println!("{}", self.line(logs));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_from_left_to_right() {
        assert_eq!(Bar::line(0, 4, 0, 2.5), "0/4 ░░░░░░░░░░░░░░░░░░░░ 0s loss: 2.5000");
        assert_eq!(Bar::line(3, 4, 7, 0.25), "3/4 ███████████████░░░░░ 7s loss: 0.2500");
        assert_eq!(Bar::line(5, 4, 7, 0.25), "5/4 ████████████████████ 7s loss: 0.2500");
    }

    #[test]
    fn the_line_of_an_epoch_counts_the_steps_that_were_done() {
        let mut progress = Progress { began: None, ..Progress::new(2) };
        let mut logs = Logs::new();
        logs.set("loss", 0.5);
        for (done, planned, line) in [(1, 1, "1/1"), (2, 3, "2/3"), (4, 0, "4/4")] {
            (progress.done, progress.plan.steps) = (done, planned);
            assert_eq!(progress.line(&logs), format!("{line} - loss: 0.5000"));
        }
    }
}
